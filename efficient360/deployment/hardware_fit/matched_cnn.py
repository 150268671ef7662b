"""A plain convolutional network with as many multiply-adds as another network: what hardware and libraries are used to."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from efficient360.errors import Unsupported

RECIPE = 1
"""Raised whenever a twin of the same shape changes."""
TOLERANCE = 0.03
"""Shapes whose MACs are this near are told apart by how much they are like ResNet-18; the nearest is taken where none is."""
CHANNELS, BLOCKS, SIDE = 64, 8, 56
"""Width of ResNet-18's first stage, its blocks, and the side of its first stage."""
STRIDES, WIDTHS, MOST_BLOCKS = (1, 2, 4, 8), range(8, 521, 8), 24
"""Widths are multiples of eight, which fill vector registers: another width would be unfair to the twin."""
SMALLEST = 4
"""Least side of a stage: on fewer pixels most of a 3×3 kernel meets padding."""
REACH = 0.05
"""Largest relative difference of MACs at which a network is still a twin."""


@final
@dataclass(frozen=True)
class Shape:
    """The shape of a twin.

    Args:
        stride: Of the stem.
        width: Channels of the first stage; each further stage has twice as many on half the side.
        blocks: Residual blocks of each stage, two 3×3 convolutions each.
    """

    stride: int
    width: int
    blocks: tuple[int, ...]


@final
class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut (He et al. 2016, Deep Residual Learning, Fig. 2), normalisation folded into them as when deployed."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, stride, 1)
        self.second = nn.Conv2d(width, width, 3, 1, 1)
        self.shortcut = nn.Identity() if channels == width and stride == 1 else nn.Conv2d(channels, width, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, width, H / stride, W / stride)``."""
        out: Tensor = self.relu(self.second(self.relu(self.first(x))) + self.shortcut(x))
        return out


@final
class MatchedCnn(nn.Module):
    """A stem, stages of residual blocks, a mean over positions, a linear head."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, shape.width, 3, shape.stride, 1)
        self.relu = nn.ReLU()
        blocks, channels = [], shape.width
        for stage, number in enumerate(shape.blocks):
            width = shape.width * 2**stage
            for i in range(number):
                blocks.append(ResidualBlock(channels, width, 2 if stage and i == 0 else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, K)`` of images ``(B, 3, H, W)``."""
        logits: Tensor = self.head(self.blocks(self.relu(self.stem(images))).mean((2, 3)))
        return logits


def matched_cnn(size: tuple[int, int, int], macs: int, classes: int = 1000, seed: int = 0) -> nn.Module:
    """A ResNet-style network whose MACs at an image size are those of another network, with seeded random weights.

    Args:
        size: ``(3, H, W)``.
        macs: Multiply-adds of the other network for one image.
        classes: Number of logits.
        seed: Of the weights.

    Raises:
        Unsupported: No such network comes within 5 %: the other one computes too little or too much.
    """
    shape = shape_of(size, macs, classes)
    actual = matched_cnn_macs(size, shape, classes)
    if abs(actual / macs - 1) > REACH:
        message = f"no plain CNN on {size[1]} × {size[2]} pixels has {macs:,} MACs: the nearest has {actual:,}"
        raise Unsupported("no-twin", message, "the other numbers do not need a twin")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MatchedCnn(shape, classes)
    return network.eval().requires_grad_(requires_grad=False)


def shape_of(size: tuple[int, int, int], macs: int, classes: int) -> Shape:
    """Of the shapes whose MACs are within 3 %, the one most like ResNet-18 (64 channels, eight blocks, 56 pixels a side); else the nearest in MACs."""
    return min(_shapes(size), key=lambda shape: _unlikeness(size, shape, macs, classes))


def matched_cnn_macs(size: tuple[int, int, int], shape: Shape, classes: int) -> int:
    """Multiply-adds of a twin for one image."""
    height, width = math.ceil(size[1] / shape.stride), math.ceil(size[2] / shape.stride)
    total, given = 27 * shape.width * height * width, shape.width
    for stage, number in enumerate(shape.blocks):
        channels = shape.width * 2**stage
        if stage:
            height, width = math.ceil(height / 2), math.ceil(width / 2)
        total += height * width * ((9 * given * channels) + 9 * channels**2 * (2 * number - 1) + (given * channels if stage else 0))
        given = channels
    return total + given * classes


def _unlikeness(size: tuple[int, int, int], shape: Shape, macs: int, classes: int) -> tuple[float, float]:
    off = abs(matched_cnn_macs(size, shape, classes) / macs - 1)
    stride = shape.stride / max(1.0, min(size[1:]) / SIDE)
    apart = (shape.width / CHANNELS, sum(shape.blocks) / BLOCKS, stride)
    return (0.0 if off <= TOLERANCE else off), sum(math.log2(ratio) ** 2 for ratio in apart)


def _shapes(size: tuple[int, int, int]) -> Iterator[Shape]:
    for stride, width in itertools.product(STRIDES, WIDTHS):
        side = math.ceil(min(size[1:]) / stride)
        stages = 1
        while stages < 4 and math.ceil(side / 2**stages) >= SMALLEST:
            stages += 1
        for blocks in range(stages, MOST_BLOCKS + 1):
            each, more = divmod(blocks, stages)
            yield Shape(stride, width, tuple(each + (stage < more) for stage in range(stages)))
