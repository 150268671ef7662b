"""Every precision of the runtimes that quantize: the answers, and that exactly the layers named stay in float."""

import dataclasses
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from small_networks import SIZE, compared, source
from torch import nn

from efficient360.core.measurement import Failure
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.program import network
from efficient360.deployment.runtimes.quantization.layers import value_of
from efficient360.deployment.runtimes.quantization.weight_grid import round_to_nearest
from efficient360.deployment.runtimes.runtime import Artefact, Precision

LEFT = ("blocks.0.mlp.fc1", "head")
LINEAR = 9
"""Linear layers of the network; a convolution stands before them."""
RUNTIMES = [
    pytest.param("onnxruntime", marks=pytest.mark.slow),
    pytest.param("openvino", marks=pytest.mark.slow),
    pytest.param("litert", marks=[pytest.mark.slow, pytest.mark.exhaustive]),
    pytest.param("executorch", marks=[pytest.mark.slow, pytest.mark.exhaustive]),
]
LARGEST = {Precision.FP32: 1e-4, Precision.W16: 0.002, Precision.W8: 0.03, Precision.W4_GPTQ: 0.1, Precision.W4: 0.4}
"""Difference of logits as a share of their spread; weights in 4 bits rounded to nearest reach 0.22 here, with error feedback 0.03."""


def vit() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=2, num_classes=10)
        nn.init.normal_(model.head.weight, std=0.5)
    return model.eval()


def given(folder: Path, left: tuple[str, ...] = ()) -> ModelSource:
    return dataclasses.replace(source(vit(), "vit-64", folder), float_layers=left)


def built(folder: Path, runtime: str, precision: Precision, left: tuple[str, ...] = ()) -> Artefact:
    if catalogue.missing(catalogue.runtime(runtime)):
        pytest.skip(f"{runtime} is not installed")
    made = build(given(folder, left), runtime, precision)
    assert isinstance(made, Artefact), made
    return made


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_answers_of_every_precision(runtime: str, tmp_path: Path) -> None:
    for precision in catalogue.runtime(runtime).precisions:
        if precision is Precision.BF16:
            continue  # a matter of the CPU
        found = compared(vit(), built(tmp_path, runtime, precision), tmp_path)
        assert found.passed, (precision, found.reason)
        assert found.relative < LARGEST.get(precision, 0.1), precision


def quantized(runtime: str, artefact: Artefact) -> int:
    """How many products with weights the artefact computes with integers or in few bits, told from its own file."""
    if runtime == "onnxruntime":
        import onnx

        graph = onnx.load(artefact.folder / "model.onnx").graph
        stored = {tensor.name for tensor in graph.initializer if tensor.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8) and len(tensor.dims) > 1}
        return len([node for node in graph.node if node.op_type in ("DequantizeLinear", "MatMulNBits", "MatMulInteger") and stored & set(node.input)])
    if runtime == "openvino":
        import openvino

        model = openvino.Core().read_model(artefact.folder / "model.xml")
        return len([op for op in model.get_ops() if op.get_type_name() == "Constant" and str(op.get_element_type()) in INTEGERS and len(op.shape) > 1])
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(artefact.folder / "model.tflite"))
    interpreter.allocate_tensors()
    types = {row["index"]: row["dtype"] for row in interpreter.get_tensor_details()}
    layers = [node for node in interpreter._get_ops_details() if node["op_name"] in ("FULLY_CONNECTED", "CONV_2D")]
    return len([node for node in layers if types[int(node["inputs"][1])] == np.int8])


INTEGERS = {"<Type: 'int8_t'>", "<Type: 'int4_t'>"}
COUNTED = [
    pytest.param("onnxruntime", {Precision.INT8: 1, Precision.INT8_DYNAMIC: 0, Precision.W8: 0, Precision.W4_GPTQ: 0}, marks=pytest.mark.slow),
    pytest.param("openvino", {Precision.INT8: 1, Precision.W8: 1, Precision.W4: 0}, marks=pytest.mark.slow),
    pytest.param("litert", {Precision.INT8: 1, Precision.INT8_DYNAMIC: 1}, marks=[pytest.mark.slow, pytest.mark.exhaustive]),
]
"""By precision, how many convolutions are quantized."""


