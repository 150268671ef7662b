"""The yardstick of utilisation: a network of large matrix products alone, whose best speed stands for a device's peak."""

import hashlib
import json
import math
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from efficient360.benchmark.cells import ModelFacts, Role
from efficient360.benchmark.subject import Subject, subject_of
from efficient360.benchmark.zoo import Family
from efficient360.models.model import PixelsToLogits, TorchModel

NAME = "matrix products"
RUNTIMES = ("onnxruntime", "openvino", "litert")
"""Runtimes whose matrix products are fast; the best of those that are there is the peak."""
SIDE, WIDTH, DEPTH, CLASSES = 256, 512, 14, 16
MACS = DEPTH * 3 * SIDE * SIDE * WIDTH + WIDTH * CLASSES
"""1.4 G: the rows ``3 · SIDE² / WIDTH`` times ``WIDTH²`` a layer, and the head."""
RECIPE = 1


@final
class Products(nn.Module):
    """An image seen as a matrix, then linear layers of equal width with ReLU between, which no converter can merge.

    The layers are square and large enough that reading weights costs little beside multiplying, small enough that each stays in a core's cache.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[part for _ in range(DEPTH) for part in (nn.Linear(WIDTH, WIDTH), nn.ReLU())])
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, CLASSES)`` of images ``(B, 3, SIDE, SIDE)``."""
        rows = images.reshape(images.shape[0], -1, WIDTH)
        logits: Tensor = self.head(self.layers(rows).mean(1))
        return logits


def facts(seed: int) -> ModelFacts:
    """What a reader should know of it."""
    parts = ["matrix products", RECIPE, SIDE, WIDTH, DEPTH, CLASSES, seed, str(torch.__version__)]
    identity = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return ModelFacts(
        name=NAME,
        role=Role.PEAK,
        family=Family.UNKNOWN,
        weights=f"random, seed {seed}",
        identity=identity,
        size=(3, SIDE, SIDE),
        classes=CLASSES,
        parameters=DEPTH * WIDTH * (WIDTH + 1) + CLASSES * (WIDTH + 1),
        macs=MACS,
    )


def open_peak(seed: int, folder: Path) -> Subject:
    """The yardstick, opened like a model."""
    module = Products()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            # He et al. 2015: keeps the signal's size from layer to layer, so that the logits depend on all of them.
            deviation = math.sqrt(2 / WIDTH) if parameter.ndim == 2 else 0.1
            parameter.normal_(0, deviation, generator=generator)
    whole = PixelsToLogits(module, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), None).eval().requires_grad_(requires_grad=False)
    return subject_of(facts(seed), TorchModel(whole, (3, SIDE, SIDE), CLASSES), seed, folder)
