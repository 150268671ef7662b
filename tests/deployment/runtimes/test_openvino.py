import importlib.util
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from small_networks import SIZE, compared, convolutions, source, transformer
from torch import nn

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.device import Job, Schedule
from efficient360.deployment.devices.local import Local
from efficient360.deployment.runtimes.building import build
from efficient360.deployment.runtimes.runtime import Artefact, Precision

# Found, not imported: collection alone would take seconds for them in each of pytest's processes.
pytestmark = pytest.mark.skipif(not all(map(importlib.util.find_spec, ("openvino", "nncf"))), reason="openvino or nncf is not installed")
MODELS = {"vit": transformer(), "cnn": convolutions()}


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artefact | Failure]:
    folder = tmp_path_factory.mktemp("artefacts")
    vit, cnn = (source(module, name, folder) for name, module in MODELS.items())
    return {
        "vit": build(vit, "openvino", Precision.FP32, batch=2),
        "vit-int8": build(vit, "openvino", Precision.INT8, batch=2),
        "cnn": build(cnn, "openvino", Precision.FP32),
        "cnn-int8": build(cnn, "openvino", Precision.INT8),
        "cnn-bf16": build(cnn, "openvino", Precision.BF16),
    }


@pytest.mark.slow
@pytest.mark.exhaustive
def test_answers_in_float_are_the_networks_own(artefacts, tmp_path: Path) -> None:
    for name, model in MODELS.items():
        assert compared(model, artefacts[name], tmp_path).largest < 1e-4


@pytest.mark.slow
@pytest.mark.exhaustive
def test_answers_in_int8_pass_the_gate_and_are_quantized(artefacts, tmp_path: Path) -> None:
    for name, model in MODELS.items():
        found = compared(model, artefacts[f"{name}-int8"], tmp_path)
        assert found.passed, found.reason
        assert found.largest > 1e-4


@pytest.mark.slow
@pytest.mark.exhaustive
def test_weights_are_stored_in_float32_and_in_int8(artefacts) -> None:
    def stored(name: str, kind: str) -> list[int]:
        layers = ElementTree.parse(artefacts[name].folder / "model.xml").getroot().iter("layer")
        data = [layer.find("data").attrib for layer in layers if layer.get("type") == "Const"]
        return sorted(int(np.prod([int(n) for n in one["shape"].split(",")])) for one in data if one["element_type"] == kind and one["shape"].count(","))

    matrices = sorted(module.weight.numel() for module in MODELS["vit"].modules() if isinstance(module, nn.Linear | nn.Conv2d))
    assert stored("vit-int8", "i8") == matrices
    assert all(size in stored("vit", "f32") for size in matrices)
    assert stored("vit", "f16") == []


@pytest.mark.slow
@pytest.mark.exhaustive
def test_shapes_are_fixed(artefacts) -> None:
    import openvino

    for name, batch in (("vit", 2), ("vit-int8", 2), ("cnn", 1), ("cnn-int8", 1)):
        model = openvino.Core().read_model(artefacts[name].folder / "model.xml")
        assert not model.is_dynamic()
        assert list(model.input(0).shape) == [batch, *SIZE]
        assert list(model.output(0).shape) == [batch, 10]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_bf16_is_computed_only_where_the_cpu_has_it(artefacts, tmp_path: Path) -> None:
    import openvino

    np.save(tmp_path / "images.npy", np.zeros((1, *SIZE), np.float32))
    schedule = Schedule(runs=3, seconds=0.0, blocks=1, warm_runs=1, warm_seconds=0.0, repeats=0)
    ((_, found),) = Local().measure([Job(artefacts["cnn-bf16"], 1)], tmp_path / "images.npy", schedule, lambda done, total: None)
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert not isinstance(found, Failure), found
    else:
        assert isinstance(found, Failure)
        assert "this CPU computes no bf16" in found.message


@pytest.mark.slow
@pytest.mark.exhaustive
def test_operators_are_the_execution_graph_each_with_its_time(artefacts, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((2, *SIZE), np.float32))
    rows = Local().operators(artefacts["vit"], tmp_path / "images.npy", 1, 60.0)
    assert not isinstance(rows, Failure), rows
    kinds = Counter(row["kind"] for row in rows)
    assert kinds["FullyConnected"] + kinds["MatMul"] >= 2 * 4 + 1
    assert all(row["seconds"] > 0 and row["place"] for row in rows)
    assert sum(row["seconds"] for row in rows) < 0.1


@pytest.mark.slow
@pytest.mark.exhaustive
def test_an_operator_that_it_lacks_is_named(tmp_path: Path) -> None:
    class Orthogonal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(32, 10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(torch.linalg.qr(images.mean(1))[0][:, :, 0])

    found = build(source(Orthogonal().eval(), "qr", tmp_path), "openvino", Precision.FP32)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == (Status.UNSUPPORTED, "no-openvino-operator")
    assert found.message == "OpenVINO has no translation of aten.linalg_qr.default"


def test_a_precision_it_does_not_have(tmp_path: Path) -> None:
    found = build(source(MODELS["cnn"], "cnn", tmp_path), "openvino", Precision.FP16)
    assert isinstance(found, Failure)
    assert (found.status, found.code, found.message) == (Status.UNSUPPORTED, "no-precision", "OpenVINO has no fp16 on a CPU")


def test_a_missing_package_is_told_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nncf" else real(name))
    found = build(source(MODELS["cnn"], "cnn", tmp_path), "openvino", Precision.FP32)
    assert isinstance(found, Failure)
    assert found.message == "OpenVINO can't be converted for: nncf not installed"
    assert "efficient360[openvino]" in found.hint
