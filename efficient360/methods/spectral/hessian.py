"""The Hessian of a loss over all weights, known by what it does to a vector."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from efficient360.errors import Unsupported
from efficient360.models.model import TorchModel

Weights = Sequence[Tensor]


@final
@dataclass(frozen=True)
class LossHessian:
    """Second derivatives of the mean cross-entropy over some images, by all floating-point parameters of a model.

    The model's parameters are left untouched: the derivatives are those by copies.

    Args:
        model: A network in torch.
        images: ``(n, 3, H, W)`` in [0, 1].
        labels: int64 ``(n,)``.
        rows: Images a pass; fewer take less memory. Where one pass holds all images, what it computed is kept from product to product.
    """

    model: TorchModel
    images: Tensor
    labels: Tensor
    rows: int

    @property
    def size(self) -> int:
        """Number of weights ``P``."""
        return sum(parameter.numel() for _, parameter in self._parameters())

    def require(self) -> None:
        """Ask before any work is done.

        An operator that forbids to derive its derivative cuts the graph without a word where only some weights are asked for: it is looked for.

        Raises:
            Unsupported: An operator of the network has no second derivative.
        """
        with _derivable():
            weights, first = self._first(slice(0, 1))
            along = _along(first, torch.ones(self.size, device=self.model.device))
            if along.requires_grad:
                if any("Error" in name for name in _operators(along)):
                    raise self._refused("one of its own says that it can be derived only once")
                self._second(weights, along)

    def product(self, vector: Tensor) -> Tensor:
        """The Hessian times a vector, float32 ``(P,)``, by differentiating twice (Pearlmutter 1994).

        Args:
            vector: float32 ``(P,)`` on the model's device.
        """
        total = torch.zeros_like(vector)
        with _derivable():
            for weights, first in self._passes():
                along = _along(first, vector)
                if along.requires_grad:  # else no weight acts on the loss but linearly
                    total += self._second(weights, along)
        return total

    def _passes(self) -> Iterator[tuple[Weights, Weights]]:
        if len(self.images) <= self.rows:
            yield self._only
        else:
            yield from (self._first(slice(start, start + self.rows)) for start in range(0, len(self.images), self.rows))

    @cached_property
    def _only(self) -> tuple[Weights, Weights]:
        return self._first(slice(None))

    def _first(self, part: slice) -> tuple[Weights, Weights]:
        """Copies of the weights, and the derivative by them of the share of some of the images in the loss."""
        device = self.model.device
        copies = {name: parameter.detach().requires_grad_(True) for name, parameter in self._parameters()}
        weights = list(copies.values())
        logits: Tensor = functional_call(self.model.module, copies, (self.images[part].to(device),))
        loss = torch.nn.functional.cross_entropy(logits, self.labels[part].to(device), reduction="sum") / len(self.images)
        return weights, torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)

    def _second(self, weights: Weights, along: Tensor) -> Tensor:
        try:
            second = torch.autograd.grad(along, weights, materialize_grads=True, retain_graph=len(self.images) <= self.rows)
        except RuntimeError as error:
            if "derivative" not in str(error):
                raise
            raise self._refused(str(error).splitlines()[0][:160]) from error
        return torch.cat([h.detach().flatten() for h in second])

    def _refused(self, reason: str) -> Unsupported:
        message = f"an operator of {type(self.model.network).__name__} has no second derivative: {reason}"
        return Unsupported("no-second-derivative", message, "the rest of feature_spectrum is measured all the same")

    def _parameters(self) -> Sequence[tuple[str, Tensor]]:
        return [(name, p) for name, p in self.model.module.named_parameters() if p.is_floating_point()]


def _along(first: Weights, vector: Tensor) -> Tensor:
    """The derivative along a vector."""
    parts = torch.split(vector, [g.numel() for g in first])
    return torch.stack([(g * part.view_as(g)).sum() for g, part in zip(first, parts, strict=True)]).sum()


@contextmanager
def _derivable() -> Iterator[None]:
    """Gradients on, and attention by plain operators: the fused ones have no second derivative."""
    with sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
        yield


def _operators(tensor: Tensor) -> set[str]:
    """Names of the operators that a tensor comes from."""
    seen: set[Any] = set()
    todo: list[Any] = [tensor.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [following for following, _ in node.next_functions]
    return {str(node.name()) for node in seen}
