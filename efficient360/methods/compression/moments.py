"""Mean and covariance of what linear layers are given, over calibration images: what a cut's loss and its compensation are computed from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, final

import torch
from torch import Tensor, nn

BATCH: Final = 16
MEMORY: Final = 512 * 2**20
"""Bytes of covariances that are held at a time; a large network is passed through several times."""


@final
@dataclass(frozen=True)
class Moments:
    """Of the inputs of a linear layer, over images and tokens.

    Args:
        mean: ``(in,)`` float64; zero where the layer has no bias that could take a shift up.
        covariance: ``(in, in)`` float64, about that mean.
    """

    mean: Tensor
    covariance: Tensor

    def damped(self, share: float = 0.01) -> Tensor:
        """The covariance with a share of its mean variance added to every variance, so that it can be inverted (as in GPTQ, Frantar et al. 2023)."""
        diagonal = self.covariance.diagonal()
        return self.covariance + (share * diagonal.mean().clamp_min(1e-12)) * torch.eye(len(diagonal), dtype=torch.float64)


def input_moments(module: nn.Module, layers: Mapping[str, nn.Linear], images: Tensor) -> Iterator[tuple[str, Moments]]:
    """The moments of several layers' inputs, as the module runs on images.

    Args:
        module: Images to logits, in eval mode.
        layers: By a name of the caller's; layers that the module holds.
        images: As the module takes them, ``(n, 3, H, W)``, at least one.

    Yields:
        Name and moments, in order. Layers may be changed between two of them.
    """
    part: dict[str, nn.Linear] = {}
    for name, layer in layers.items():
        if part and sum(8 * each.in_features**2 for each in (*part.values(), layer)) > MEMORY:
            yield from _passed(module, part, images)
            part = {}
        part[name] = layer
    yield from _passed(module, part, images)


def _passed(module: nn.Module, layers: Mapping[str, nn.Linear], images: Tensor) -> Iterator[tuple[str, Moments]]:
    sums = {name: _Sums(layer.in_features) for name, layer in layers.items()}
    run(module, images, {layer: partial(_see, sums[name]) for name, layer in layers.items()})
    for name, layer in layers.items():
        yield name, sums[name].moments(centred=layer.bias is not None)


def _see(sums: "_Sums", given: Any, _: Any) -> None:
    sums.add(given)


def run(module: nn.Module, images: Tensor, watched: Mapping[nn.Module, Callable[[Any, Any], None]]) -> Tensor:
    """Logits ``(n, K)`` of images, in small batches; the watchers are told the first input and the output of their module in every batch."""
    device = next(module.parameters()).device
    handles = [
        part.register_forward_hook(lambda _, given, output, watch=watch: watch(given[0], output)) for part, watch in watched.items() for watch in [watch]
    ]
    try:
        with torch.inference_mode():
            return torch.cat([module(batch.to(device)) for batch in torch.split(images, BATCH)])
    finally:
        for handle in handles:
            handle.remove()


@final
class _Sums:
    def __init__(self, width: int) -> None:
        self.count = 0
        self.sum = torch.zeros(width, dtype=torch.float64)
        self.products = torch.zeros(width, width, dtype=torch.float64)

    def add(self, given: Tensor) -> None:
        rows = given.reshape(-1, given.shape[-1]).detach().cpu()
        self.count += len(rows)
        self.sum += rows.double().sum(0)
        self.products += (rows.T @ rows).double()

    def moments(self, *, centred: bool) -> Moments:
        count = max(self.count, 1)
        mean = self.sum / count if centred else torch.zeros_like(self.sum)
        return Moments(mean, self.products / count - torch.outer(mean, mean))
