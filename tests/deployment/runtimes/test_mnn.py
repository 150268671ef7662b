from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.parity import parity
from efficient360.deployment.runtimes.runtime import Artefact, Precision

pytest.importorskip("MNN")
pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]
SIZE = (3, 32, 32)
IMAGES = np.random.default_rng(0).random((4, *SIZE), np.float32)


def source(module: nn.Module, name: str, folder: Path) -> ModelSource:
    return ModelSource(name, module, SIZE, None, folder)


@pytest.mark.parametrize(("name", "batch"), [("small_vit", 1), ("small_cnn", 3)])
def test_answers_are_those_of_torch(name: str, batch: int, request: pytest.FixtureRequest, logits_of, tmp_path: Path) -> None:
    module: nn.Module = request.getfixturevalue(name)
    made = build(source(module, name, tmp_path), "mnn", Precision.FP32, batch=batch)
    assert isinstance(made, Artefact), made
    with torch.no_grad():
        reference = module(torch.from_numpy(IMAGES)).numpy()
    found = parity(reference, logits_of(made, IMAGES), Precision.FP32)
    assert found.passed, found.reason
    assert found.relative < 1e-3


class Bessel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.special.bessel_j0(images).mean((2, 3)))


def test_an_operator_that_is_not_known_is_named(tmp_path: Path) -> None:
    found = build(source(Bessel().eval(), "none", tmp_path), "mnn", Precision.FP32)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == (Status.UNSUPPORTED, "no-onnx")
    assert "bessel_j0" in found.message
