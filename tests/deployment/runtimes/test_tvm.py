import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import efficient360.deployment.runtimes
from efficient360.core.measurement import Failure, Status
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.parity import parity
from efficient360.deployment.runtimes.runtime import Artefact, Precision

# Found, not imported: collection alone would take seconds for it in each of pytest's processes.
pytestmark = [pytest.mark.slow, pytest.mark.exhaustive, pytest.mark.skipif(find_spec("tvm") is None, reason="tvm is not installed")]
SIZE = (3, 32, 32)
IMAGES = np.random.default_rng(0).random((4, *SIZE), np.float32)


def source(module: nn.Module, name: str, folder: Path) -> ModelSource:
    return ModelSource(name, module, SIZE, None, folder)


@pytest.mark.parametrize(("name", "batch"), [("small_vit", 1), ("small_cnn", 3)])
def test_answers_are_those_of_torch(name: str, batch: int, request: pytest.FixtureRequest, logits_of, tmp_path: Path) -> None:
    module: nn.Module = request.getfixturevalue(name)
    made = build(source(module, name, tmp_path), "tvm", Precision.FP32, batch=batch)
    assert isinstance(made, Artefact), made
    with torch.no_grad():
        reference = module(torch.from_numpy(IMAGES)).numpy()
    found = parity(reference, logits_of(made, IMAGES), Precision.FP32)
    assert found.passed, found.reason
    assert found.relative < 1e-3


TELL = """
import json, sys
import numpy as np
from kit.sessions.tvm import operators
print(json.dumps(operators(sys.argv[1], {"model": "model.so", "threads": 1}, np.ones((1, 3, 32, 32), np.float32))))
"""


def test_each_compiled_function_of_the_program_has_its_time(small_cnn: nn.Module, tmp_path: Path) -> None:
    made = build(source(small_cnn, "cnn", tmp_path), "tvm", Precision.FP32)
    assert isinstance(made, Artefact), made
    kit = Path(efficient360.deployment.runtimes.__file__).parent
    done = subprocess.run([sys.executable, "-c", TELL, str(made.folder)], cwd=kit, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    assert sum("conv2d" in row["name"] for row in rows) >= 2
    assert not any(row["name"].startswith("vm.") for row in rows)
    assert not any(row["kind"].endswith(tuple("0123456789")) for row in rows)
    assert all(row["seconds"] > 0 and row["place"] == "cpu" for row in rows)


class Bessel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.special.bessel_j0(images).mean((2, 3)))


def test_an_operator_that_is_not_known_is_named(tmp_path: Path) -> None:
    found = build(source(Bessel().eval(), "none", tmp_path), "tvm", Precision.FP32)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == (Status.UNSUPPORTED, "no-relax")
    assert "bessel_j0" in found.message
