"""Logits and features of examples: cached ones where the batches carry them, else from a forward pass."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.batch import Batch
from efficient360.core.examples import Examples
from efficient360.errors import Unsupported
from efficient360.models.model import Model, TorchModel
from efficient360.models.view.protocol import HOW_TO_STATE


@final
@dataclass(frozen=True)
class ModelOutputs:
    """Logits and features of ``n`` images.

    Args:
        logits: ``(n, K)``.
        features: ``(n, D)``, ``None`` where the model offers none.
    """

    logits: Floats
    features: Floats | None

    def require_features(self) -> Floats:
        """The features, ``(n, D)``.

        Raises:
            Unsupported: The model offers none.
        """
        if self.features is None:
            hint = f"evaluate the checkpoint itself, without --as, and one that ends in one linear layer; {HOW_TO_STATE}"
            raise Unsupported("no-features", "the model offers no features, which this method needs", hint)
        return self.features

    def to_rows(self) -> NDArray[Any]:
        """Logits and features side by side, ``(n, K + D)``: one row per example, for storage."""
        return self.logits if self.features is None else np.concatenate([self.logits, self.features], axis=1)

    @classmethod
    def from_rows(cls, rows: NDArray[Any], num_classes: int) -> "ModelOutputs":
        """The inverse of :meth:`to_rows`, from rows ``(n, K + D)`` with ``K = num_classes``."""
        return cls(rows[:, :num_classes], rows[:, num_classes:] if rows.shape[1] > num_classes else None)


def predict_batch(model: Model, batch: Batch) -> ModelOutputs:
    """Logits and features of a batch. Runs the model if the batch has no cached outputs."""
    if batch.clean_logits is not None:
        return ModelOutputs(batch.clean_logits.cpu().numpy(), None if batch.clean_features is None else batch.clean_features.cpu().numpy())
    with torch.inference_mode():
        if not isinstance(model, TorchModel):
            return ModelOutputs(model(batch.images).cpu().numpy(), None)
        logits, features = model.logits_and_features(batch.images)
    return ModelOutputs(logits.cpu().numpy(), None if features is None else features.cpu().numpy())


def predict_examples(model: Model, examples: Examples, batch_size: int) -> ModelOutputs:
    """Logits float32 ``(n, K)`` and, where the model offers them, features float32 ``(n, D)``, in the order of the examples."""
    outputs = [predict_batch(model, batch) for batch in examples.batches(batch_size)]
    features = [output.features for output in outputs if output.features is not None]
    return ModelOutputs(np.concatenate([output.logits for output in outputs]), np.concatenate(features) if features else None)


def predict_logits(model: Model, examples: Examples, batch_size: int, check: Callable[[], None]) -> NDArray[Any]:
    """Logits alone, float32 ``(n, K)``, in the order of the examples; needs half the memory of :func:`predict_examples`.

    Args:
        model: Whose logits, where batches carry no cached ones.
        examples: In order.
        batch_size: Examples at a time.
        check: Called before each batch; may raise.
    """
    logits = np.empty((len(examples), model.num_classes), dtype=np.float32)
    start = 0
    for batch in examples.batches(batch_size):
        check()
        logits[start : start + len(batch)] = model.logits(batch).cpu().numpy()
        start += len(batch)
    return logits
