"""What every peer starts from: a checkpoint opened with timm alone, and the same images as arrays. Nothing of Efficient360 is imported here."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn


class Normalised(nn.Module):
    """Pixels in [0, 1] to logits."""

    def __init__(self, network: nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std)


def model() -> Normalised:
    """The checkpoint named in the first argument, in eval mode."""
    weights = Path(sys.argv[1])
    card = json.loads(weights.with_suffix(".json").read_text())
    network = timm.create_model(card["architecture"], **card.get("model_args") or card.get("arguments"))
    network.load_state_dict(load_file(weights))
    return Normalised(network, card["mean"], card["std"]).eval()


def data(split: str) -> tuple[Tensor, Tensor]:
    """Images float32 ``(n, 3, H, W)`` in [0, 1] and labels of a split (``test`` or ``train``), from the file in the second argument."""
    held = np.load(sys.argv[2])
    return torch.from_numpy(held[f"{split}_images"]).float().div(255), torch.from_numpy(held[f"{split}_labels"])


def logits(network: nn.Module, images: Tensor, size: int = 64) -> Tensor:
    """Logits, a batch at a time."""
    with torch.inference_mode():
        return torch.cat([network(part) for part in images.split(size)])


def features(network: Normalised, images: Tensor, size: int = 64) -> Tensor:
    """Pooled features before the classifier."""
    inner: Any = network.network
    with torch.inference_mode():
        return torch.cat([inner.forward_head(inner.forward_features((p - network.mean) / network.std), pre_logits=True) for p in images.split(size)])


def tell(**found: float) -> None:
    """Print what was measured as the last line."""
    print(json.dumps({key: float(value) for key, value in found.items()} | {"cpu_seconds": time.process_time()}))
