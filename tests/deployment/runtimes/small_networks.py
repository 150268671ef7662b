"""Two networks small enough to convert in a test, and their artefacts run by a worker of this machine."""

from contextlib import closing
from pathlib import Path

import numpy as np
import timm
import torch
from torch import nn

from efficient360.core.measurement import Failure
from efficient360.deployment.devices.interleaving import IMAGES, load, probe_logits
from efficient360.deployment.devices.local import local_workspace
from efficient360.deployment.runtimes.building import ModelSource
from efficient360.deployment.runtimes.parity import Parity, parity
from efficient360.deployment.runtimes.runtime import Artefact

SIZE = (3, 32, 32)


class Convolutions(nn.Module):
    """Convolutions, and a running sum over the classes: one operator that XNNPACK has not."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU())
        self.head = nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images).mean((2, 3))).cumsum(1) * 0.5


def convolutions() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Convolutions().eval()


def transformer() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=10)
        nn.init.normal_(model.head.weight, std=0.5)  # else its logits hardly differ
    return model.eval()


def source(module: nn.Module, name: str, folder: Path) -> ModelSource:
    return ModelSource(name, module, SIZE, np.random.default_rng(1).random((9, *SIZE), np.float32), folder)


def compared(module: nn.Module, artefact: Artefact | Failure, folder: Path) -> Parity:
    """Parity on five images, of which the last call of an artefact for two is not full."""
    assert isinstance(artefact, Artefact), artefact
    images = np.random.default_rng(0).random((5, *SIZE), np.float32)
    np.save(folder / "images.npy", images)
    with local_workspace(1, {}, None) as place, closing(place.start()) as link:
        place.put(folder / "images.npy", IMAGES)
        load(place, link, artefact, 1, 60.0)
        found = probe_logits(place, link, 60.0)
    with torch.no_grad():
        return parity(module(torch.from_numpy(images)).numpy(), found, artefact.precision)