@pytest.mark.parametrize(("runtime", "convolutions"), COUNTED)
def test_exactly_the_layers_named_stay_in_float(runtime: str, convolutions: dict[Precision, int], tmp_path: Path) -> None:
    for precision, more in convolutions.items():
        assert quantized(runtime, built(tmp_path, runtime, precision)) == LINEAR + more, precision
        assert quantized(runtime, built(tmp_path, runtime, precision, LEFT)) == LINEAR + more - len(LEFT), precision


@pytest.mark.parametrize("runtime", RUNTIMES[:3])
def test_a_layer_that_does_not_exist(runtime: str, tmp_path: Path) -> None:
    if catalogue.missing(catalogue.runtime(runtime)):
        pytest.skip(f"{runtime} is not installed")
    found = build(given(tmp_path, ("blocks.0.mlp.fc3",)), runtime, Precision.INT8_DYNAMIC if runtime != "openvino" else Precision.W8)
    assert isinstance(found, Failure)
    assert found.code == "no-such-layer"
    assert "blocks.0.mlp.fc1" in found.hint


def signed(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Two codes of four bits from each byte."""
    halves = np.concatenate([(packed & 15).ravel(), (packed >> 4).ravel()]).astype(np.int64)
    return (halves ^ 8) - 8


@pytest.mark.slow
@pytest.mark.skipif(find_spec("openvino") is None or find_spec("onnxruntime") is None, reason="OpenVINO or ONNX Runtime is not installed")
def test_codes_chosen_by_error_feedback_are_the_artefacts_own(tmp_path: Path) -> None:
    import onnx
    import openvino

    first = built(tmp_path, "onnxruntime", Precision.W4_GPTQ)
    second = built(tmp_path, "openvino", Precision.W4_GPTQ)
    (program,) = tmp_path.glob("shared-b1-*/gptq-*/program.pt2")  # prepared once for both
    graph = network(program)
    wanted = {}
    for layer in ("blocks.0.attn.qkv", "blocks.1.mlp.fc2", "head"):
        grid = round_to_nearest(value_of(graph, f"{layer}.weight").detach(), 4)
        wanted[layer] = np.sort(grid.codes.numpy().astype(int), axis=None).tolist()
    tensors = [onnx.numpy_helper.to_array(t) for t in onnx.load(first.folder / "model.onnx").graph.initializer if re.search(r"_codes$", t.name)]
    codes = [np.sort(np.concatenate([(t & 15).ravel(), (t >> 4).ravel()]).astype(int) - 8).tolist() for t in tensors]
    model = openvino.Core().read_model(second.folder / "model.xml")
    packed = [op for op in model.get_ops() if op.get_type_name() == "Constant" and str(op.get_element_type()) == "<Type: 'int4_t'>"]
    others = [np.sort(signed(op.get_data(dtype=np.int8).view(np.uint8))).tolist() for op in packed]
    assert len(codes) == len(others) == LINEAR
    for layer, values in wanted.items():
        assert values in codes, layer
        assert values in others, layer


def test_the_key_of_an_artefact_holds_the_layers_in_float_where_they_matter(tmp_path: Path) -> None:
    from efficient360.deployment.runtimes.building import _key, _prepared

    plain, left = given(tmp_path), given(tmp_path, LEFT)
    assert _key(plain, "onnxruntime", Precision.FP32, 1) == _key(left, "onnxruntime", Precision.FP32, 1)
    assert _key(plain, "onnxruntime", Precision.INT8, 1) != _key(left, "onnxruntime", Precision.INT8, 1)
    assert _prepared(plain, Precision.INT8, tmp_path) is None
    folders = {_prepared(s, p, tmp_path) for s in (plain, left) for p in (Precision.INT8_SMOOTH, Precision.W4_GPTQ, Precision.INT4_DYNAMIC)}
    assert len(folders) == 4  # the last two precisions share one
    other = dataclasses.replace(plain, calibration=np.zeros((1, *SIZE), np.float32))
    assert _prepared(other, Precision.W4_GPTQ, tmp_path) not in folders
