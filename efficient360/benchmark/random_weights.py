"""Random weights that all count, for networks whose speed is measured without trained ones."""

import re
from typing import Any

import torch
from torch import nn

from efficient360.deployment.runtimes.calibration_images import synthetic_images
from efficient360.models.model import PixelsToLogits
from efficient360.models.view.head import find_head
from efficient360.models.view.stated import stated_classifier

LAYER_SCALE = re.compile(r"(gamma|layer_scale)\w*")
HEAD_DEVIATION = 0.05
IMAGES = 16


def make_sensitive(module: PixelsToLogits, size: tuple[int, int, int], seed: int) -> None:
    """Give a randomly initialised network weights that all count, in place and seeded.

    Layer scales and gains that are zero become U(0.5, 1.5), the head's weights N(0, 0.05), and BatchNorm's running statistics those of seeded images.

    Args:
        module: Pixels to logits around a network with random weights; never a trained one.
        size: ``(3, H, W)``.
        seed: Of the values.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.network.modules():
            for name, parameter in part.named_parameters(recurse=False):
                gain = name == "weight" and parameter.ndim == 1 and not bool(parameter.any())
                if gain or LAYER_SCALE.fullmatch(name):
                    nn.init.uniform_(parameter, 0.5, 1.5, generator)
        for part in _heads(module, size):
            nn.init.normal_(part.weight, 0, HEAD_DEVIATION, generator)
    _recalibrate(module, torch.from_numpy(synthetic_images(size, IMAGES, seed)))


def _heads(module: PixelsToLogits, size: tuple[int, int, int]) -> list[nn.Linear | nn.Conv2d]:
    """The layers that put out the logits."""
    network = module.network
    states, classifier = stated_classifier(network)
    if not states:
        name = find_head(network, module.all_logits, size, str(module.mean.device))
        classifier = network.get_submodule(name) if name else None
    heads: Any = classifier if isinstance(classifier, tuple | list) else [classifier]
    return [part for head in heads if isinstance(head, nn.Module) for part in head.modules() if isinstance(part, nn.Linear | nn.Conv2d)]


def _recalibrate(module: nn.Module, images: torch.Tensor) -> None:
    """Set BatchNorm's running statistics to those of the images."""
    norms: list[Any] = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats]
    if not norms:
        return
    momenta = [part.momentum for part in norms]
    for part in norms:
        part.reset_running_stats()
        part.momentum = None  # a plain average over the passes
        part.train()
    with torch.no_grad():
        module(images)
    for part, momentum in zip(norms, momenta, strict=True):
        part.momentum = momentum
        part.eval()
