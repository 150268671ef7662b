"""The clean logits of a split, in memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efficient360.core.examples import Examples
from efficient360.models.model import Model


def clean_logits(model: Model, examples: Examples, batch_size: int, check: Callable[[], None]) -> NDArray[Any]:
    """Logits float32 ``(n, K)`` of ``examples`` in their order, from the shared pass where it has run.

    Args:
        model: Whose logits.
        examples: Of which images.
        batch_size: Examples read at a time.
        check: Called before each batch; may raise.
    """
    logits = np.empty((len(examples), model.num_classes), dtype=np.float32)
    start = 0
    for batch in examples.batches(batch_size):
        check()
        logits[start : start + len(batch)] = model.logits(batch).cpu().numpy()
        start += len(batch)
    return logits
