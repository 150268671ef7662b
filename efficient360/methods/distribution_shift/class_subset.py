"""What a model answers when it may choose among some of its classes only."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def answers(logits: NDArray[Any], classes: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The most likely class among ``classes`` and its probability among them; all other logits are left out.

    That is how the authors of ImageNet-A (Hendrycks et al. 2021, "Natural Adversarial Examples", CVPR) and ImageNet-R (Hendrycks et al. 2021, "The Many Faces
    of Robustness", ICCV) score a model of 1000 classes on their 200, and on the clean images of these.

    Args:
        logits: ``(n, K)``.
        classes: Ascending indices of columns; empty for all.

    Returns:
        Class indices int64 ``(n,)``, of equally likely ones the lowest, and probabilities float64 ``(n,)``.
    """
    columns = np.asarray(classes, dtype=np.int64) if len(classes) else np.arange(logits.shape[1])
    chosen = logits[:, columns].astype(np.float64)
    top = chosen.argmax(axis=1)
    share = np.exp(chosen - chosen.max(axis=1, keepdims=True))
    return columns[top], 1.0 / share.sum(axis=1)
