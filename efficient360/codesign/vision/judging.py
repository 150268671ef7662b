"""Accuracy of a running artefact, in pairs with the original; what was answered once is kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core import canonical
from efficient360.core.measurement import Failure, Status
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.images import decoder_for
from efficient360.deployment.artefact import run_artefact
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.models.checkpoint import Preprocessing
from efficient360.models.model import Model
from efficient360.storage.row_log import RowLog

BATCH: Final = 32
OnImages = Callable[[int, int], None]
Hits = NDArray[np.bool_]


def resized(examples: ExampleSet, preprocessing: Preprocessing, size: tuple[int, int, int]) -> ExampleSet:
    """The examples as a network of another input size sees them: the checkpoint's own resizing and crop, to that size."""
    return replace(examples, decoder=decoder_for(replace(preprocessing, input_size=size), examples.white))


@final
@dataclass(frozen=True)
class Answers:
    """Which images models name rightly, kept by model and images.

    Args:
        folder: Where logits are kept.
        preprocessing: Of the checkpoint.
    """

    folder: Path
    preprocessing: Preprocessing

    def hits(self, model: Model, identity: str, examples: ExampleSet, first: int | None = None, on_images: OnImages = lambda done, total: None) -> Hits:
        """Whether a model's most likely class is the true one, bool ``(n,)``. An answer that is no finite number is wrong.

        Args:
            model: What answers.
            identity: Digest of it.
            examples: The images.
            first: Only so many of them, from the first on; ``None`` takes all.
            on_images: Told how many are answered.

        Raises:
            WorkerFailed: A runtime raised, crashed or hung.
        """
        n = len(examples) if first is None else min(first, len(examples))
        log = self._log(identity, examples, model.num_classes)
        if len(log) < n:
            done = len(log) // BATCH * BATCH
            log.truncate(done)
            seen = resized(examples.select(examples.ids[:n]), self.preprocessing, model.input_size)
            for batch in seen.batches(BATCH, done):
                log.append(model.logits(batch).float().cpu().numpy())
                done += len(batch)
                on_images(done, n)
        return self._read(identity, examples, model.num_classes, n)

    def artefact_hits(self, artefact: Artefact, classes: int, examples: ExampleSet, first: int | None = None) -> Hits | Failure:
        """The same of an artefact, which runs on this machine where its answers are not kept already; or why nobody knows."""
        n = len(examples) if first is None else min(first, len(examples))
        if len(self._log(artefact.digest, examples, classes)) >= n:
            return self._read(artefact.digest, examples, classes, n)
        try:
            with run_artefact(artefact, classes) as running:
                return self.hits(running, artefact.digest, examples, first)
        except WorkerFailed as error:
            return Failure.of(Status.FAILED, error)

    def _read(self, identity: str, examples: ExampleSet, classes: int, n: int) -> Hits:
        logits = self._log(identity, examples, classes).read(0, n)
        right: Hits = (logits.argmax(1) == examples.labels[:n]) & np.isfinite(logits).all(1)
        return right

    def _log(self, identity: str, examples: ExampleSet, classes: int) -> RowLog:
        name = canonical.digest([identity, list(examples.ids)], "the answers")[:24]
        self.folder.mkdir(parents=True, exist_ok=True)
        return RowLog(self.folder / f"{name}.f32", classes)
