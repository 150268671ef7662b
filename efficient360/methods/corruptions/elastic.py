"""Elastic deformation: the image stretched as a whole, then shifted from place to place."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch

from efficient360.methods.corruptions.corruption import Corruption, Levels, Pixels, quantised
from efficient360.methods.corruptions.smoothing import smoothed


@final
@dataclass(frozen=True)
class ElasticTransform(Corruption):
    """A random affine map, then a smooth random displacement (Simard, Steinkraus & Platt 2003).

    Args:
        alpha: Strength of the displacement.
        sigma: Smoothness of the displacement, in pixels.
        jitter: How far each of three points in the middle moves in the affine map, in pixels at most.
    """

    alpha: float
    sigma: float
    jitter: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Stretch by a random affine map, then shift every pixel by a smooth random field."""
        _, height, width = pixels.shape
        across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        (a, b, c), (d, e, f) = self._affine(height, width, rng)
        stretched = sampled(pixels.astype(np.float32), a * across + b * down + c, d * across + e * down + f, "pixel")
        if self.alpha == 0:
            return quantised(stretched)
        shifts = rng.random((2, height, width), dtype=np.float32)
        shifts *= 2
        shifts -= 1
        shifts = smoothed(shifts, self.sigma, truncate=3.0, border="reflect")
        shifts *= self.alpha
        return quantised(sampled(stretched, across + shifts[0], down + shifts[1], "edge"))

    def _affine(self, height: int, width: int, rng: np.random.Generator) -> Levels:
        """Where each place of the stretched image is taken from: float32 ``(2, 3)``, to be applied to (x, y, 1)."""
        middle, arm = np.array([width // 2, height // 2]), min(height, width) // 3
        points = middle + arm * np.array([[1, 1], [1, -1], [-1, -1]])
        moved = points + rng.uniform(-self.jitter, self.jitter, points.shape)
        return np.linalg.solve(np.column_stack([moved, np.ones(3)]), points).T.astype(np.float32)


def sampled(levels: Levels, across: Levels, down: Levels, about: Literal["pixel", "edge"]) -> Levels:
    """Bilinear interpolation of ``(C, H, W)`` at the places ``(H, W)``, in pixels.

    Beyond the border lies the image mirrored about its outermost pixels (``pixel``) or about their outer edges (``edge``).
    """
    _, height, width = levels.shape
    aligned = about == "pixel"
    if aligned:
        places = np.stack([across * (2 / max(1, width - 1)) - 1, down * (2 / max(1, height - 1)) - 1], axis=-1)
    else:
        places = np.stack([(2 * across + 1) / width - 1, (2 * down + 1) / height - 1], axis=-1)
    found: Levels = torch.nn.functional.grid_sample(
        torch.from_numpy(levels)[None], torch.from_numpy(places)[None], mode="bilinear", padding_mode="reflection", align_corners=aligned
    )[0].numpy()
    return found
