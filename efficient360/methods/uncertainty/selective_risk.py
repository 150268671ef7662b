"""Selective classification: the error rate among the examples a classifier is surest of, over the share it answers."""

import math

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.methods.uncertainty.confidence_levels import Levels


def area_under_risk_coverage(levels: Levels) -> Floats:
    """AURC of each row of ``levels``: mean over ``k = 1 … n`` of the error rate among the ``k`` surest, ``(r,)`` in [0, 1], lower is better.

    Geifman, Uziel & El-Yaniv 2019 (section 3). Ties count as the average over all their orders, which the mean's linearity in the errors makes exact.
    """
    # Example i of n counts in every k ≥ i, so its weight is (1/n) Σ_{k ≥ i} 1/k.
    n = levels.n
    weights = np.cumsum(1.0 / np.arange(n, 0, -1))[::-1] / n
    running = np.concatenate([[0.0], np.cumsum(weights)])
    counts, errors = levels.counts[:, ::-1], (levels.counts - levels.hits)[:, ::-1]
    ends = np.cumsum(counts, axis=1)
    share = running[ends] - running[ends - counts]
    rate = errors / np.maximum(counts, 1)
    area: Floats = np.clip((rate * share).sum(axis=1), 0.0, 1.0)
    return area


def area_under_generalized_risk(levels: Levels) -> Floats:
    """AUGRC of each row of ``levels``: area under the share of all examples that are answered and wrong, over coverage, ``(r,)`` in [0, 1/2], lower is better.

    Traub et al. 2024, "Overcoming Common Flaws in the Evaluation of Selective Classification Systems": the mean risk of a failure that goes undetected. Unlike
    AURC it does not divide by coverage, so that a mistake among the few surest counts no more than one later. Ties lie on a straight line, the average over
    their orders.
    """
    counts, errors = levels.counts[:, ::-1], (levels.counts - levels.hits)[:, ::-1]
    after = np.cumsum(errors, axis=1)
    area: Floats = (counts * (2 * after - errors)).sum(axis=1) / (2 * levels.n**2)
    return area


def answered_rightly(levels: Levels, coverage: float) -> tuple[float, int]:
    """Accuracy among the surest ``⌈coverage · n⌉`` examples of one row of ``levels``, and how many these are; ties count as the average over their orders."""
    answered = max(1, math.ceil(coverage * levels.n - 1e-9))
    places = np.concatenate([[0], np.cumsum(levels.counts[0, ::-1])])
    hits = np.interp(answered, places, np.concatenate([[0], np.cumsum(levels.hits[0, ::-1])]))
    return float(hits) / answered, answered


def risk_coverage(levels: Levels, points: int = 200) -> tuple[Floats, Floats]:
    """Coverages ``k / n`` and the error rates among the ``k`` surest examples, at most ``points`` of each, of one row of ``levels``."""
    n = levels.n
    counts, errors = levels.counts[0, ::-1], (levels.counts - levels.hits)[0, ::-1]
    answered = np.unique(np.linspace(1, n, min(points, n)).round().astype(np.int64))
    wrong = np.interp(answered, np.concatenate([[0], np.cumsum(counts)]), np.concatenate([[0], np.cumsum(errors)]))
    return answered / n, wrong / answered
