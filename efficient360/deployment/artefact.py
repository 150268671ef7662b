"""From a checkpoint to the artefact it is deployed as, running: what ``--as runtime:precision`` evaluates."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from efficient360.core.measurement import Failure
from efficient360.deployment.devices.deployed import DeployedModel, deployed
from efficient360.deployment.runtimes import catalogue, images
from efficient360.deployment.runtimes.building import Source, build
from efficient360.deployment.runtimes.parity import Parity, parity
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.errors import RunError
from efficient360.evaluator import Examples
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class Deployment:
    """A checkpoint as it is deployed.

    Args:
        model: The artefact, running.
        parity: How its answers compare with the checkpoint's on probe images.
        calibration: Which images int8 was calibrated with, ``""`` for other precisions.
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
class Calibration:
    """Where calibration images come from.

    Args:
        examples: The split.
        described: What a reader should know of it.
    """

    examples: Examples
    described: str


@contextmanager
def deploy(
    checkpoint: Checkpoint, model: TorchModel, target: str, calibration: Calibration | None, probes: Examples | None, folder: Path, seed: int
) -> Iterator[Deployment]:
    """Convert a checkpoint (or take what was converted before), load it in a worker and compare its answers.

    Args:
        checkpoint: What is deployed.
        model: The same, loaded.
        target: ``runtime[:precision]``.
        calibration: Images for int8.
        probes: Images of the comparison; invented ones where there are none.
        folder: Where artefacts are kept.
        seed: Of the images chosen.

    Raises:
        SettingsError: No such runtime or precision.
        RunError: It can't be converted; the message says why.
        WorkerFailed: It can't be loaded.
    """
    name, precision = catalogue.target(target)
    wanted = calibration if precision is Precision.INT8 else None
    chosen = None if wanted is None else images.pixels(wanted.examples, images.CALIBRATION, seed)
    source = Source(images.program_identity(checkpoint, images.kept(model)), model.module, model.input_size, chosen, folder)
    artefact = build(source, name, precision)
    if isinstance(artefact, Failure):
        raise RunError(artefact.code, f"{checkpoint.name} can't be evaluated as {target}: {artefact.message}", artefact.hint)
    questions = images.probes(probes, model.input_size, seed)
    reference = images.answers(model, questions)
    with deployed(artefact, model.num_classes) as running:
        answers = images.answers(running, questions)
        described = "" if wanted is None or chosen is None else f"{len(chosen)} images of {wanted.described}"
        yield Deployment(running, parity(reference, answers, precision), described)


def identity(target: str) -> dict[str, Any]:
    """What of a deployment enters the key of an outcome: runtime, precision, and the versions that convert and run it."""
    name, precision = catalogue.target(target)
    found = catalogue.runtime(name)
    return {"runtime": name, "precision": precision.value, "converter": found.version, "versions": catalogue.versions(found)}
