"""A small transformer block as an exported program, with channels that a normalisation makes far larger than others."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from efficient360.deployment.runtimes.program import export_program
from efficient360.deployment.runtimes.runtime import Build, Precision

SIZE = (3, 8, 8)
WIDTH = 32


class Block(nn.Module):
    """Patches, a normalisation into a linear layer, GELU, another, a sum around them, a normalisation that leaves its channels apart, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.norm = nn.LayerNorm(WIDTH)
        self.fc1 = nn.Linear(WIDTH, 64)
        self.fc2 = nn.Linear(64, WIDTH)
        self.last = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = tokens + self.fc2(nn.functional.gelu(self.fc1(self.norm(tokens))))
        return self.head(self.last(tokens).mean(1))


def block(outlier: float = 1.0, behind_gelu: float = 1.0) -> nn.Module:
    """The block; an outlier makes a channel that many times larger, and the weights behind it that many times smaller."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Block().eval()
        nn.init.normal_(made.norm.bias, std=0.3)
        nn.init.normal_(made.head.weight, std=0.5)
    with torch.no_grad():
        made.norm.weight[3] *= outlier
        made.norm.bias[3] *= outlier
        made.fc1.weight[:, 3] /= outlier
        made.fc1.weight[7], made.fc1.bias[7] = 0.0, behind_gelu  # behind GELU a constant: what it adds is taken off again
        made.fc2.weight[:, 7] = 0.01
    return made


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, *SIZE), np.float32)


def build_of(module: nn.Module, folder: Path, precision: Precision = Precision.INT8, batch: int = 2, float_layers: tuple[str, ...] = ()) -> Build:
    program, calibration = folder / "program.pt2", folder / "calibration.npy"
    export_program(module, SIZE, batch, program)
    np.save(calibration, images(8))
    return Build(precision, batch, SIZE, program, calibration, folder, folder / "files", float_layers)
