"""What training must not undo: zeros of a sparse weight, and the few values of a clustered one."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from efficient360.methods.compression.compressor import weights_of

MOST_VALUES: Final = 256


def hold_zeros(network: nn.Module) -> Callable[[], None]:
    """A function that sets what is zero in the network's weights now to zero again, after a training step."""
    masks = [(weight, weight.detach() != 0) for weight in weights_of(network).values()]
    sparse = [(weight, mask) for weight, mask in masks if not bool(mask.all())]

    def restore() -> None:
        with torch.no_grad():
            for weight, mask in sparse:
                weight.mul_(mask)

    return restore


def hold_clusters(network: nn.Module) -> Callable[[], None]:
    """A function that gives weights that share a value now one value again, their mean, after a training step; zeros stay zero.

    The step of a value then is the mean of the steps of its weights, as in Han, Mao & Dally 2016, Deep Compression, section 3.3 (there the sum).
    """
    held: list[tuple[nn.Parameter, Tensor, Tensor, Tensor]] = []
    for weight in weights_of(network).values():
        values, places, counts = torch.unique(weight.detach(), return_inverse=True, return_counts=True)
        if len(values) <= MOST_VALUES:
            held.append((weight, values, places.flatten(), counts))

    def restore() -> None:
        with torch.no_grad():
            for weight, values, places, counts in held:
                means = torch.zeros_like(values).index_add_(0, places, weight.flatten()) / counts
                means[values == 0] = 0
                weight.copy_(means[places].view_as(weight))

    return restore
