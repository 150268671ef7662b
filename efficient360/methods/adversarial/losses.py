"""What gradient attacks climb: float ``(B,)`` of logits ``(B, K)``, higher is nearer to a mistake."""

from torch import Tensor
from torch.nn.functional import cross_entropy


def ce(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the label. Its gradient underflows when the logits are large, whatever the model's robustness."""
    return cross_entropy(logits, labels, reduction="none")


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio (Croce & Hein 2020, equation 6): a margin that no scale or shift of the logits changes. Wants 3 classes."""
    ordered = logits.sort(dim=1).values
    label = _at(logits, labels)
    first = ordered[:, -1] == label
    other = ordered[:, -2].where(first, ordered[:, -1])
    return -(label - other) / (ordered[:, -1] - ordered[:, -3] + 1e-12)


def dlr_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Targeted difference of logits ratio (Croce & Hein 2020, equation 7): of the label against one other class. Wants 4 classes."""
    ordered = logits.sort(dim=1).values
    width = ordered[:, -1] - (ordered[:, -3] + ordered[:, -4]) / 2
    return -(_at(logits, labels) - _at(logits, targets)) / (width + 1e-12)


def margin_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Target's logit over the label's: where there are too few classes for a ratio. Its direction does not depend on scale either."""
    return _at(logits, targets) - _at(logits, labels)


def _at(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes[:, None])[:, 0]
