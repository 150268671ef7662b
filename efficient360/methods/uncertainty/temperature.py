"""Temperature scaling: one number that all logits are divided by, fitted to the likelihood of held-out labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Interval
from efficient360.core.seeding import generators
from efficient360.errors import Unsupported

LOWEST, HIGHEST = 0.01, 100.0
"""Temperatures between which one is looked for."""
NORMAL: Final = 1.959963984540054
"""97.5 % point of the normal distribution."""
ROWS = 4096
"""Examples worked on at a time."""


@final
@dataclass(frozen=True)
class Temperature:
    """A fitted temperature.

    Args:
        value: What logits are divided by, above 0; above 1 softens, below 1 sharpens.
        interval: From the sandwich variance of its logarithm (Huber 1967, White 1982), which does not take the scaled model for the true one.
    """

    value: float
    interval: Interval


def fitted(logits: NDArray[Any], labels: NDArray[np.int64]) -> Temperature:
    """The temperature of the highest likelihood (Guo et al. 2017, section 4.2).

    The negative log-likelihood is convex in the inverse temperature, so its slope has at most one root.

    Args:
        logits: ``(n, K)``.
        labels: ``(n,)``.

    Raises:
        Unsupported: No temperature between 0.01 and 100 is best.
    """
    from scipy.optimize import brentq  # slow to import

    def slope(log_inverse: float) -> float:
        return float(_slopes(logits, labels, float(np.exp(log_inverse))).mean())

    low, high = -1.0, 1.0  # most temperatures lie within a factor e of 1
    if slope(low) >= 0 or slope(high) <= 0:
        low, high = -float(np.log(HIGHEST)), -float(np.log(LOWEST))
        hint = "evaluate more examples; the raw numbers stand"
        if slope(low) >= 0:
            raise Unsupported("no-temperature", "no temperature fits: the logits of the true classes are no higher than the others'", hint)
        if slope(high) <= 0:
            raise Unsupported("no-temperature", "no temperature fits: with hardly a wrong answer, ever sharper probabilities are ever likelier", hint)
    near = float(np.exp(brentq(slope, low, high, xtol=1e-5)))
    inverse = near - slope(float(np.log(near))) / _curvature(logits, near)  # one step of Newton's leaves an error of about 1e-10
    slopes, curvature = _slopes(logits, labels, inverse), _curvature(logits, inverse)
    spread = NORMAL * float(np.sqrt(np.square(slopes).mean() / len(labels))) / curvature / inverse
    return Temperature(1 / inverse, Interval(float(np.exp(-spread)) / inverse, float(np.exp(spread)) / inverse, "sandwich"))


def cross_fitted(logits: NDArray[Any], labels: NDArray[np.int64], ids: Sequence[str], seed: int) -> Floats:
    """For each example a temperature that it did not help to fit, ``(n,)``: the examples are halved within each class, and each half scales the other.

    Which half an example falls into hangs on the seed and on the ids, not on the order.

    Raises:
        Unsupported: A half has no best temperature.
    """
    first = halves(labels, ids, seed)
    temperatures = np.empty(len(labels))
    for half in (first, ~first):
        if not half.any() or half.all():
            raise Unsupported("no-temperature", "a single example can't be halved to fit a temperature", "evaluate more examples; the raw numbers stand")
        temperatures[~half] = fitted(logits[half], labels[half]).value
    return temperatures


def halves(labels: NDArray[np.int64], ids: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Whether each example falls into the first of two random halves, ``(n,)``; either has as many of each class, within one."""
    keys = np.array([generator.random() for generator in generators("calibration halves", ids, seed)])
    chosen = np.empty(len(labels), dtype=bool)
    chosen[np.lexsort((keys, labels))] = np.arange(len(labels)) % 2 == 0
    return chosen


def scaled(logits: NDArray[Any], temperatures: Floats) -> NDArray[np.float32]:
    """Log-probabilities ``(n, K)`` of logits ``(n, K)`` divided by each example's temperature ``(n,)``; float32, as there may be many."""
    found = np.empty(logits.shape, dtype=np.float32)
    for start in range(0, len(logits), ROWS):
        rows = slice(start, start + ROWS)
        divided = logits[rows].astype(np.float64) / temperatures[rows, None]
        divided -= divided.max(axis=1, keepdims=True)
        found[rows] = divided - np.log(np.exp(divided).sum(axis=1, keepdims=True))
    return found


def _slopes(logits: NDArray[Any], labels: NDArray[np.int64], inverse: float) -> Floats:
    """Derivative of each example's negative log-likelihood by the inverse temperature, ``(n,)``: the expected logit less that of the true class."""
    parts = [np.einsum("ik,ik->i", probability, part) - part[np.arange(len(part)), labels[rows]] for rows, part, probability in _tempered(logits, inverse)]
    return np.concatenate(parts)


def _curvature(logits: NDArray[Any], inverse: float) -> float:
    """Second derivative of the mean: the mean variance of the logits."""
    total = 0.0
    for _, part, probability in _tempered(logits, inverse):
        mean = np.einsum("ik,ik->i", probability, part)
        total += float(np.einsum("ik,ik->", probability, np.square(part - mean[:, None])))
    return total / len(logits)


def _tempered(logits: NDArray[Any], inverse: float) -> Iterator[tuple[slice, Floats, Floats]]:
    for start in range(0, len(logits), ROWS):
        rows = slice(start, start + ROWS)
        part = logits[rows].astype(np.float64)
        part -= part.max(axis=1, keepdims=True)
        probability = np.exp(part * inverse)
        yield rows, part, probability / probability.sum(axis=1, keepdims=True)
