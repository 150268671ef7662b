"""The product of all layers' Lipschitz constants: an upper bound for a plain chain, and no bound for anything else."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from efficient360.methods.spectral.layers import Layer

CONSTANTS: Final = {
    "Identity": 1.0,
    "Dropout": 1.0,
    "Flatten": 1.0,
    "ReLU": 1.0,
    "LeakyReLU": 1.0,
    "Tanh": 1.0,
    "Sigmoid": 1.0,
    "Softplus": 1.0,
    "GELU": 1.1290,
    "SiLU": 1.0999,
}
"""Largest slope of what acts on each value by itself, by class name; rounded up."""
CHAINED: Final = (nn.Sequential, nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, _BatchNorm)


@final
@dataclass(frozen=True)
class NormProduct:
    """The product, and what it leaves out.

    Args:
        log10: Decimal logarithm of the product of all spectral norms, scales and slopes, pixels in [0, 1] to logits.
        zero: Name of a layer that is zero, which would make the product so; ``""`` where there is none.
        left_out: Class name and number of the modules whose effect the product does not hold. Without any it is an upper bound.
    """

    log10: float
    zero: str
    left_out: tuple[tuple[str, int], ...]

    @property
    def is_bound(self) -> bool:
        """Whether no input can be magnified by more."""
        return not self.left_out


def norm_product(network: nn.Module, layers: Sequence[Layer], deviation: Tensor) -> NormProduct:
    """Multiply the spectral norms of all layers with the scales of batch norms and layer scales, the slopes of activations, and the division by ``deviation``.

    Args:
        network: In eval mode, where a batch norm is a fixed scale.
        layers: Its layers.
        deviation: What pixels are divided by.
    """
    factors = [("normalisation", 1 / float(deviation.min())), *((layer.name, layer.spectrum.norm) for layer in layers), *_scales(network)]
    zero = next((name for name, factor in factors if factor == 0), "")
    log10 = sum(math.log10(factor) for _, factor in factors if factor > 0)
    return NormProduct(log10, zero, tuple(Counter(_left_out(network)).most_common()))


def _scales(network: nn.Module) -> Iterator[tuple[str, float]]:
    with torch.no_grad():
        for name, module in network.named_modules():
            gamma = getattr(module, "gamma", None)
            if isinstance(module, _BatchNorm) and module.running_var is not None:
                weight = torch.ones_like(module.running_var) if module.weight is None else module.weight
                yield name, float((weight.abs() / (module.running_var + module.eps).sqrt()).max())
            elif type(module).__name__.startswith("LayerScale") and isinstance(gamma, Tensor):
                yield name, float(gamma.abs().max())
            elif (slope := CONSTANTS.get(type(module).__name__)) is not None:
                yield name, slope


def _left_out(network: nn.Module) -> Iterator[str]:
    """Class names of modules that are neither links of a chain nor act on each value by itself: attention, norms over features, blocks with skips."""
    for module in network.modules():
        if not isinstance(module, CHAINED) and type(module).__name__ not in CONSTANTS:
            yield type(module).__name__
