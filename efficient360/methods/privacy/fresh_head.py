"""What private fine-tuning starts from: the checkpoint's features under a new classifier, or a copy of the whole network with one."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from efficient360.errors import Unsupported
from efficient360.methods.privacy.randomness import own_randomness
from efficient360.models.model import TorchModel


def new_head(features: int, classes: int) -> nn.Linear:
    """A linear classifier that knows nothing: all zeros, so no seed plays a part."""
    with own_randomness(torch.device("cpu"), 0):
        head = nn.Linear(features, classes)
    for parameter in head.parameters():
        parameter.data.zero_()
    return head


def levelled(features: Tensor) -> Tensor:
    """Features ``(B, D)`` of each example brought to mean 0 and deviation 1, by that example's own: statistics over examples would cost privacy."""
    return torch.nn.functional.layer_norm(features, features.shape[1:])


def with_new_head(model: TorchModel) -> nn.Module:
    """A copy of the bare network, all its layers trainable, whose classifier starts from zeros.

    The global random state is left as it was.

    Raises:
        Unsupported: The architecture has no timm-style ``reset_classifier``.
    """
    network: Any = copy.deepcopy(model.network)
    if not (hasattr(network, "reset_classifier") and hasattr(network, "get_classifier")):
        message = f"the classifier of {type(network).__name__} can't be replaced"
        raise Unsupported("no-classifier", message, "use a timm architecture, or measure the head only: layers [head]")
    with own_randomness(torch.device("cpu"), 0):
        network.reset_classifier(model.num_classes)
    network.to(model.device)
    unfreeze_layers(network)
    heads = network.get_classifier()
    for head in heads if isinstance(heads, tuple | list) else (heads,):
        for layer in head.modules():
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    found: nn.Module = network
    return found


def unfreeze_layers(network: nn.Module) -> None:
    """Make every layer trainable. What belongs to the network itself and to no layer, a class token and positions, stays as it is.

    For their sake opacus would compute the whole network anew for every example, at more than twice the time.
    """
    network.requires_grad_(requires_grad=True)
    for parameter in network.parameters(recurse=False):
        parameter.requires_grad = False
