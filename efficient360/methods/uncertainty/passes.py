"""Passes over the same images while layers drop."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from efficient360.core.batch import Batch
from efficient360.core.seeding import generators
from efficient360.methods.uncertainty.disagreement import Answers, answers
from efficient360.methods.uncertainty.stochastic import shaken
from efficient360.models.model import TorchModel


def mean_answers(model: TorchModel, layers: Sequence[nn.Module], method: str, passes: int, check: Callable[[], None]) -> Callable[[Batch], NDArray[Any]]:
    """A function from a batch to a row an example: mean probabilities and mean entropy of the passes, float64 ``(B, K + 1)``.

    Args:
        model: What passes.
        layers: That drop.
        method: Salt of the masks.
        passes: How many.
        check: Called before each; may raise.
    """

    def row(batch: Batch) -> NDArray[Any]:
        found = answers(_passed(batch, index) for index in range(passes))
        return np.concatenate([found.probability, found.within[:, None]], axis=1)

    def _passed(batch: Batch, index: int) -> NDArray[Any]:
        check()
        with torch.inference_mode(), shaken(model.network, layers, generators(f"{method} {index}", batch.ids, batch.seed)):
            logits: NDArray[Any] = model(batch.images).cpu().numpy()
            return logits

    return row


def answers_of(rows: NDArray[Any]) -> Answers:
    """The answers in rows of :func:`mean_answers`, ``(n, K + 1)``."""
    return Answers(rows[:, :-1], rows[:, -1])
