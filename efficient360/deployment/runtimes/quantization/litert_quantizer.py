"""LiteRT's own quantizer, told which operators to take and how."""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from efficient360.deployment.runtimes.quantization.by_value import operators_left
from efficient360.deployment.runtimes.quantization.weight_grid import group_of
from efficient360.deployment.runtimes.runtime import Build, Precision

LAYERS: Final = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE")
"""What is quantized. With every operator in int8, softmax, GELU and normalisation lose accuracy, and XNNPACK takes a transformer in dozens of pieces."""
CALL: Final = "8 bits by the range of each call"


def quantize(path: Path, build: Build) -> dict[str, str]:
    """Quantize a model's file in place.

    Returns:
        What a reader should know of it.

    Raises:
        Unsupported: A layer that is to stay in float can't be found.
    """
    from ai_edge_quantizer import quantizer, recipe_manager

    recipe = recipe_manager.RecipeManager()
    weights = _weights(path)
    facts = _configure(recipe, build.precision, {scope: weight for scope, (kind, weight) in weights.items() if kind == LAYERS[0]})
    for scope in operators_left(build, {scope: weight for scope, (_, weight) in weights.items()}):
        for kind in LAYERS:
            recipe.add_quantization_config(f"^{re.escape(scope)}$", _operation(kind), algorithm_key="no_quantize")
    ranges = _observed(path, build, recipe) if recipe.need_calibration() else None
    model = quantizer.Quantizer(str(path), recipe.get_quantization_recipe())
    model.quantize(ranges, enable_progress_report=False).export_model(str(path), overwrite=True)
    return facts


def _operation(kind: str) -> Any:
    from ai_edge_quantizer import qtyping

    return qtyping.TFLOperationName(kind)


def _configure(recipe: Any, precision: Precision, linear: dict[str, NDArray[np.float32]]) -> dict[str, str]:
    """Say what is to be done with which operators; ``linear`` are the weights of fully connected ones by scope."""
    if precision is Precision.INT4_DYNAMIC:  # its kernels take weights in groups with activations in 8 bits only
        for scope, weight in linear.items():
            if (group := group_of(weight.shape[1])) is not None:
                recipe.add_dynamic_config(f"^{re.escape(scope)}$", _operation(LAYERS[0]), 4, _granularity(group))
        return {"weights": "4 bits by groups of inputs", "activations": CALL, "quantized": LAYERS[0]}
    for operation in map(_operation, LAYERS):
        if precision is Precision.W16:
            recipe.add_weight_only_config(".*", operation, 16, algorithm_key="float_casting")
        elif precision is Precision.W8:
            recipe.add_weight_only_config(".*", operation, 8)
        elif precision is Precision.INT8_DYNAMIC:
            recipe.add_dynamic_config(".*", operation, 8)
        else:
            recipe.add_static_config(".*", operation, activation_num_bits=8, weight_num_bits=8)
    weights = "fp16, brought to float32 when the model is loaded" if precision is Precision.W16 else "8 bits by output channel"
    activations = {Precision.W16: "float32", Precision.W8: "float32", Precision.INT8_DYNAMIC: CALL}.get(precision, "8 bits by tensor, from least to most")
    return {"weights": weights, "activations": activations, "quantized": ", ".join(LAYERS)}


def _granularity(group: int) -> Any:
    from ai_edge_quantizer import qtyping

    return qtyping.QuantGranularity(f"BLOCKWISE_{group}")


def _observed(path: Path, build: Build, recipe: Any) -> Any:
    """Ranges of activations over the calibration images."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    ((signature, names),) = Interpreter(str(path)).get_signature_list().items()
    # Its own moving average forgets extremes, and what lies beyond the range is cut off: the whole range serves transformers better.
    observer = calibrator.Calibrator(str(path), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    calls: Any = build.calibration_inputs(names["inputs"][0])
    if build.signature is not None:  # the converter numbers the inputs, and narrows integers
        calls = ({f"args_{i}": _narrow(call[name]) for i, name in enumerate(build.signature.names)} for call in calls)
    observer.calibrate({signature: list(calls)}, recipe)
    return observer.get_model_qsvs()


def _narrow(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.int32) if array.dtype == np.int64 else array


def _weights(path: Path) -> dict[str, tuple[str, NDArray[np.float32]]]:
    """Kind and weight of the operators that may be quantized, by their scope in the quantizer's recipes: the names of what they put out."""
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils

    model = tfl_flatbuffer_utils.read_model(str(path))
    weights = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            kind = tfl_flatbuffer_utils.TFL_OP_CODE_TO_NAME.get(model.operatorCodes[operator.opcodeIndex].builtinCode)
            if kind is not None and kind.value in LAYERS:
                values = tfl_flatbuffer_utils.get_tensor_data(graph.tensors[operator.inputs[1]], model.buffers)
                if values is not None:
                    weights[tfl_flatbuffer_utils.get_op_scope(operator, graph.tensors)] = kind.value, values
    return weights
