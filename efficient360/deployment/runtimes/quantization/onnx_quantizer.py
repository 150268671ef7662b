"""ONNX files with quantized weights: ONNX Runtime's own quantizers for 8-bit activations, and weights on our grid for its products with weights in few bits."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.deployment.runtimes.onnx_file import INPUT
from efficient360.deployment.runtimes.quantization.by_value import operators_left
from efficient360.deployment.runtimes.quantization.weight_grid import GridWeight, group_of, round_to_nearest
from efficient360.deployment.runtimes.runtime import Build, Precision
from efficient360.deployment.runtimes.signature import Call

LAYERS: Final = ("Conv", "Gemm", "MatMul")
STATIC: Final = {"quantized": "Conv, Gemm, MatMul with weights", "weights": "7 of 8 bits by channel", "activations": "8 bits by tensor, from least to most"}
DYNAMIC: Final = {"quantized": "Gemm, MatMul with weights", "weights": "7 of 8 bits by channel", "activations": "8 bits by the range of each call"}
SMALLEST: Final = 1024
"""Tensors of fewer numbers stay in float32: they save nothing."""
ACCURACY_LEVEL: Final = {Precision.INT4_DYNAMIC: 4}
"""ONNX Runtime's name for the arithmetic of ``MatMulNBits``: 1 computes in float32, 4 rounds activations to 8 bits in blocks."""


def quantize(source: Path, build: Build, target: Path) -> dict[str, str]:
    """Write the file of a precision.

    Args:
        source: The program's ONNX file.
        build: Names the precision and what stays in float.
        target: File to write.

    Returns:
        What a reader should know of it.

    Raises:
        Unsupported: A layer that is to stay in float can't be found.
    """
    if build.precision in {Precision.INT8, Precision.INT8_SMOOTH}:
        _static(source, build, target)
        return STATIC
    if build.precision is Precision.INT8_DYNAMIC:
        _dynamic(source, build, target)
        return DYNAMIC
    import onnx

    model = onnx.load(source)
    if build.precision is Precision.W16:
        _in_half(model)
        facts = {"weights": "fp16, brought to float32 when the model is loaded"}
    else:
        facts = _in_few_bits(model, build, 8 if build.precision is Precision.W8 else 4)
    onnx.save(model, target)
    return facts


def _static(source: Path, build: Build, target: Path) -> None:
    """Static quantization with pairs of quantize and dequantize operators around the layers that carry weights.

    Weights keep 7 bits: CPUs without VNNI add two products of 8 by 8 bits in 16, which overflows and ruins the answers without a word. Products of two
    activations (attention) stay in float: quantizing them costs accuracy and saved no time here. ONNX Runtime's guide "Quantize ONNX models" has the first.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    calls = build.calibration_inputs(INPUT)

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        """Hands the calibration calls over one at a time."""

        def get_next(self) -> Call | None:
            """The next call by the names of the inputs, ``None`` after the last."""
            return next(calls, None)

    with TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        constant = {value.name for value in graph.initializer} | {node.output[0] for node in graph.node if node.op_type == "Constant"}
        products = [node.name for node in graph.node if node.op_type == "MatMul" and not constant & set(node.input)]
        quantize_static(
            str(prepared),
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=list(LAYERS),
            nodes_to_exclude=[*products, *operators_left(build, weights_of(graph))],
        )


def _dynamic(source: Path, build: Build, target: Path) -> None:
    """Weights in integers, activations brought to integers by operators that find their range; its own preparation would hide the weights."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(source)
    weights = weights_of(model.graph)
    stored = {tensor.name for tensor in model.graph.initializer}
    shapes = [value for value in model.graph.value_info if value.name not in stored]  # it transposes some weights, and trips over the shapes they had
    del model.graph.value_info[:]
    model.graph.value_info.extend(shapes)
    named = operators_left(build, weights)
    left = [*named, *(f"{name}_MatMul" for name in named)]  # what it makes of a Gemm before it looks at the names
    quantize_dynamic(model, target, ["MatMul", "Gemm"], per_channel=True, reduce_range=True, weight_type=QuantType.QInt8, nodes_to_exclude=left)


def weights_of(graph: Any) -> dict[str, NDArray[np.float32]]:
    """Weights of the layers of a graph by the node's name."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in LAYERS and len(node.input) > 1 and node.input[1] in tensors]
    return {node.name: numpy_helper.to_array(tensors[node.input[1]]) for node in nodes}


def _in_half(model: Any) -> None:
    """Store large tensors in fp16, with an operator behind each that ONNX Runtime computes once, when it loads the model."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= SMALLEST:
            name, values = tensor.name, numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_fp16"))
            casts.append(helper.make_node("Cast", [f"{name}_fp16"], [name], f"{name}_to_float32", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _in_few_bits(model: Any, build: Build, bits: int) -> dict[str, str]:
    """Put ``MatMulNBits``, with weights on our grid, in the place of the products with weights."""
    from onnx import helper

    graph = model.graph
    weights = weights_of(graph)
    left = set(operators_left(build, weights))
    nodes: list[Any] = []
    count = 0
    for node in graph.node:
        weight = weights.get(node.name)
        columns = None if weight is None or node.op_type == "Conv" or node.name in left else _by_output(node, weight)
        if columns is None or group_of(columns.shape[1]) is None:
            nodes.append(node)
            continue
        count += 1
        nodes += _replaced(graph, node, round_to_nearest(torch.from_numpy(columns.copy()), bits), ACCURACY_LEVEL.get(build.precision, 1))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    if not any(entry.domain == "com.microsoft" for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    activations = "8 bits in blocks" if build.precision in ACCURACY_LEVEL else "float32"
    return {"weights": f"{bits} bits by groups of inputs", "activations": activations, "quantized": f"{count} products with weights (MatMulNBits)"}


def _by_output(node: Any, weight: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The weight as ``(out, in)``; ``None`` where the operator does more than a product and a sum."""
    if weight.ndim != 2:
        return None
    if node.op_type == "MatMul":
        return weight.T
    given = {attribute.name: attribute for attribute in node.attribute}
    plain = all(given[name].f == 1 for name in ("alpha", "beta") if name in given) and not ("transA" in given and given["transA"].i)
    if not plain:
        return None
    return weight if "transB" in given and given["transB"].i else weight.T


def _replaced(graph: Any, node: Any, weight: GridWeight, accuracy_level: int) -> list[Any]:
    from onnx import helper, numpy_helper

    outputs, inputs = weight.codes.shape
    middle = 2 ** (weight.bits - 1)
    codes = (weight.codes.numpy().astype(np.int16) + middle).astype(np.uint8)
    packed = codes if weight.bits == 8 else codes[:, 0::2] | (codes[:, 1::2] << 4)
    names = [f"{node.name}_codes", f"{node.name}_scales"]
    graph.initializer.append(numpy_helper.from_array(packed.reshape(outputs, inputs // weight.group, -1), names[0]))
    graph.initializer.append(numpy_helper.from_array(weight.scales.numpy(), names[1]))
    summed = node.op_type == "Gemm" and len(node.input) > 2
    product = f"{node.name}_product" if summed else node.output[0]
    attributes = {"K": inputs, "N": outputs, "bits": weight.bits, "block_size": weight.group, "accuracy_level": accuracy_level}
    made = [helper.make_node("MatMulNBits", [node.input[0], *names], [product], f"{node.name}_few_bits", domain="com.microsoft", **attributes)]
    return [*made, helper.make_node("Add", [product, node.input[2]], [node.output[0]], f"{node.name}_sum")] if summed else made
