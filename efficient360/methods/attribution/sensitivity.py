"""Max-sensitivity: how far an explanation moves when the image hardly does."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.attribution.question import Question


def nearby(question: Question, radius: float, draw: int) -> Question:
    """The same question about images with every pixel moved by at most ``radius``, uniformly, within [0, 1]; each example draws its own."""
    shape = question.images.shape[1:]
    noise = np.stack([rng.uniform(-radius, radius, shape).astype(np.float32) for rng in question.generators(f"nearby {draw}")])
    return question.about((question.images + torch.from_numpy(noise).to(question.images.device)).clamp(0, 1))


def max_sensitivity(explain: Callable[[Question], Tensor], values: Tensor, question: Question, radius: float, draws: int) -> Tensor:
    """Largest distance of a moved image's explanation from the image's, over the latter's length, float64 ``(B,)``; over 1 where that is zero.

    Args:
        explain: Values ``(B, cells)`` of a question.
        values: Those of ``question``.
        question: Images and their classes; the class in question stays the same when the image moves.
        radius: How far a pixel moves at most.
        draws: Moved images, an explanation each.
    """
    length = values.double().norm(dim=1)
    distances = [(explain(nearby(question, radius, draw)).double() - values.double()).norm(dim=1) for draw in range(draws)]
    return torch.stack(distances).amax(0) / torch.where(length > 0, length, torch.ones_like(length))
