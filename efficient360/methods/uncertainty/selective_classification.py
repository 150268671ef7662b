"""Selective classification: the risk among the most confident examples as a function of coverage, AURC and AUGRC."""

import math

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.methods.uncertainty.ece import ConfidenceLevels


def area_under_risk_coverage(levels: ConfidenceLevels) -> Floats:
    """AURC of each row of ``levels``: mean over ``k = 1 … n`` of the error rate among the ``k`` most confident, ``(r,)`` in [0, 1], lower is better.

    Geifman, Uziel & El-Yaniv 2019 (section 3). Ties count as the average over all their orders, which is exact because the mean is linear in the errors.
    """
    # Example i of n counts in every k ≥ i, so its weight is (1/n) Σ_{k ≥ i} 1/k.
    n = levels.n
    weights = np.cumsum(1.0 / np.arange(n, 0, -1))[::-1] / n
    cumulative = np.concatenate([[0.0], np.cumsum(weights)])
    counts, errors = levels.counts[:, ::-1], (levels.counts - levels.hits)[:, ::-1]
    ends = np.cumsum(counts, axis=1)
    weight = cumulative[ends] - cumulative[ends - counts]
    error_rate = errors / np.maximum(counts, 1)
    area: Floats = np.clip((error_rate * weight).sum(axis=1), 0.0, 1.0)
    return area


def area_under_generalized_risk(levels: ConfidenceLevels) -> Floats:
    """AUGRC of each row of ``levels``: area under the generalized risk-coverage curve, ``(r,)`` in [0, 1/2], lower is better.

    Traub et al. 2024, "Overcoming Common Flaws in the Evaluation of Selective Classification Systems": the generalized risk is the share of all examples that
    are accepted and misclassified, the mean risk of an undetected failure. Unlike AURC it does not divide by coverage, so an error among the few most
    confident weighs no more than a later one. Ties lie on a straight line, the average over their orders.
    """
    counts, errors = levels.counts[:, ::-1], (levels.counts - levels.hits)[:, ::-1]
    cumulative_errors = np.cumsum(errors, axis=1)
    area: Floats = (counts * (2 * cumulative_errors - errors)).sum(axis=1) / (2 * levels.n**2)
    return area


def accuracy_at_coverage(levels: ConfidenceLevels, coverage: float) -> tuple[float, int]:
    """Selective accuracy of a single row of ``levels``: accuracy of the ``⌈coverage · n⌉`` most confident examples, and how many these are.

    Ties count as the average over their orders.
    """
    accepted = max(1, math.ceil(coverage * levels.n - 1e-9))
    ends = np.concatenate([[0], np.cumsum(levels.counts[0, ::-1])])
    hits = np.interp(accepted, ends, np.concatenate([[0], np.cumsum(levels.hits[0, ::-1])]))
    return float(hits) / accepted, accepted


def risk_coverage(levels: ConfidenceLevels, points: int = 200) -> tuple[Floats, Floats]:
    """The risk-coverage curve of a single row: coverages ``k / n`` and error rates of the ``k`` most confident examples, at most ``points`` of each."""
    n = levels.n
    counts, errors = levels.counts[0, ::-1], (levels.counts - levels.hits)[0, ::-1]
    accepted = np.unique(np.linspace(1, n, min(points, n)).round().astype(np.int64))
    misclassified = np.interp(accepted, np.concatenate([[0], np.cumsum(counts)]), np.concatenate([[0], np.cumsum(errors)]))
    return accepted / n, misclassified / accepted
