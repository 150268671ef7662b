"""Hessian-vector products: the Hessian of the loss over all weights, without ever forming it."""

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

Tensors = Sequence[Tensor]


@final
@dataclass(frozen=True)
class LossHessian:
    """Hessian of the mean cross-entropy over some images, with respect to all floating-point parameters of a model.

    The model's parameters are left untouched: the derivatives are with respect to copies.

    Args:
        model: A network in torch.
        images: ``(n, 3, H, W)`` in [0, 1].
        labels: int64 ``(n,)``.
        batch_size: Images per pass; fewer need less memory. If one pass holds all images, its first derivatives are reused by every product.
    """

    model: TorchModel
    images: Tensor
    labels: Tensor
    batch_size: int

    @property
    def size(self) -> int:
        """Number of weights ``P``."""
        return sum(parameter.numel() for _, parameter in self._parameters())

    def require_second_derivative(self) -> None:
        """Check, before any work is done, that every operator can be differentiated twice.

        An operator that can be differentiated only once silently cuts the graph where only some weights are concerned: the graph is searched for it.

        Raises:
            Unsupported: An operator of the network has no second derivative.
        """
        with _twice_differentiable():
            weights, gradient = self._gradient(slice(0, 1))
            directional = _directional_derivative(gradient, torch.ones(self.size, device=self.model.device))
            if directional.requires_grad:
                if any("Error" in name for name in _graph_nodes(directional)):
                    raise self._unsupported("one of its custom operators can be differentiated only once")
                self._second_derivative(weights, directional)

    def product(self, vector: Tensor) -> Tensor:
        """The Hessian times a vector, float32 ``(P,)``, by differentiating twice (Pearlmutter 1994).

        Args:
            vector: float32 ``(P,)`` on the model's device.
        """
        total = torch.zeros_like(vector)
        with _twice_differentiable():
            for weights, gradient in self._passes():
                directional = _directional_derivative(gradient, vector)
                if directional.requires_grad:  # otherwise the loss is linear in every weight
                    total += self._second_derivative(weights, directional)
        return total

    def _passes(self) -> Iterator[tuple[Tensors, Tensors]]:
        if len(self.images) <= self.batch_size:
            yield self._single_pass
        else:
            yield from (self._gradient(slice(start, start + self.batch_size)) for start in range(0, len(self.images), self.batch_size))

    @cached_property
    def _single_pass(self) -> tuple[Tensors, Tensors]:
        return self._gradient(slice(None))

    def _gradient(self, part: slice) -> tuple[Tensors, Tensors]:
        """Copies of the weights, and the gradient with respect to them of the contribution of some of the images to the loss."""
        device = self.model.device
        copies = {name: parameter.detach().requires_grad_(True) for name, parameter in self._parameters()}
        weights = list(copies.values())
        logits: Tensor = functional_call(self.model.module, copies, (self.images[part].to(device),))
        loss = torch.nn.functional.cross_entropy(logits, self.labels[part].to(device), reduction="sum") / len(self.images)
        return weights, torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)

    def _second_derivative(self, weights: Tensors, directional: Tensor) -> Tensor:
        try:
            second = torch.autograd.grad(directional, weights, materialize_grads=True, retain_graph=len(self.images) <= self.batch_size)
        except RuntimeError as error:
            if "derivative" not in str(error):
                raise
            raise self._unsupported(str(error).splitlines()[0][:160]) from error
        return torch.cat([h.detach().flatten() for h in second])

    def _unsupported(self, reason: str) -> Unsupported:
        message = f"an operator of {type(self.model.network).__name__} has no second derivative: {reason}"
        return Unsupported("no-second-derivative", message, "the rest of feature_spectrum is measured all the same")

    def _parameters(self) -> Sequence[tuple[str, Tensor]]:
        return [(name, p) for name, p in self.model.module.named_parameters() if p.is_floating_point()]


def _directional_derivative(gradient: Tensors, vector: Tensor) -> Tensor:
    """Inner product of a gradient and a vector ``(P,)``."""
    parts = torch.split(vector, [g.numel() for g in gradient])
    return torch.stack([(g * part.view_as(g)).sum() for g, part in zip(gradient, parts, strict=True)]).sum()


@contextmanager
def _twice_differentiable() -> Iterator[None]:
    """Gradients on, and unfused attention: the fused kernels have no second derivative."""
    with sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
        yield


def _graph_nodes(tensor: Tensor) -> set[str]:
    """Names of the nodes of a tensor's autograd graph."""
    visited: set[Any] = set()
    stack: list[Any] = [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None and node not in visited:
            visited.add(node)
            stack += [following for following, _ in node.next_functions]
    return {str(node.name()) for node in visited}
