"""Images that integer precisions are calibrated with, and that artefacts are probed and timed with."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core import canonical
from efficient360.core.measurement import Outcome
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.evaluator import Context, Examples
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.libraries.own_file import unlocated
from efficient360.models.model import Model, TorchModel

CALIBRATION = 128
PROBES = 16
HELD_BACK = "evaluated split without the compared images"
"""Condition of a precision that was calibrated without a training split."""

CALIBRATED = frozenset(precision.value for precision in Precision if precision.calibrated)


@final
@dataclass(frozen=True)
class CalibrationChoice:
    """The images that integer precisions are calibrated with.

    Args:
        images: float32 ``(n, 3, H, W)`` in [0, 1]; ``None`` where there is no data, or none is wanted.
        source: What is told of them as a condition; ``""`` for the training split.
    """

    images: NDArray[np.float32] | None
    source: str = ""

    def declared(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """The outcomes, those of calibrated precisions with the images' source among their conditions."""
        for outcome in outcomes:
            told = self.source and outcome.conditions.get("precision") in CALIBRATED
            yield replace(outcome, conditions={**outcome.conditions, "calibration": self.source}) if told else outcome


def choose(context: Context, wanted: bool) -> CalibrationChoice:
    """Images of the training split where there is one; else of the evaluated split, without the probes that artefacts are compared on.

    Args:
        context: Of the evaluator.
        wanted: Whether anything is to be calibrated.
    """
    if not wanted or (context.training is None and context.examples is None):
        return CalibrationChoice(None)
    if context.training is not None:
        return CalibrationChoice(sample_images(context.training, CALIBRATION, context.seed))
    examples = context.require_examples()
    compared = set(examples.subset(PROBES, context.seed).ids)
    others = examples.select([name for name in examples.ids if name not in compared])
    return CalibrationChoice(sample_images(others, CALIBRATION, context.seed), HELD_BACK) if len(others) else CalibrationChoice(None)


def sample_images(examples: Examples, n: int, seed: int) -> NDArray[np.float32]:
    """At most ``n`` images of a split, stratified by label and seeded: float32 ``(n, 3, H, W)`` in [0, 1]."""
    chosen = examples.subset(n, seed)
    return np.concatenate([batch.images.numpy() for batch in chosen.batches(32)]).astype(np.float32, copy=False)


def synthetic_images(size: tuple[int, int, int], n: int, seed: int) -> NDArray[np.float32]:
    """Seeded images float32 ``(n, 3, H, W)`` in [0, 1] where there is no data: coarse colour fields with fine noise on them, brighter and darker ones."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((n, size[0], 4, 4), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=size[1:], mode="bicubic").clamp(0, 1)
    fine = torch.rand((n, *size), generator=generator)
    images: NDArray[np.float32] = (0.75 * smooth + 0.25 * fine).numpy()
    return images


def probes(examples: Examples | None, size: tuple[int, int, int], seed: int) -> NDArray[np.float32]:
    """Images for the parity gate: of the data where there is some."""
    return synthetic_images(size, PROBES, seed) if examples is None else sample_images(examples, PROBES, seed)


def logits_of(model: Model, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """A model's logits float32 ``(n, K)``, one image at a time."""
    with torch.inference_mode():
        rows = [model(torch.from_numpy(image[None])).float().cpu().numpy() for image in images]
    return np.concatenate(rows)


def program_identity(checkpoint: Checkpoint, keep: tuple[int, ...] | None) -> str:
    """Digest of all that makes the program of a checkpoint: weights, architecture, preprocessing, kept outputs, torch's version."""
    parts = [
        checkpoint.digest,
        unlocated(checkpoint.architecture),
        dict(checkpoint.arguments),
        checkpoint.preprocessing.mean,
        checkpoint.preprocessing.std,
        keep,
        str(torch.__version__),
    ]
    return canonical.digest(parts, "the checkpoint")


def kept_outputs(model: TorchModel) -> tuple[int, ...] | None:
    """Indices of the outputs that a model keeps, ``None`` for all."""
    return None if model.module.keep is None else tuple(int(i) for i in model.module.keep)
