"""Losses that gradient attacks maximise: float ``(B,)`` of logits ``(B, K)``, higher is closer to a misclassification."""

from torch import Tensor
from torch.nn.functional import cross_entropy


def ce(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the label. Its gradient underflows when the logits are large, whatever the model's robustness."""
    return cross_entropy(logits, labels, reduction="none")


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio (Croce & Hein 2020, equation 6): a margin invariant to shift and scale of the logits. Needs 3 classes."""
    ordered = logits.sort(dim=1).values
    label = _gather(logits, labels)
    is_top = ordered[:, -1] == label
    other = ordered[:, -2].where(is_top, ordered[:, -1])
    return -(label - other) / (ordered[:, -1] - ordered[:, -3] + 1e-12)


def dlr_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Targeted difference of logits ratio (Croce & Hein 2020, equation 7): the label against one target class. Needs 4 classes."""
    ordered = logits.sort(dim=1).values
    width = ordered[:, -1] - (ordered[:, -3] + ordered[:, -4]) / 2
    return -(_gather(logits, labels) - _gather(logits, targets)) / (width + 1e-12)


def margin_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Target logit minus label logit, for models with too few classes for the ratio. The direction of its gradient is scale-invariant as well."""
    return _gather(logits, targets) - _gather(logits, labels)


def _gather(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes[:, None])[:, 0]
