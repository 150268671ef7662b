"""From a candidate to an artefact whose answers are those of its own network: the parity gate stands before any timing."""

import hashlib
import zlib
from pathlib import Path
from typing import Final, final

import numpy as np

from efficient360.codesign.space import Candidate
from efficient360.codesign.vision.judging import resized
from efficient360.codesign.vision.metrics import PACKAGE_BYTES
from efficient360.codesign.vision.original import Original
from efficient360.codesign.vision.variants import Variant, Variants
from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.deployment.artefact import run_artefact
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.deployment.runtimes import calibration_images
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.parity import Parity, parity
from efficient360.deployment.runtimes.runtime import Artefact, Precision
from efficient360.errors import Efficient360Error

PROBES: Final = 16
"""Images of the selection part on which an artefact has to agree with its network."""


@final
class Making:
    """Makes artefacts, and keeps them on disk.

    Args:
        original: What they are made from.
        variants: Makes its networks.
        folder: Where artefacts and probes are kept.
    """

    def __init__(self, original: Original, variants: Variants, folder: Path) -> None:
        self._original, self._variants, self._folder = original, variants, folder

    def variant(self, candidate: Candidate, trained: bool) -> Variant | Failure:
        """A candidate's network, or why there is none."""
        try:
            return self._variants.make(candidate, trained)
        except Efficient360Error as error:
            return Failure.of(Status.UNSUPPORTED, error)

    def artefact(self, candidate: Candidate, variant: Variant) -> Artefact | Failure:
        """A candidate's artefact, converted or taken from an earlier call, or why there is none."""
        precision = Precision(str(candidate["precision"]))
        images = None
        if precision.calibrated:
            calibration = resized(self._original.parts.calibration, self._original.checkpoint.preprocessing, variant.model.size)
            images = np.concatenate([batch.images.numpy() for batch in calibration.batches(32)]).astype(np.float32, copy=False)
        source = ModelSource(variant.identity, variant.model.module, variant.model.size, images, self._folder)
        return build(source, str(candidate["runtime"]), precision)

    def probes(self, size: tuple[int, int, int]) -> Path:
        """File of probe images float32 ``(n, 3, H, W)`` of a size."""
        path = self._folder / f"probes-{'x'.join(map(str, size))}-{self._probed}.npy"
        if not path.is_file():
            examples = self._original.parts.selection
            chosen = resized(examples.select(examples.ids[:PROBES]), self._original.checkpoint.preprocessing, size)
            self._folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.npy")
            np.save(part, np.concatenate([batch.images.numpy() for batch in chosen.batches(PROBES)]))
            part.replace(path)
        return path

    def reference(self, variant: Variant) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        """The network's own logits of the probes, ``(n, K)``."""
        return calibration_images.logits_of(variant.model, np.load(self.probes(variant.model.size)))

    def gate(self, artefact: Artefact, variant: Variant) -> Parity | Failure:
        """How the artefact's answers, given on this machine, compare with its network's; a Failure where they may not count."""
        reference = self.reference(variant)
        try:
            with run_artefact(artefact, variant.model.classes) as running:
                answers = calibration_images.logits_of(running, np.load(self.probes(variant.model.size)))
        except WorkerFailed as error:
            return Failure.of(Status.FAILED, error)
        compared = parity(reference, answers, artefact.precision)
        return compared if compared.passed else not_at_parity(compared)

    @property
    def _probed(self) -> str:
        names = self._original.parts.selection.ids[:PROBES]
        return hashlib.sha256("\0".join(names).encode()).hexdigest()[:8]


def not_at_parity(compared: Parity) -> Failure:
    """That an artefact does not answer as its network does."""
    hint = "its time is not taken: a wrong answer's speed says nothing"
    return Failure(Status.FAILED, "parity", f"the artefact does not answer as its network does: {compared.reason}", hint)


def package_bytes(artefact: Artefact) -> Measurement:
    """Size of an artefact's files, each compressed by DEFLATE at its usual level."""
    files = [file for file in sorted(artefact.folder.rglob("*")) if file.is_file()]
    return Measurement(PACKAGE_BYTES, sum(len(zlib.compress(file.read_bytes(), 6)) for file in files))
