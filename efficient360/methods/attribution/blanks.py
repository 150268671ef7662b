"""What takes the place of removed cells: the image's mean colour, or the image blurred."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

BLUR = 1 / 8
"""Standard deviation of the blur as a share of the image's side: nothing but broad patches of colour is left."""


def mean(images: Tensor) -> Tensor:
    """Each image's own mean colour all over, ``(B, 3, H, W)``."""
    return images.mean((2, 3), keepdim=True).expand_as(images)


def blur(images: Tensor) -> Tensor:
    """Each image under a Gaussian of an eighth of its side, ``(B, 3, H, W)``; at the border the weights within the image count."""
    height, width = images.shape[2:]
    return _gaussian(height, images) @ images @ _gaussian(width, images).T


def _gaussian(side: int, like: Tensor) -> Tensor:
    """Row ``i`` holds the weights of pixel ``i``, ``(side, side)``; each row sums to 1."""
    place = torch.arange(side, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((place[:, None] - place[None]) / (BLUR * side)) ** 2)
    return (weights / weights.sum(1, keepdim=True)).to(like)


BLANKS: Mapping[str, Callable[[Tensor], Tensor]] = {"mean": mean, "blur": blur}
"""By name."""
