"""A batch of examples: ids, labels and groups at once, images only when somebody looks at them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True)
class Batch:
    """Some consecutive examples of a split.

    Args:
        ids: Stable example ids, length ``B``.
        labels: int64 ``(B,)``, the class of each example.
        groups: Group value of each example by group column; empty where the data set names no groups.
        load: Decodes and transforms the images; called at most once, on the first look at ``images``.
        seed: The run's seed. Randomness per example derives from it and the example's id, so that order and batch size change nothing.
        clean_logits: float32 ``(B, K)`` from the shared pass over the clean images, ``None`` before that pass.
        clean_features: float32 ``(B, D)`` from the same pass, the pooled features before the classifier; ``None`` where the model offers none.
    """

    ids: tuple[str, ...]
    labels: Tensor
    load: Callable[[], Tensor]
    seed: int
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clean_logits: Tensor | None = None
    clean_features: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def images(self) -> Tensor:
        """float32 ``(B, 3, H, W)`` in [0, 1], sized for the model, not normalised."""
        return self.load()
