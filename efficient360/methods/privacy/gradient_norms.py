"""Norm of each example's own loss gradient over all weights: small where the model has settled on the example."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from efficient360.models.model import TorchModel

HELD = 2**26
"""The most gradient entries held at once, 256 MiB in float32."""


def gradient_norms(model: TorchModel, images: Tensor, labels: Tensor) -> Tensor:
    """L2 norm over all parameters of the gradient of each example's cross-entropy, float64 ``(B,)``, non-negative (Nasr, Shokri & Houmansadr 2019).

    The model's parameters are left untouched: the gradients are those of copies.

    Args:
        model: A network in torch.
        images: ``(B, 3, H, W)`` in [0, 1].
        labels: int64 ``(B,)``.
    """
    parameters = {name: p.detach() for name, p in model.module.named_parameters() if p.is_floating_point()}
    images, labels = images.to(model.device), labels.to(model.device)

    def loss(of: Mapping[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits: Tensor = functional_call(model.module, dict(of), (image[None],))
        return torch.nn.functional.cross_entropy(logits, label[None])

    def norm(image: Tensor, label: Tensor) -> Tensor:
        return _norm(grad(loss)(parameters, image, label))

    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels can't be batched over examples
        return _norms(norm, images, labels, max(1, HELD // max(1, sum(p.numel() for p in parameters.values())))).detach().cpu().double()


def _norms(norm: Callable[[Tensor, Tensor], Tensor], images: Tensor, labels: Tensor, rows: int) -> Tensor:
    """``norm`` of every example, ``rows`` of them at once where the operators allow it."""
    if rows > 1:
        try:
            together: Callable[[Tensor, Tensor], Tensor] = vmap(norm, in_dims=(0, 0), chunk_size=rows)
            return together(images, labels)
        except RuntimeError:
            pass  # an operator that can't be batched over examples: one by one it can
    return torch.stack([norm(image, label) for image, label in zip(images, labels, strict=True)])


def _norm(gradients: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([g.double().square().sum() for g in gradients.values()]).sum().sqrt()
