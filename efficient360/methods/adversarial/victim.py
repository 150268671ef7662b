"""The model under attack: its logits, and the gradient of a loss with respect to the pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.models.model import Model, TorchModel

Loss = Callable[..., Tensor]
"""``loss(logits, *args)`` → float ``(b,)``, one value an example; ``logits`` float32 ``(b, K)``, ``args`` tensors of ``b`` rows."""


@final
@dataclass(frozen=True)
class Victim:
    """A model evaluated in forward passes of one fixed batch shape.

    A pass of another shape may round differently, and the sign of a gradient amplifies that into another attack. So every pass has
    ``rows`` images, padded by repeating the last one, and the result for an example does not depend on how many others are attacked
    beside it.

    Args:
        model: From pixels in [0, 1] to logits.
        rows: Images in a forward pass.
    """

    model: Model
    rows: int = 16

    @property
    def num_classes(self) -> int:
        """``K``."""
        return self.model.num_classes

    @property
    def device(self) -> str:
        """Where images and logits live."""
        return self.model.device if isinstance(self.model, TorchModel) else "cpu"

    def logits(self, images: Tensor) -> Tensor:
        """Logits float32 ``(B, K)`` of images ``(B, 3, H, W)`` in [0, 1], without gradients."""
        with torch.no_grad():
            return torch.cat([self.model(_padded(part, self.rows))[: len(part)] for part in torch.split(images, self.rows)])

    def gradient(self, images: Tensor, loss: Loss, *args: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits ``(B, K)``, losses ``(B,)``, and the gradient of each example's loss with respect to its own pixels ``(B, 3, H, W)``.

        Zero where the logits do not depend on the pixels differentiably.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1].
            loss: Of logits and ``args``.
            args: Tensors with ``B`` rows: labels, target classes.
        """
        passes = []
        for start in range(0, len(images), self.rows):
            size = len(images[start : start + self.rows])
            part, *rest = (_padded(tensor[start : start + self.rows], self.rows) for tensor in (images, *args))
            part = part.detach().requires_grad_()
            with torch.enable_grad():
                logits = self.model(part)
                losses = loss(logits, *rest)
                gradient = torch.autograd.grad(losses.sum(), part)[0] if losses.requires_grad else torch.zeros_like(part)
            passes.append((logits.detach()[:size], losses.detach()[:size], gradient[:size]))
        logits, losses, gradients = (torch.cat(parts) for parts in zip(*passes, strict=True))
        return logits, losses, gradients


def _padded(part: Tensor, rows: int) -> Tensor:
    return part if len(part) == rows else torch.cat([part, part[-1:].expand(rows - len(part), *part.shape[1:])])
