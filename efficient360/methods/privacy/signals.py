"""What a model's logits give away about one example."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.errors import CheckpointError
from efficient360.models.model import Model

LOSS: Final = 0
"""Cross-entropy of the label (Yeom et al. 2018)."""
ENTROPY: Final = 1
"""Entropy of the prediction; knows no label (Salem et al. 2019)."""
MARGIN: Final = 2
"""Logit of the label less the largest other."""
SCALED: Final = 3
"""Logit-scaled confidence log(p / (1 − p)) of the label, near to normal over models (Carlini et al. 2022)."""
WIDTH: Final = 4


def signals(logits: Tensor, labels: Tensor) -> Tensor:
    """The four signals of each example, float64 ``(B, 4)`` in the order of the constants above.

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


def signals_of(model: Model, batch: Batch) -> NDArray[np.float64]:
    """The signals of a batch's clean images, float64 ``(B, 4)``.

    Raises:
        CheckpointError: NaN or infinite logits.
    """
    found = signals(model.logits(batch), batch.labels).numpy()
    wrong = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(wrong):
        raise CheckpointError(
            "non-finite-logits", f"the model returned NaN or infinite logits for example {batch.ids[wrong[0]]}", "check the weights and the preprocessing"
        )
    return found
