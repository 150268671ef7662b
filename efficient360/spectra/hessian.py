"""The Hessian of a loss over all weights, known by what it does to a vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from efficient360.errors import Unsupported
from efficient360.model import TorchModel


@final
@dataclass(frozen=True)
class LossHessian:
    """Second derivatives of the mean cross-entropy over some images, by all floating-point parameters of a model.

    The model's parameters are left untouched: the derivatives are those by copies.

    Args:
        model: A network in torch.
        images: ``(n, 3, H, W)`` in [0, 1].
        labels: int64 ``(n,)``.
        rows: Images a pass; fewer take less memory and as much time.
    """

    model: TorchModel
    images: Tensor
    labels: Tensor
    rows: int

    @property
    def size(self) -> int:
        """Number of weights ``P``."""
        return sum(parameter.numel() for _, parameter in self._parameters())

    def product(self, vector: Tensor) -> Tensor:
        """The Hessian times a vector, float32 ``(P,)``, by differentiating twice (Pearlmutter 1994).

        Args:
            vector: float32 ``(P,)`` on the model's device.

        Raises:
            Unsupported: An operator of the network has no second derivative.
        """
        total = torch.zeros_like(vector)
        # The fused kernels of attention have no second derivative.
        with sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
            for start in range(0, len(self.images), self.rows):
                try:
                    total += self._of(slice(start, start + self.rows), vector)
                except (RuntimeError, NotImplementedError) as error:
                    if not _underived(error):
                        raise
                    name = type(self.model.network).__name__
                    message = f"an operator of {name} has no second derivative: {str(error).splitlines()[0][:160]}"
                    raise Unsupported("no-second-derivative", message, "the rest of feature_spectrum is measured all the same") from error
        return total

    def _of(self, part: slice, vector: Tensor) -> Tensor:
        """The share of some of the images."""
        device = self.model.device
        copies = {name: parameter.detach().requires_grad_(True) for name, parameter in self._parameters()}
        weights = list(copies.values())
        logits: Tensor = functional_call(self.model.module, copies, (self.images[part].to(device),))
        loss = torch.nn.functional.cross_entropy(logits, self.labels[part].to(device), reduction="sum") / len(self.images)
        first = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
        along = torch.stack([(g * v).sum() for g, v in zip(first, _as_weights(vector, weights), strict=True)]).sum()
        if not along.requires_grad:    # no weight acts on the loss but linearly
            return torch.zeros_like(vector)
        second = torch.autograd.grad(along, weights, materialize_grads=True)
        return torch.cat([h.detach().flatten() for h in second])

    def _parameters(self) -> Sequence[tuple[str, Tensor]]:
        return [(name, p) for name, p in self.model.module.named_parameters() if p.is_floating_point()]


def _as_weights(vector: Tensor, weights: Sequence[Tensor]) -> Sequence[Tensor]:
    parts = vector.split([weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]


def _underived(error: Exception) -> bool:
    text = str(error)
    return isinstance(error, NotImplementedError) or "derivative" in text or "does not require grad" in text
