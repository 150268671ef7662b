import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_networks import SIZE, compared, convolutions, source, transformer
from torch import nn

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.local import Local
from efficient360.deployment.runtimes.building import build
from efficient360.deployment.runtimes.kit.sessions import onnxruntime as session
from efficient360.deployment.runtimes.runtime import Artefact, Precision

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
MODELS = {"vit": transformer(), "cnn": convolutions()}


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artefact | Failure]:
    folder = tmp_path_factory.mktemp("artefacts")
    vit, cnn = (source(module, name, folder) for name, module in MODELS.items())
    return {
        "vit": build(vit, "onnxruntime", Precision.FP32, batch=2),
        "vit-int8": build(vit, "onnxruntime", Precision.INT8, batch=2),
        "cnn": build(cnn, "onnxruntime", Precision.FP32),
        "cnn-int8": build(cnn, "onnxruntime", Precision.INT8),
    }


@pytest.mark.slow
def test_answers_in_float_are_the_networks_own(artefacts, tmp_path: Path) -> None:
    for name, model in MODELS.items():
        assert compared(model, artefacts[name], tmp_path).largest < 1e-4


@pytest.mark.slow
def test_answers_in_int8_pass_the_gate_and_are_quantized(artefacts, tmp_path: Path) -> None:
    for name, model in MODELS.items():
        found = compared(model, artefacts[f"{name}-int8"], tmp_path)
        assert found.passed, found.reason
        assert found.largest > 1e-4


@pytest.mark.slow
def test_weights_of_int8_keep_seven_bits_so_that_no_cpu_overflows(artefacts) -> None:
    graph = onnx.load(artefacts["vit-int8"].folder / "model.onnx").graph
    weights = [onnx.numpy_helper.to_array(value) for value in graph.initializer if value.data_type == onnx.TensorProto.INT8 and len(value.dims) > 1]
    linear = [module for module in MODELS["vit"].modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    assert sorted(value.size for value in weights) == sorted(module.weight.numel() for module in linear)
    assert max(int(np.abs(value).max()) for value in weights) == 64


@pytest.mark.slow
def test_one_onnx_file_serves_all_precisions(artefacts) -> None:
    root = artefacts["vit"].folder.parent.parent
    files = list(root.glob("shared-b2-*/*.onnx"))
    assert [file.name for file in files] == ["model.onnx"]
    assert files[0].read_bytes() == (artefacts["vit"].folder / "model.onnx").read_bytes()
    graph = onnx.load(files[0]).graph
    assert ([value.name for value in graph.input], [value.name for value in graph.output]) == (["images"], ["logits"])
    assert len(graph.node) == artefacts["vit"].converted.facts["nodes"]


@pytest.mark.slow
def test_operators_are_the_optimised_graph_each_with_its_time(artefacts, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((2, *SIZE), np.float32))
    rows = Local().operators(artefacts["vit"], tmp_path / "images.npy", 1, 60.0)
    assert not isinstance(rows, Failure), rows
    kinds = Counter(row["kind"] for row in rows)
    assert kinds["Softmax"] == 2
    assert kinds["Gemm"] + kinds["MatMul"] + kinds["FusedMatMul"] == 2 * (4 + 2) + 1
    assert sum(kinds.values()) == artefacts["vit"].converted.facts["nodes_optimised"]
    assert all(row["seconds"] >= 0 for row in rows)
    assert 0 < sum(row["seconds"] for row in rows) < 0.1
    assert {row["place"] for row in rows} == {"CPUExecutionProvider"}


def test_half_precision_is_not_offered_on_a_cpu(tmp_path: Path) -> None:
    found = build(source(MODELS["cnn"], "cnn", tmp_path), "onnxruntime", Precision.FP16)
    assert isinstance(found, Failure)
    assert (found.status, found.code, found.message) == (Status.UNSUPPORTED, "no-precision", "ONNX Runtime has no fp16 on a CPU")


def test_a_missing_package_is_told_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else real(name))
    found = build(source(MODELS["cnn"], "cnn", tmp_path), "onnxruntime", Precision.FP32)
    assert isinstance(found, Failure)
    assert found.message == "ONNX Runtime can't be converted for: onnxruntime not installed"
    assert "efficient360[onnxruntime]" in found.hint


@pytest.mark.slow
def test_an_operator_that_onnx_lacks_is_named(tmp_path: Path) -> None:
    class Orthogonal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(32, 10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(torch.linalg.qr(images.mean(1))[0][:, :, 0])

    found = build(source(Orthogonal().eval(), "qr", tmp_path), "onnxruntime", Precision.FP32)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == (Status.UNSUPPORTED, "no-onnx")
    assert found.message.endswith("the exporter has no translation of aten.linalg_qr.default")


def test_a_provider_that_this_build_lacks_is_refused() -> None:
    with pytest.raises(RuntimeError, match="has no MoonExecutionProvider, only .*CPUExecutionProvider"):
        session.load("nowhere", {"model": "model.onnx", "threads": 1, "provider": "MoonExecutionProvider"})


def test_a_provider_that_silently_gives_way_to_the_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fallen = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    library = SimpleNamespace(
        get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
        SessionOptions=SimpleNamespace,
        InferenceSession=lambda path, options, providers: fallen,
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", library)
    with pytest.raises(RuntimeError, match="could not start CUDAExecutionProvider and would have run on CPUExecutionProvider"):
        session.load("nowhere", {"model": "model.onnx", "threads": 1, "provider": "CUDAExecutionProvider"})
