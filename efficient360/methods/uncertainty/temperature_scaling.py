"""Temperature scaling: a single number that divides all logits, fitted by maximum likelihood on held-out labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Interval
from efficient360.core.seeding import generators
from efficient360.errors import Unsupported

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100.0
"""Range of temperatures that is searched."""
Z_95: Final = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""
ROWS = 4096
"""Examples processed at a time."""


@final
@dataclass(frozen=True)
class Temperature:
    """A fitted temperature.

    Args:
        value: Divisor of the logits, positive; above 1 softens the probabilities, below 1 sharpens them.
        interval: From the sandwich variance of its logarithm (Huber 1967, White 1982), valid even if the scaled model is misspecified.
    """

    value: float
    interval: Interval


def fit_temperature(logits: NDArray[Any], labels: NDArray[np.int64]) -> Temperature:
    """The maximum-likelihood temperature (Guo et al. 2017, section 4.2).

    The negative log-likelihood is convex in the inverse temperature, so its slope has at most one root.

    Args:
        logits: ``(n, K)``.
        labels: ``(n,)``.

    Raises:
        Unsupported: No temperature between 0.01 and 100 maximises the likelihood.
    """
    from scipy.optimize import brentq  # slow to import

    def slope(log_inverse: float) -> float:
        return float(_slopes(logits, labels, float(np.exp(log_inverse))).mean())

    low, high = -1.0, 1.0  # most temperatures lie within a factor e of 1
    if slope(low) >= 0 or slope(high) <= 0:
        low, high = -float(np.log(MAX_TEMPERATURE)), -float(np.log(MIN_TEMPERATURE))
        hint = "evaluate more examples; the uncalibrated metrics are unaffected"
        if slope(low) >= 0:
            raise Unsupported("no-temperature", "no temperature fits: the logits of the true classes are on average no higher than those of the others", hint)
        if slope(high) <= 0:
            raise Unsupported(
                "no-temperature", "no temperature fits: with almost no misclassified example, the likelihood grows without bound as probabilities sharpen", hint
            )
    bracketed = float(np.exp(brentq(slope, low, high, xtol=1e-5)))
    inverse = bracketed - slope(float(np.log(bracketed))) / _curvature(logits, bracketed)  # one Newton step leaves an error of about 1e-10
    slopes, curvature = _slopes(logits, labels, inverse), _curvature(logits, inverse)
    half_width = Z_95 * float(np.sqrt(np.square(slopes).mean() / len(labels))) / curvature / inverse
    return Temperature(1 / inverse, Interval(float(np.exp(-half_width)) / inverse, float(np.exp(half_width)) / inverse, "sandwich"))


def cross_fit_temperatures(logits: NDArray[Any], labels: NDArray[np.int64], ids: Sequence[str], seed: int) -> Floats:
    """A temperature for each example, fitted without it, ``(n,)``: two-fold cross-fitting, stratified by class.

    Which fold an example falls into depends on the seed and on its id, not on the order.

    Raises:
        Unsupported: A fold has no maximum-likelihood temperature.
    """
    first = stratified_halves(labels, ids, seed)
    temperatures = np.empty(len(labels))
    for half in (first, ~first):
        if not half.any() or half.all():
            raise Unsupported(
                "no-temperature",
                "a single example can't be split into two halves to fit a temperature",
                "evaluate more examples; the uncalibrated metrics are unaffected",
            )
        temperatures[~half] = fit_temperature(logits[half], labels[half]).value
    return temperatures


def stratified_halves(labels: NDArray[np.int64], ids: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Whether each example falls into the first of two random halves, bool ``(n,)``; the halves differ by at most one example of each class."""
    keys = np.array([generator.random() for generator in generators("calibration halves", ids, seed)])
    first = np.empty(len(labels), dtype=bool)
    first[np.lexsort((keys, labels))] = np.arange(len(labels)) % 2 == 0
    return first


def scaled_log_probabilities(logits: NDArray[Any], temperatures: Floats) -> NDArray[np.float32]:
    """Log-probabilities ``(n, K)`` of logits ``(n, K)`` divided by each example's temperature ``(n,)``; float32 to save memory."""
    log_probability = np.empty(logits.shape, dtype=np.float32)
    for start in range(0, len(logits), ROWS):
        rows = slice(start, start + ROWS)
        divided = logits[rows].astype(np.float64) / temperatures[rows, None]
        divided -= divided.max(axis=1, keepdims=True)
        log_probability[rows] = divided - np.log(np.exp(divided).sum(axis=1, keepdims=True))
    return log_probability


def _slopes(logits: NDArray[Any], labels: NDArray[np.int64], inverse: float) -> Floats:
    """Derivative of each example's NLL with respect to the inverse temperature, ``(n,)``: the expected logit minus that of the true class."""
    slopes = [np.einsum("ik,ik->i", probability, block) - block[np.arange(len(block)), labels[rows]] for rows, block, probability in _tempered(logits, inverse)]
    return np.concatenate(slopes)


def _curvature(logits: NDArray[Any], inverse: float) -> float:
    """Second derivative of the mean NLL: the mean variance of the logits."""
    total = 0.0
    for _, block, probability in _tempered(logits, inverse):
        mean = np.einsum("ik,ik->i", probability, block)
        total += float(np.einsum("ik,ik->", probability, np.square(block - mean[:, None])))
    return total / len(logits)


def _tempered(logits: NDArray[Any], inverse: float) -> Iterator[tuple[slice, Floats, Floats]]:
    """Row slices with their shifted logits and tempered probabilities, some examples at a time."""
    for start in range(0, len(logits), ROWS):
        rows = slice(start, start + ROWS)
        block = logits[rows].astype(np.float64)
        block -= block.max(axis=1, keepdims=True)
        probability = np.exp(block * inverse)
        yield rows, block, probability / probability.sum(axis=1, keepdims=True)
