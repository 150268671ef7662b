"""Gradients of each example alone, which private training clips: whether opacus takes a network, and whether what it computes is right."""

import copy
import warnings

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from efficient360.errors import Unsupported

TOLERANCE = 1e-3
"""Relative difference that rounding explains in float32."""


def require_per_sample(network: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """Check on a few examples that opacus computes each one's own gradient.

    Some networks fold the batch into other axes, and get gradients of the wrong examples without an error.

    Args:
        network: Inputs to logits, as it is going to be trained; left as it was.
        inputs: ``(B, …)``, a few.
        labels: int64 ``(B,)``.

    Raises:
        Unsupported: opacus refuses it or computes something else; the module or parameter is named.
    """
    refused = with_buffers(network)
    if refused:
        raise Unsupported(
            "buffers", f"{refused} keeps statistics or tables beside its trained weights, which opacus can't take", "measure the head only: layers [head]"
        )
    try:
        found = _together(copy.deepcopy(network), inputs, labels)
    except (RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError, KeyError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise Unsupported("per-sample-gradients", f"opacus can't take {type(network).__name__}: {reason}", "measure the head only: layers [head]") from error
    alone = _one_by_one(network, inputs, labels)
    largest = max(float(gradient.abs().max()) for gradient in alone.values())
    for name, gradient in found.items():
        right = alone[name]
        # A parameter whose gradients are next to nothing is measured against the largest: what is left of it is rounding.
        if gradient.shape != right.shape or float((gradient - right).abs().max()) > TOLERANCE * max(float(right.abs().max()), 0.01 * largest):
            raise Unsupported(
                "per-sample-gradients",
                f"opacus computes other gradients for {name} of {type(network).__name__} than each example has alone",
                "measure the head only: layers [head]",
            )


def with_buffers(network: nn.Module) -> str:
    """Name and type of the first module that has both trained weights and buffers, innermost first; ``""`` when there is none."""
    from opacus.utils.module_utils import trainable_modules

    refused = [(name, module) for name, module in trainable_modules(network) if any(True for _ in module.buffers())]
    if not refused:
        return ""
    own = [(name, module) for name, module in refused if any(True for _ in module.buffers(recurse=False))]
    name, module = (own or refused)[0]
    return f"{name or 'the network'} ({type(module).__name__})"


def settle(network: nn.Module) -> None:
    """Put a network into training mode as opacus wants it, its parts without weights excepted: they are dropout and its kin."""
    network.train()
    for module in network.modules():
        if not any(True for _ in module.parameters()):
            module.eval()


def _together(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    from opacus import GradSampleModule

    settle(network)
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.simplefilter("ignore")
        wrapped = GradSampleModule(network, loss_reduction="sum", strict=True)
        torch.nn.functional.cross_entropy(wrapped(inputs), labels, reduction="sum").backward()  # type: ignore[no-untyped-call]
    found = {name: getattr(p, "grad_sample", None) for name, p in network.named_parameters() if p.requires_grad}
    return {name: torch.empty(0) if gradient is None else gradient.detach() for name, gradient in found.items()}


def _one_by_one(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    plain = copy.deepcopy(network)
    settle(plain)
    names = [name for name, p in plain.named_parameters() if p.requires_grad]
    wanted = [p for p in plain.parameters() if p.requires_grad]
    rows = []
    for one, label in zip(inputs, labels, strict=True):
        loss = torch.nn.functional.cross_entropy(plain(one[None]), label[None])
        gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
        rows.append([torch.zeros_like(p) if g is None else g for g, p in zip(gradients, wanted, strict=True)])
    return {name: torch.stack([row[i] for row in rows]) for i, name in enumerate(names)}
