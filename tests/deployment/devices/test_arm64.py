"""Artefacts on ARM64 wheels of their runtimes, under qemu-user: whether the answers are right, never how fast they come.

Optional: scripts/arm64-root.sh makes the folder that EFFICIENT360_ARM64 names.
"""

import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from efficient360.conformance import subject
from efficient360.core.measurement import Failure
from efficient360.deployment.devices.interleaving import IMAGES, load, probe_logits
from efficient360.deployment.devices.worker import KIT, WorkerProcess, Workspace
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.parity import parity
from efficient360.deployment.runtimes.runtime import Precision

ROOT = os.environ.get("EFFICIENT360_ARM64", "")
QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64") or ""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ROOT, reason="EFFICIENT360_ARM64 names no ARM64 root (scripts/arm64-root.sh makes one)"),
    pytest.mark.skipif(not QEMU, reason="qemu-user-static is not installed"),
]


@dataclass(frozen=True)
class Board(Workspace):
    """An emulated ARM64 board."""

    folder: Path

    @property
    def cores(self) -> int:
        return 1

    def put(self, path: Path, name: str) -> None:
        if not (self.folder / name).exists():
            (self.folder / name).symlink_to(path.resolve())

    def get(self, name: str, path: Path) -> None:
        shutil.copyfile(self.folder / name, path)

    def start(self) -> WorkerProcess:
        command = (QEMU, "-L", ROOT, f"{ROOT}/usr/bin/python3.11", "-m", "kit.worker")
        packages = f"{ROOT}/usr/lib/python3/dist-packages"
        variables = {"PYTHONPATH": f"{self.folder}:{packages}", "PYTHONHOME": f"{ROOT}/usr", "PATH": os.environ["PATH"], "LD_LIBRARY_PATH": ""}
        return WorkerProcess(command, variables, None, self.folder, None)


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime", "ncnn", "mnn"])
def test_the_arm64_wheel_answers_as_the_model_does(runtime: str, tmp_path: Path) -> None:
    for module in catalogue.runtime(runtime).converts_with:
        pytest.importorskip(module)
    on = subject()
    images = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    artefact = build(ModelSource("subject", on.model.module, on.model.size, None, tmp_path / "artefacts"), runtime, Precision.FP32)
    if isinstance(artefact, Failure):
        pytest.fail(artefact.message)
    board = Board(tmp_path / "board")
    board.folder.mkdir()
    board.put(KIT, "kit")
    np.save(board.folder / IMAGES, images.numpy())
    with closing(board.start()) as link:
        assert load(board, link, artefact, 1, 500.0)["version"]
        found = probe_logits(board, link, 500.0)
    with torch.inference_mode():
        compared = parity(on.model(images).numpy(), found, Precision.FP32)
    assert not compared.reason
    assert compared.relative < 0.01
