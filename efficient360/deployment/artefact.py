"""From a checkpoint to the artefact it is deployed as, running: what ``--as runtime:precision`` evaluates."""

import dataclasses
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from efficient360.core.measurement import Failure
from efficient360.deployment.devices.interleaving import IMAGES, load
from efficient360.deployment.devices.local import local_workspace, open_cores
from efficient360.deployment.devices.worker import WorkerProcess
from efficient360.deployment.runtimes import calibration_images, catalogue
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.parity import Parity, parity
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.errors import RunError
from efficient360.evaluator import Examples
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.model import Model, TorchModel

TIMEOUT = 600.0


@final
@dataclass(frozen=True)
class DeployedModel(Model):
    """An artefact running in a worker of this machine.

    Args:
        artefact: What runs.
        classes: Number of logits.
        link: Its worker, with the artefact loaded.
        folder: The worker's folder, where images and logits are exchanged.
        version: Of the runtime that runs it.
        parity: How its answers compare with the checkpoint's; ``None`` where they were not compared.
        keep: Indices of its outputs that are kept; ``None`` for all.
    """

    artefact: Artefact
    classes: int
    link: WorkerProcess
    folder: Path
    version: str
    parity: Parity | None = None
    keep: tuple[int, ...] | None = None

    @property
    def num_classes(self) -> int:
        return self.classes

    @property
    def input_size(self) -> tuple[int, int, int]:
        return self.artefact.size

    def __call__(self, images: Tensor) -> Tensor:
        """Logits float32 ``(B, K)`` of images ``(B, 3, H, W)`` in [0, 1], the artefact's batch at a time.

        Raises:
            WorkerFailed: The runtime raised, crashed or hung.
        """
        np.save(self.folder / "question.npy", images.detach().cpu().numpy().astype(np.float32, copy=False))
        self.link.ask("answer", TIMEOUT, images="question.npy", logits="answer.npy")
        logits = torch.from_numpy(np.load(self.folder / "answer.npy"))
        return logits if self.keep is None else logits[:, list(self.keep)]


@contextmanager
def run_artefact(artefact: Artefact, classes: int) -> Iterator[DeployedModel]:
    """The artefact loaded in a worker of this machine, ended afterwards.

    Raises:
        WorkerFailed: It can't be loaded.
    """
    with TemporaryDirectory() as spare, local_workspace(open_cores(), {}, None) as workspace:
        first = Path(spare) / IMAGES
        np.save(first, np.full((artefact.batch, *artefact.size), 0.5, np.float32))
        workspace.put(first, IMAGES)
        with closing(workspace.start()) as worker:
            loaded = load(workspace, worker, artefact, open_cores(), TIMEOUT)
            yield DeployedModel(artefact, classes, worker, workspace.folder, loaded["version"])


@final
@dataclass(frozen=True)
class Deployment:
    """A checkpoint as it is deployed.

    Args:
        model: The artefact, running.
        parity: How its answers compare with the checkpoint's on probe images.
        calibration: Which images the precision was calibrated with, ``""`` for those that take none.
    """

    model: DeployedModel
    parity: Parity
    calibration: str

    def describe(self) -> dict[str, Any]:
        """Plain JSON for the report's header."""
        artefact = self.model.artefact
        compared = {key: value for key, value in dataclasses.asdict(self.parity).items() if key != "per_image"}
        return {
            "runtime": artefact.runtime,
            "precision": artefact.precision.value,
            "version": self.model.version,
            "converter": dict(artefact.converter),
            "bytes": artefact.bytes,
            "digest": artefact.digest,
            "facts": dict(artefact.converted.facts),
            "calibration": self.calibration,
            "parity": compared,
        }


@final
@dataclass(frozen=True)
class CalibrationImages:
    """Where calibration images come from.

    Args:
        examples: The split.
        described: What a reader should know of it.
    """

    examples: Examples
    described: str


@contextmanager
def deploy(
    checkpoint: Checkpoint, model: TorchModel, target: str, calibration: CalibrationImages | None, probes: Examples | None, folder: Path, seed: int
) -> Iterator[Deployment]:
    """Convert a checkpoint (or take what was converted before), load it in a worker and compare its answers.

    Args:
        checkpoint: What is deployed.
        model: The same, loaded.
        target: ``runtime[:precision]``.
        calibration: Images for precisions that are calibrated.
        probes: Images of the comparison; invented ones where there are none.
        folder: Where artefacts are kept.
        seed: Of the images chosen.

    Raises:
        SettingsError: No such runtime or precision.
        RunError: It can't be converted; the message says why.
        WorkerFailed: It can't be loaded.
    """
    name, precision = catalogue.target(target)
    wanted = calibration if precision.calibrated else None
    chosen = None if wanted is None else calibration_images.sample_images(wanted.examples, calibration_images.CALIBRATION, seed)
    source = ModelSource(
        calibration_images.program_identity(checkpoint, calibration_images.kept_outputs(model)), model.module, model.input_size, chosen, folder
    )
    artefact = build(source, name, precision)
    if isinstance(artefact, Failure):
        raise RunError(artefact.code, f"{checkpoint.name} can't be evaluated as {target}: {artefact.message}", artefact.hint)
    questions = calibration_images.probes(probes, model.input_size, seed)
    reference = calibration_images.logits_of(model, questions)
    with run_artefact(artefact, model.num_classes) as running:
        answers = calibration_images.logits_of(running, questions)
        described = "" if wanted is None or chosen is None else f"{len(chosen)} images of {wanted.described}"
        compared = parity(reference, answers, precision)
        yield Deployment(dataclasses.replace(running, parity=compared), compared, described)


def identity(target: str) -> dict[str, Any]:
    """What of a deployment enters the key of an outcome: runtime, precision, and the versions that convert and run it."""
    name, precision = catalogue.target(target)
    runtime = catalogue.runtime(name)
    return {"runtime": name, "precision": precision.value, "converter": runtime.version, "versions": catalogue.versions(runtime)}
