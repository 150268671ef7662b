"""What is read off an accuracy matrix. Here ``R[i, j]`` is the accuracy on task j after task i was learned, both counted from 0."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]
Vector = NDArray[np.floating[Any]]


def average_accuracy(r: Matrix) -> float:
    """``ACC = 1/T Σ_j R[T, j]`` (Lopez-Paz & Ranzato 2017, equation 2): mean accuracy over all tasks in the end; 0 … 1, higher is better."""
    return float(r[-1].mean())


def backward_transfer(r: Matrix) -> float:
    """``BWT = 1/(T−1) Σ_{j<T} R[T, j] − R[j, j]`` (Lopez-Paz & Ranzato 2017, equation 3); below 0 where later tasks harm earlier ones.

    Raises:
        ValueError: Fewer than two tasks.
    """
    _require_two(r)
    return float((r[-1] - np.diag(r))[:-1].mean())


def forward_transfer(r: Matrix, before: Vector) -> float:
    """``FWT = 1/(T−1) Σ_{j>1} R[j−1, j] − b[j]`` (Lopez-Paz & Ranzato 2017, equation 4); above 0 where earlier tasks help later ones.

    Args:
        r: ``(T, T)``.
        before: ``b``, accuracy on each task before any was learned, ``(T,)``; of the checkpoint, where the paper starts from random weights.

    Raises:
        ValueError: Fewer than two tasks.
    """
    _require_two(r)
    return float((np.diag(r, 1) - before[1:]).mean())


def forgetting(r: Matrix) -> float:
    """``F = 1/(T−1) Σ_{j<T} max_{l<T} R[l, j] − R[T, j]`` (Chaudhry et al. 2018): the best accuracy on a task so far less that in the end.

    −1 … 1, lower is better. Equal to ``−BWT`` where no task was at its best before or after it was learned.

    Raises:
        ValueError: Fewer than two tasks.
    """
    _require_two(r)
    return float((r[:-1].max(axis=0) - r[-1])[:-1].mean())


def plasticity(r: Matrix) -> float:
    """``1/T Σ_j R[j, j]``, accuracy on a task right after it was learned (learning accuracy: Riemer et al. 2019); 0 … 1, higher is better."""
    return float(np.diag(r).mean())


def intransigence(r: Matrix, joint: Matrix) -> float:
    """Mean over k of ``I_k = a*_k − R[k, k]`` (Chaudhry et al. 2018): what a task falls short when it is learned in the stream.

    −1 … 1, lower is better.

    Args:
        r: ``(T, T)``.
        joint: ``(T, T)``, row k of a network that learned tasks 0 … k together; its diagonal is ``a*``.
    """
    return float((np.diag(joint) - np.diag(r)).mean())


def average_incremental_accuracy(r: Matrix) -> float:
    """Mean over i of the mean accuracy on tasks 0 … i after task i (Rebuffi et al. 2017, section 4); 0 … 1, higher is better."""
    return float(np.mean([r[i, : i + 1].mean() for i in range(len(r))]))


def _require_two(r: Matrix) -> None:
    if len(r) < 2:
        raise ValueError("one task neither helps nor harms another")
