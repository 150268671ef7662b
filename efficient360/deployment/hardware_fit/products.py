"""The yardstick of utilisation: a network of large matrix products alone, for images of any size."""

import math
from typing import final

import torch
from torch import Tensor, nn

ROWS, WIDTH, DEPTH, CLASSES = 384, 512, 14, 16
RECIPE = 1
"""Raised whenever the network changes."""


@final
class Products(nn.Module):
    """A few numbers of the image spread over a matrix, then linear layers of equal width with ReLU between, which no converter can merge.

    The layers are large enough that reading weights costs little beside multiplying, small enough that each stays in a core's cache.

    Args:
        rows: Rows of the matrix that is multiplied.
        width: Its columns; each layer multiplies it by a square matrix of so many rows.
        depth: Number of layers.
    """

    def __init__(self, rows: int, width: int, depth: int) -> None:
        super().__init__()
        self.rows = nn.Linear(3, rows)
        self.columns = nn.Parameter(torch.empty(width))
        self.layers = nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(width, width), nn.ReLU())])
        self.head = nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, CLASSES)`` of images ``(B, 3, H, W)``."""
        matrix = self.rows(images.mean((2, 3)))[:, :, None] * self.columns
        logits: Tensor = self.head(self.layers(matrix).mean(1))
        return logits


def gemm_network(rows: int = ROWS, width: int = WIDTH, depth: int = DEPTH, seed: int = 0) -> nn.Module:
    """A network of matrix products, images ``(B, 3, H, W)`` of any size to logits ``(B, 16)``, with seeded weights (He et al. 2015)."""
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the global state
        network = Products(rows, width, depth)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            deviation = math.sqrt(2 / parameter.shape[1]) if parameter.ndim == 2 else 0.5
            parameter.normal_(0, deviation, generator=generator)
    return network.eval().requires_grad_(requires_grad=False)


def gemm_macs(rows: int = ROWS, width: int = WIDTH, depth: int = DEPTH) -> int:
    """Multiply-adds of :func:`gemm_network` for one image, those of its linear layers alone."""
    return 3 * rows + depth * rows * width * width + width * CLASSES
