"""Networks as people write them, in files of their own, and their weights."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from efficient360.models.libraries.imported_file import import_file

ENCODER = """
import torch
from torch import nn

PREPROCESSING = {"input_size": 32, "mean": (0.5, 0.4, 0.3), "std": 0.25}


class ViT(nn.Module):
    def __init__(self, num_classes=5, dim=16):
        super().__init__()
        self.embed = nn.Conv2d(3, dim, 8, 8)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.randn(1, 17, dim))
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(dim, 2, 32, batch_first=True, norm_first=True), 2)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x):
        x = self.embed(x).flatten(2).mT
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.encoder(x)[:, 0])


def build(num_classes=5):
    return ViT(num_classes)
"""

TWO_HEADS = """
from torch import nn


class Hybrid(nn.Module):
    def __init__(self, image_size=16):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU())
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.coarse, self.fine = nn.Linear(8, 2), nn.Linear(8, 4)

    def forward(self, x):
        x = self.stem(x).flatten(2).mT
        x = (x + self.attend(x, x, x)[0]).mean(1)
        return {"coarse": self.coarse(x), "fine": self.fine(x), "features": x[:, None]}
"""


def write(folder: Path, text: str, name: str = "net.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def built(file: Path, name: str, **arguments: Any) -> nn.Module:
    torch.manual_seed(3)
    network: nn.Module = getattr(import_file(file), name)(**arguments)
    return network.eval()
