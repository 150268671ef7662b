"""NNCF's quantization for OpenVINO, and weights on our grid in its own form of compressed weights."""

import logging
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.deployment.runtimes.quantization.by_value import operators_left
from efficient360.deployment.runtimes.quantization.weight_grid import GridWeight, group_of, round_to_nearest
from efficient360.deployment.runtimes.runtime import Build, Precision

LAYERS: Final = ("MatMul", "Convolution", "GroupConvolution")
FOUR_BITS: Final = {Precision.W4, Precision.W4_GPTQ}


def quantize(model: Any, build: Build) -> tuple[Any, dict[str, str]]:
    """The model of a precision, and what a reader should know of it.

    Raises:
        Unsupported: A layer that is to stay in float can't be found.
    """
    if build.precision in FOUR_BITS:
        return model, _on_grid(model, build, 4)
    left = operators_left(build, weights_of(model))
    if build.precision is Precision.W8:
        return _compressed(model, left), {"weights": "8 bits by output channel", "activations": "float32", "quantizer": "NNCF"}
    return _static(model, build, left), {"quantizer": "NNCF, transformer, weights in 7 of 8 bits"}


def _static(model: Any, build: Build, left: list[str]) -> Any:
    """NNCF's static quantization, all of it calibrated; weights keep 7 bits, since CPUs without VNNI overflow with 8 and answer wrongly without a word."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    nncf.set_log_level(logging.ERROR)
    calls: list[Any] = list(build.calibration_calls() if build.signature is None else build.calibration_inputs(""))
    advanced = AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE)
    return nncf.quantize(
        model,
        nncf.Dataset(calls),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(calls),
        advanced_parameters=advanced,
        ignored_scope=nncf.IgnoredScope(names=left) if left else None,
    )


def _compressed(model: Any, left: list[str]) -> Any:
    import nncf

    nncf.set_log_level(logging.ERROR)
    ignored = nncf.IgnoredScope(names=left) if left else None
    return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM, ignored_scope=ignored)


def weights_of(model: Any) -> dict[str, NDArray[np.float32]]:
    """Weights of the layers of a model by the operator's name."""
    weights = {}
    for operator in model.get_ops():
        if operator.get_type_name() in LAYERS:
            source = operator.input_value(1).get_node()
            if source.get_type_name() == "Constant":
                weights[operator.get_friendly_name()] = source.data
    return weights


def _on_grid(model: Any, build: Build, bits: int) -> dict[str, str]:
    """Put codes, scales and their product in the place of the weights of linear layers, in the model itself."""
    left = set(operators_left(build, weights_of(model)))
    count = 0
    for operator in model.get_ops():
        if operator.get_type_name() != "MatMul" or operator.get_friendly_name() in left:
            continue
        source = operator.input_value(1).get_node()
        if source.get_type_name() != "Constant" or source.data.ndim != 2 or not operator.get_attributes()["transpose_b"]:
            continue
        if group_of(source.data.shape[1]) is not None:
            count += 1
            weight = round_to_nearest(torch.from_numpy(source.data.astype(np.float32)), bits)
            operator.input(1).replace_source_output(_decompressed(weight, source.get_friendly_name()))
    model.validate_nodes_and_infer_types()
    return {"weights": f"{bits} bits by groups of inputs", "activations": "float32", "quantized": f"{count} products with weights"}


def _decompressed(weight: GridWeight, name: str) -> Any:
    """The graph that OpenVINO's plugins know as compressed weights, so that they keep them so."""
    import openvino
    from openvino import opset13

    outputs, inputs = weight.codes.shape
    shape = (outputs, inputs // weight.group, weight.group)
    codes = opset13.constant(weight.codes.numpy().reshape(shape), dtype=openvino.Type.i4, name=f"{name}/codes")
    scales = opset13.constant(weight.scales.numpy()[:, :, None].astype(np.float16), name=f"{name}/scales")
    product = opset13.multiply(opset13.convert(codes, openvino.Type.f16), scales)
    whole = opset13.reshape(product, np.array([outputs, inputs], dtype=np.int64), special_zero=False)
    return opset13.convert(whole, openvino.Type.f32).output(0)
