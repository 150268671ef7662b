"""The head of a network: the one linear layer whose outputs are the logits."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from efficient360.models.view.stated import stated_classifier
from efficient360.models.view.trace import seeded_images


def name_of(network: nn.Module, module: nn.Module) -> str:
    """Dotted name of a module of the network; empty if it is none of its own."""
    return next((name for name, own in network.named_modules() if own is module), "")


def find_head(network: nn.Module, forward: Callable[[Tensor], Tensor], size: tuple[int, int, int], device: str) -> str:
    """Dotted name of the linear layer whose outputs are the logits; empty if there is none.

    A network that states its classifier is believed; of any other a pass on two images shows which layer's outputs equal the logits.

    Args:
        network: In eval mode.
        forward: Images ``(B, 3, H, W)`` in [0, 1] to all of the network's logits ``(B, K)``.
        size: ``(3, H, W)``.
        device: Where it runs.
    """
    states, classifier = stated_classifier(network)
    if states:
        return name_of(network, classifier) if isinstance(classifier, nn.Linear) else ""
    outputs: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, given: Any, output: Any) -> None:
            """Remember small outputs."""
            if isinstance(output, Tensor) and output.ndim == 2 and given and isinstance(given[0], Tensor):
                outputs.setdefault(name, []).append((given[0], output))

        return hook

    with torch.inference_mode(mode=False), torch.no_grad(), ExitStack() as stack:
        for name, module in network.named_modules():
            if isinstance(module, nn.Linear):
                stack.callback(module.register_forward_hook(keep(name)).remove)
        try:
            logits = forward(seeded_images(2, size, device))
        except Exception:  # what can't run is refused elsewhere; here it has no head
            return ""
    for name, calls in reversed(outputs.items()):
        if len(calls) == 1 and calls[0][0].ndim == 2 and calls[0][1].shape == logits.shape and torch.equal(calls[0][1].float(), logits):
            return name
    return ""
