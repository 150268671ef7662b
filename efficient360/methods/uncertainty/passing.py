"""Logits and features of examples: from the shared pass where it has them, else from a pass of one's own."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.batch import Batch
from efficient360.core.examples import Examples
from efficient360.methods.uncertainty.detectors import Outputs
from efficient360.models.model import Model, TorchModel


def outputs_of(model: Model, examples: Examples, batch_size: int) -> Outputs:
    """Logits float32 ``(n, K)`` and, where the model offers them, features float32 ``(n, D)``.

    Args:
        model: What says them where the batches don't carry them.
        examples: In order.
        batch_size: Examples at a time.
    """
    found = [said(model, batch) for batch in examples.batches(batch_size)]
    features = [row.features for row in found if row.features is not None]
    return Outputs(np.concatenate([row.logits for row in found]), np.concatenate(features) if features else None)


def said(model: Model, batch: Batch) -> Outputs:
    """Logits and features of one batch."""
    if batch.clean_logits is not None:
        return Outputs(batch.clean_logits.cpu().numpy(), None if batch.clean_features is None else batch.clean_features.cpu().numpy())
    with torch.inference_mode():
        if not isinstance(model, TorchModel):
            return Outputs(model(batch.images).cpu().numpy(), None)
        logits, features = model.logits_and_features(batch.images)
    return Outputs(logits.cpu().numpy(), None if features is None else features.cpu().numpy())


def joined(outputs: Outputs) -> NDArray[Any]:
    """Logits and features side by side, ``(n, K + D)``: a row an example, to be kept."""
    return outputs.logits if outputs.features is None else np.concatenate([outputs.logits, outputs.features], axis=1)


def parted(rows: NDArray[Any], classes: int) -> Outputs:
    """What :func:`joined` put side by side.

    Args:
        rows: ``(n, K + D)``.
        classes: ``K``.
    """
    return Outputs(rows[:, :classes], rows[:, classes:] if rows.shape[1] > classes else None)
