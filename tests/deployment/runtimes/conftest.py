from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import nn

from efficient360.deployment.devices.interleaving import IMAGES, load, probe_logits
from efficient360.deployment.devices.local import local_workspace
from efficient360.deployment.runtimes.runtime import Artefact


@pytest.fixture(scope="session")
def small_vit() -> nn.Module:
    """A ViT of two layers for 32 pixels whose logits differ well."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=10)
        nn.init.normal_(model.head.weight, std=0.5)
    return model.eval()


@pytest.fixture(scope="session")
def small_cnn() -> nn.Module:
    """Convolutions, a batch normalisation, one of them per channel."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 10),
        ).eval()


@pytest.fixture
def logits_of(tmp_path: Path) -> Callable[[Artefact, np.ndarray], np.ndarray]:
    """Logits of an artefact, run in a worker of its own as on a device."""

    def run(artefact: Artefact, images: np.ndarray) -> np.ndarray:
        np.save(tmp_path / "images.npy", images)
        with local_workspace(1, {}, None) as place, closing(place.start()) as link:
            place.put(tmp_path / "images.npy", IMAGES)
            told = load(place, link, artefact, artefact.batch, 60.0)
            assert told["version"].count(".") >= 1
            return np.asarray(probe_logits(place, link, 60.0))

    return run
