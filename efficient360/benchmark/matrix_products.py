"""The matrix-product reference: a network that does nothing but multiply matrices, whose best speed stands for a device's peak."""

import math
from typing import final

import torch
from torch import Tensor, nn

from efficient360.models.model import PixelsToLogits

MATMUL_SIDE, MATMUL_WIDTH, MATMUL_DEPTH, MATMUL_CLASSES = 256, 512, 14, 16
MATMUL_MACS = MATMUL_DEPTH * 3 * MATMUL_SIDE * MATMUL_SIDE * MATMUL_WIDTH + MATMUL_WIDTH * MATMUL_CLASSES
"""1.4 G: the rows ``3 · SIDE² / MATMUL_WIDTH`` times ``WIDTH²`` a layer, and the head."""


@final
class MatmulStack(nn.Module):
    """An image seen as a matrix, then linear layers of equal width with ReLU between, which no converter can merge.

    The layers are square and large enough that reading weights costs little beside multiplying, small enough that each stays in a core's cache.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[part for _ in range(MATMUL_DEPTH) for part in (nn.Linear(MATMUL_WIDTH, MATMUL_WIDTH), nn.ReLU())])
        self.head = nn.Linear(MATMUL_WIDTH, MATMUL_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, MATMUL_CLASSES)`` of images ``(B, 3, MATMUL_SIDE, MATMUL_SIDE)``."""
        rows = images.reshape(images.shape[0], -1, MATMUL_WIDTH)
        logits: Tensor = self.head(self.layers(rows).mean(1))
        return logits


def matmul_network(seed: int) -> PixelsToLogits:
    """The stack with seeded random weights, pixels in [0, 1] to logits."""
    stack = MatmulStack()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in stack.parameters():
            # He et al. 2015: keeps the signal's size from layer to layer, so that the logits depend on all of them.
            deviation = math.sqrt(2 / MATMUL_WIDTH) if parameter.ndim == 2 else 0.1
            parameter.normal_(0, deviation, generator=generator)
    whole: PixelsToLogits = PixelsToLogits(stack, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), None).eval().requires_grad_(requires_grad=False)
    return whole
