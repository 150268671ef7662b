from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.parity import parity
from efficient360.deployment.runtimes.runtime import Artefact, Precision

pytest.importorskip("pnnx")
pytest.importorskip("ncnn")
pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]
SIZE = (3, 32, 32)
IMAGES = np.random.default_rng(0).random((4, *SIZE), np.float32)


def source(module: nn.Module, name: str, folder: Path) -> ModelSource:
    return ModelSource(name, module, SIZE, None, folder)


@pytest.mark.parametrize("name", ["small_vit", "small_cnn"])
def test_answers_are_those_of_torch(name: str, request: pytest.FixtureRequest, logits_of, tmp_path: Path) -> None:
    module: nn.Module = request.getfixturevalue(name)
    made = build(source(module, name, tmp_path), "ncnn", Precision.FP32)
    assert isinstance(made, Artefact), made
    assert sorted(f.name for f in made.folder.iterdir()) == ["model.bin", "model.param"]
    with torch.no_grad():
        reference = module(torch.from_numpy(IMAGES)).numpy()
    found = parity(reference, logits_of(made, IMAGES), Precision.FP32)
    assert found.passed, found.reason
    assert found.relative < 1e-3


def test_bf16_is_another_arithmetic_within_its_tolerance(small_vit: nn.Module, logits_of, tmp_path: Path) -> None:
    made = build(source(small_vit, "vit", tmp_path), "ncnn", Precision.BF16)
    assert isinstance(made, Artefact), made
    with torch.no_grad():
        reference = small_vit(torch.from_numpy(IMAGES)).numpy()
    found = parity(reference, logits_of(made, IMAGES), Precision.BF16)
    assert found.passed, found.reason
    assert found.relative > 1e-4  # in float32 it is a thousand times less


class CumulativeProduct(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)).cumprod(1)


def test_an_operator_without_a_layer_is_named(tmp_path: Path) -> None:
    module = nn.Sequential(CumulativeProduct(), nn.Linear(3, 10)).eval()
    found = build(source(module, "product", tmp_path), "ncnn", Precision.FP32)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == (Status.UNSUPPORTED, "ncnn-operator")
    assert "cumprod" in found.message


def test_more_than_one_image_a_call_is_refused_before_anything_is_exported(small_vit: nn.Module, tmp_path: Path) -> None:
    found = build(source(small_vit, "vit", tmp_path), "ncnn", Precision.FP32, batch=2)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == (Status.UNSUPPORTED, "no-batch")
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_an_error_and_no_crash(small_cnn: nn.Module, logits_of, tmp_path: Path) -> None:
    made = build(source(small_cnn, "cnn", tmp_path), "ncnn", Precision.FP32)
    assert isinstance(made, Artefact), made
    (made.folder / "model.param").write_text("7767517\n1 1\nNoSuchLayer a 0 1 out0\n")
    with pytest.raises(WorkerFailed, match=r"model\.param"):
        logits_of(made, IMAGES)
