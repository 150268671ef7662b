"""A model as an attack sees it: logits, and the gradient of a loss with respect to pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.models.model import Model, TorchModel

Loss = Callable[..., Tensor]
"""``loss(logits, *what)`` → float ``(b,)``, one value an example; ``logits`` float32 ``(b, K)``, ``what`` tensors of ``b`` rows."""


@final
@dataclass(frozen=True)
class Victim:
    """A model that answers in passes of one fixed shape.

    A pass of another shape may round differently, and the sign of a gradient turns that into another attack. So every pass has
    ``rows`` images, the last ones repeated where there are fewer, and what becomes of an example does not depend on how many
    others are attacked beside it.

    Args:
        model: From pixels in [0, 1] to logits.
        rows: Images a pass.
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
            return torch.cat([self.model(_filled(part, self.rows))[: len(part)] for part in torch.split(images, self.rows)])

    def gradient(self, images: Tensor, loss: Loss, *what: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits ``(B, K)``, losses ``(B,)``, and the gradient of each example's loss with respect to its own pixels ``(B, 3, H, W)``.

        Zero where the logits do not depend on the pixels differentiably.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1].
            loss: Of logits and ``what``.
            what: Tensors with ``B`` rows: labels, target classes.
        """
        found = []
        for start in range(0, len(images), self.rows):
            size = len(images[start : start + self.rows])
            part, *rest = (_filled(one[start : start + self.rows], self.rows) for one in (images, *what))
            part = part.detach().requires_grad_()
            with torch.enable_grad():
                logits = self.model(part)
                losses = loss(logits, *rest)
                gradient = torch.autograd.grad(losses.sum(), part)[0] if losses.requires_grad else torch.zeros_like(part)
            found.append((logits.detach()[:size], losses.detach()[:size], gradient[:size]))
        logits, losses, gradients = (torch.cat(parts) for parts in zip(*found, strict=True))
        return logits, losses, gradients


def _filled(part: Tensor, rows: int) -> Tensor:
    return part if len(part) == rows else torch.cat([part, part[-1:].expand(rows - len(part), *part.shape[1:])])
