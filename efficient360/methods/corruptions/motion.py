"""Motion blur: every point drawn out into a fading line."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from efficient360.methods.corruptions.corruption import Corruption, Levels, Pixels, quantised


@final
@dataclass(frozen=True)
class MotionBlur(Corruption):
    """The camera moved, more or less sideways.

    Args:
        radius: The line has ``2 · radius + 1`` points.
        sigma: How fast it fades, in pixels.
    """

    radius: int
    sigma: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return quantised(streaked(pixels.astype(np.float32), self.radius, self.sigma, rng.uniform(-45, 45)))


def line(radius: int, sigma: float, angle: float) -> dict[tuple[int, int], float]:
    """Weights by offset (down, right) of a line of ``2 · radius + 1`` points that starts at 0 and fades as half a Gaussian; they sum to 1.

    This is ImageMagick's motion blur, which the reference calls.
    """
    steps = range(2 * radius + 1)
    fading = [math.exp(-(i**2) / (2 * sigma**2)) for i in steps]
    total, turn = sum(fading), math.pi * angle / 180
    # Operation by operation as there: at 30 degrees every other point lies half way between two pixels, and the last bit decides.
    down, right = len(steps) * math.sin(turn), len(steps) * math.cos(turn)
    length = math.hypot(down, right)
    weights: dict[tuple[int, int], float] = {}
    for i in steps:
        offset = math.ceil(i * down / length - 0.5), math.ceil(i * right / length - 0.5)
        weights[offset] = weights.get(offset, 0.0) + fading[i] / total
    return weights


def streaked(levels: Levels, radius: int, sigma: float, angle: float) -> Levels:
    """``(C, H, W)`` blurred along a line at ``angle`` degrees below the horizontal; beyond the border lies its outermost value."""
    _, height, width = levels.shape
    weights = line(radius, sigma, angle)
    rows, columns = [0, *(o[0] for o in weights)], [0, *(o[1] for o in weights)]
    top, left = -min(rows), -min(columns)
    padded = torch.from_numpy(np.pad(levels, ((0, 0), (top, max(rows)), (left, max(columns))), mode="edge"))
    total = torch.zeros(levels.shape)
    for (down, right), weight in weights.items():
        total.add_(padded[:, top + down : top + down + height, left + right : left + right + width], alpha=weight)
    found: Levels = total.numpy()
    return found
