"""How fast a model answers on this machine, taken once as a run opens: what the time left is told from before anything is measured."""

import time
from typing import Final

import torch

from efficient360.models.model import Model

_FEW: Final = 2
_MANY: Final = 16
_QUICK: Final = 0.1
"""Seconds within which a few images must be answered for many to be timed: a large model is not held up for a rough number."""


def seconds_per_image(model: Model) -> float:
    """Seconds that the model takes for one clean image in a small batch, above 0. It has run before: nothing is warmed up here."""
    few = _timed(model, _FEW)
    return few / _FEW if few > _QUICK else _timed(model, _MANY) / _MANY


def _timed(model: Model, count: int) -> float:
    images = torch.full((count, *model.input_size), 0.5)
    began = time.perf_counter()
    with torch.inference_mode():
        float(model(images).sum())  # a number on the host: on a GPU the call alone returns before the work is done
    return max(time.perf_counter() - began, 1e-9)
