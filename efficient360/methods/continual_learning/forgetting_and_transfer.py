"""Metrics of continual learning, and how they follow from an accuracy matrix ``R``: ``R[i, j]`` is the accuracy on task j after task i, from 0."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import ONE, Better, Metric

_GEM = "Lopez-Paz & Ranzato 2017"
_WALK = "Chaudhry et al. 2018 (Riemannian walk)"

AVERAGE = Metric(
    "average_accuracy",
    ONE,
    Better.HIGHER,
    "Mean accuracy over all tasks after the last one was learned.",
    f"{_GEM}, equation 2",
    low=0,
    high=1,
)
JOINT = Metric(
    "joint_accuracy",
    ONE,
    Better.HIGHER,
    "Average accuracy of joint training on all tasks: the upper bound that a stream is compared with.",
    "joint training, after Li & Hoiem 2018",
    low=0,
    high=1,
)
SHARE = Metric(
    "share_of_joint",
    ONE,
    Better.HIGHER,
    "Average accuracy relative to joint training: 1 where learning one task after the other costs nothing.",
    "joint training as the upper bound: van de Ven, Tuytelaars & Tolias 2022",
    low=0,
)
RETENTION = Metric(
    "retention",
    ONE,
    Better.HIGHER,
    "Accuracy on the original test set after the last task, relative to that before the first.",
    "relative accuracy on the original task, after Li & Hoiem 2018",
    low=0,
)
ORIGINAL = Metric(
    "original_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy on the original test set, before the first task or after the last.",
    "Li & Hoiem 2018",
    low=0,
    high=1,
)
FORGETTING = Metric(
    "forgetting",
    ONE,
    Better.LOWER,
    "Best accuracy on a task during the stream minus its final accuracy, mean over all tasks but the last.",
    _WALK,
    low=-1,
    high=1,
)
BACKWARD = Metric(
    "backward_transfer",
    ONE,
    Better.HIGHER,
    "Change of the accuracy on a task from right after it was learned to the end of the stream, mean over all tasks but the last; below 0 is forgetting.",
    f"{_GEM}, equation 3",
    low=-1,
    high=1,
)
FORWARD = Metric(
    "forward_transfer",
    ONE,
    Better.HIGHER,
    "Change of the accuracy on a task through the tasks learned before it, mean over all tasks but the first.",
    f"{_GEM}, equation 4",
    low=-1,
    high=1,
)
PLASTICITY = Metric(
    "plasticity",
    ONE,
    Better.HIGHER,
    "Accuracy on a task right after it was learned, mean over the tasks.",
    "Riemer et al. 2019 (learning accuracy)",
    low=0,
    high=1,
)
INTRANSIGENCE = Metric(
    "intransigence",
    ONE,
    Better.LOWER,
    "Accuracy on a task under joint training minus that right after it was learned in the stream, mean over the tasks.",
    _WALK,
    low=-1,
    high=1,
)
INCREMENTAL = Metric(
    "average_incremental_accuracy",
    ONE,
    Better.HIGHER,
    "Mean accuracy over the tasks so far, averaged over the stream.",
    "Rebuffi et al. 2017",
    low=0,
    high=1,
)
ALL = (RETENTION, SHARE, FORGETTING, AVERAGE, JOINT, BACKWARD, FORWARD, PLASTICITY, INTRANSIGENCE, INCREMENTAL, ORIGINAL)

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
    """``F = 1/(T−1) Σ_{j<T} max_{l<T} R[l, j] − R[T, j]`` (Chaudhry et al. 2018): the best accuracy on a task so far minus its final accuracy.

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
    """Mean over k of ``I_k = a*_k − R[k, k]`` (Chaudhry et al. 2018): how far a task learned in the stream falls short of joint training.

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
