"""The copy of the checkpoint that learns."""

import copy
from typing import Any, final

import torch
from torch import Tensor, nn

from efficient360.errors import Unsupported
from efficient360.models.model import TorchModel


@final
class Learner(nn.Module):
    """Inputs to logits: a backbone and a linear head.

    It stays in eval mode while it learns: the statistics of batch norms stay as they are (their scales and offsets learn), and
    dropout and stochastic depth are off. So no step depends on what else is in its batch, and none draws random numbers.

    Args:
        backbone: Inputs to features ``(B, D)``.
        head: Features to logits ``(B, K)``.
    """

    def __init__(self, backbone: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.eval()

    @property
    def device(self) -> torch.device:
        """Where it learns."""
        return self.head.weight.device

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(B, K)``."""
        features: Tensor = self.backbone(inputs.to(self.device))
        logits: Tensor = self.head(features)
        return logits


def learner_of(model: TorchModel, classes: int) -> Learner:
    """A copy of the checkpoint with its own head and an output more for each new class, which starts from zeros: no seed plays a part.

    Args:
        model: Of the checkpoint; it stays as it is.
        classes: Outputs in all, at least as many as the checkpoint has.

    Raises:
        Unsupported: The network does not end in one linear classifier.
    """
    known = model.classifier()
    module = copy.deepcopy(model.module)
    module.keep = None
    network: Any = module.network
    _replace(network, network.get_classifier(), nn.Identity())
    # On the meta device no initial weights are drawn.
    head = nn.Linear(known.in_features, classes, bias=known.bias is not None, device="meta")
    head.weight = nn.Parameter(_extended(known.weight.detach(), classes))
    if known.bias is not None:
        head.bias = nn.Parameter(_extended(known.bias.detach(), classes))
    return Learner(module, head).requires_grad_(requires_grad=True)


def require_learnable(model: TorchModel) -> None:
    """Ask before any work is done whether a learner answers as the checkpoint does.

    Raises:
        Unsupported: The network does not end in one linear classifier, or does something to its logits afterwards.
    """
    images = torch.rand((2, *model.input_size), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        same = torch.allclose(learner_of(model, model.num_classes)(images), model(images), rtol=1e-3, atol=1e-4)
    if not same:
        message = f"{type(model.network).__name__} does more to its logits than one linear classifier"
        raise Unsupported("classifier-not-last", message, "evaluate an architecture that ends in one")


def head_only(learner: Learner) -> Learner:
    """A learner of the same head that takes features instead of images."""
    return Learner(nn.Identity(), copy.deepcopy(learner.head))


def _extended(weights: Tensor, rows: int) -> Tensor:
    more = weights.new_zeros((rows - len(weights), *weights.shape[1:]))
    return torch.cat([weights, more])


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in network.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
                return
    raise Unsupported("no-linear-classifier", f"the classifier of {type(network).__name__} is no layer of its own", "evaluate an architecture that has one")
