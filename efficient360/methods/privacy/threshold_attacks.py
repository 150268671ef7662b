"""Threshold attacks: membership scores from the attacked checkpoint alone, by loss, entropy, margin and gradient norm."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from efficient360.core.batch import Batch
from efficient360.errors import CheckpointError
from efficient360.models.model import Model, TorchModel

LOSS: Final = 0
"""Column of the label's cross-entropy (Yeom et al. 2018)."""
ENTROPY: Final = 1
"""Column of the prediction's entropy, which uses no label (Salem et al. 2019)."""
MARGIN: Final = 2
"""Column of the label's logit minus the largest other."""
SCALED: Final = 3
"""Column of the label's logit-scaled confidence log(p / (1 − p)), nearly normal over models (Carlini et al. 2022)."""
WIDTH: Final = 4
SIGNED_ATTACKS: Final = (("loss", LOSS, -1.0), ("entropy", ENTROPY, -1.0), ("margin", MARGIN, 1.0))
"""Attacks on the logits: name, column, and the sign that makes higher scores more like a member."""
GRADIENT_NORM: Final = "gradient norm"
"""Name of the attack by :func:`gradient_norms`."""
MAX_GRADIENT_VALUES = 2**26
"""The most gradient entries held at once, 256 MiB in float32."""


def attack_signals(logits: Tensor, labels: Tensor) -> Tensor:
    """The four signals of each example, float64 ``(B, 4)`` in the order of the column constants.

    Args:
        logits: ``(B, K)`` with ``K`` at least 2, finite.
        labels: int64 ``(B,)``.
    """
    z = logits.detach().cpu().double()
    labels = labels.cpu()[:, None]
    logp = z.log_softmax(1)
    label = z.gather(1, labels)[:, 0]
    rest = z.scatter(1, labels, -torch.inf)
    return torch.stack([-logp.gather(1, labels)[:, 0], -(logp.exp() * logp).sum(1), label - rest.amax(1), label - rest.logsumexp(1)], dim=1)


def model_signals(model: Model, batch: Batch) -> NDArray[np.float64]:
    """The signals of a batch's clean images, float64 ``(B, 4)``.

    Raises:
        CheckpointError: NaN or infinite logits.
    """
    signals = attack_signals(model.logits(batch), batch.labels).numpy()
    bad = np.flatnonzero(~np.isfinite(signals).all(axis=1))
    if len(bad):
        raise CheckpointError(
            "non-finite-logits", f"the model returned NaN or infinite logits for example {batch.ids[bad[0]]}", "check the weights and the preprocessing"
        )
    return signals


def gradient_norms(model: TorchModel, images: Tensor, labels: Tensor) -> Tensor:
    """L2 norm over all parameters of the gradient of each example's cross-entropy, float64 ``(B,)``, non-negative (Nasr, Shokri & Houmansadr 2019).

    Small where training has converged on the example. The model's parameters are left untouched: the gradients are those of copies.

    Args:
        model: A network in torch.
        images: ``(B, 3, H, W)`` in [0, 1].
        labels: int64 ``(B,)``.
    """
    parameters = {name: p.detach() for name, p in model.module.named_parameters() if p.is_floating_point()}
    images, labels = images.to(model.device), labels.to(model.device)

    def loss(weights: Mapping[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits: Tensor = functional_call(model.module, dict(weights), (image[None],))
        return torch.nn.functional.cross_entropy(logits, label[None])

    def norm(image: Tensor, label: Tensor) -> Tensor:
        return _global_norm(grad(loss)(parameters, image, label))

    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels can't be batched over examples
        rows = max(1, MAX_GRADIENT_VALUES // max(1, sum(p.numel() for p in parameters.values())))
        return _per_example(norm, images, labels, rows).detach().cpu().double()


def _per_example(norm: Callable[[Tensor, Tensor], Tensor], images: Tensor, labels: Tensor, rows: int) -> Tensor:
    """``norm`` of every example, ``rows`` of them at once where the operators allow it."""
    if rows > 1:
        try:
            batched: Callable[[Tensor, Tensor], Tensor] = vmap(norm, in_dims=(0, 0), chunk_size=rows)
            return batched(images, labels)
        except RuntimeError:
            pass  # an operator without a batching rule: one example at a time works
    return torch.stack([norm(image, label) for image, label in zip(images, labels, strict=True)])


def _global_norm(gradients: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([g.double().square().sum() for g in gradients.values()]).sum().sqrt()
