"""Values behind calibration and selective prediction: confidence and correctness of each example, sorted anew in every resample."""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy import special

from efficient360.core.arrays import Floats, Integers
from efficient360.core.measurement import Measurement
from efficient360.core.outcome import Record
from efficient360.reports.comparing.example_values import ExampleTable, ExampleValues, OfExamples, OfMeans, stacked

BINS: Final = 15
NULL_ROUNDING: Final = 0.1
"""How far, as a share of its interval, a stored debiased ECE may lie from ours: its null was drawn by chance, ours is an approximation."""


def calibration_values(record: Record, m: Measurement, table: ExampleTable) -> Iterator[ExampleValues]:
    """Candidates for the values behind a metric of ``calibration``, or behind what ``uncertainty`` repeats of it; columns are confidence and correctness."""
    confidence, correct = table.column("calibration", "confidence"), table.column("calibration", "correct")
    statistic = _statistic(record, m)
    if statistic is None or confidence is None or correct is None or "temperature" in m.conditions:
        return
    values = stacked([confidence, correct], statistic=statistic)
    reach = 0.0 if m.interval is None or m.metric.name != "ece_excess" else NULL_ROUNDING * (m.interval.high - m.interval.low)
    yield ExampleValues(values.ids, values.values, statistic, reach)


def _statistic(record: Record, m: Measurement) -> OfMeans | OfExamples | None:
    bins, name = int(record.settings.get("bins", BINS)), m.metric.name
    if name in ("ece", "ece_excess"):
        return OfExamples(lambda values: _ece(values, bins, name == "ece_excess"))
    if name == "overconfidence":
        return OfMeans(lambda means, _: means[:, 0] - means[:, 1])
    if name == "accuracy_at_coverage":
        coverage = float(str(m.conditions.get("coverage", 1)).rstrip(" %")) / (100 if "%" in str(m.conditions.get("coverage")) else 1)
        return OfExamples(lambda values: _accuracy_at(values, coverage))
    return {"aurc": OfExamples(_aurc), "augrc": OfExamples(_augrc)}.get(name)


def _errors_by_confidence(values: Floats) -> Floats:
    """Errors 0 or 1, the most confident first, ``(r, n)``."""
    order = np.argsort(-values[:, :, 0], axis=1, kind="stable")
    errors: Floats = 1 - np.take_along_axis(values[:, :, 1], order, axis=1)
    return errors


def _aurc(values: Floats) -> Floats:
    errors = _errors_by_confidence(values)
    area: Floats = (np.cumsum(errors, axis=1) / np.arange(1, errors.shape[1] + 1)).mean(axis=1)
    return area


def _augrc(values: Floats) -> Floats:
    errors = _errors_by_confidence(values)
    area: Floats = (2 * np.cumsum(errors, axis=1) - errors).sum(axis=1) / (2 * errors.shape[1] ** 2)
    return area


def _accuracy_at(values: Floats, coverage: float) -> Floats:
    errors = _errors_by_confidence(values)
    accepted = max(1, math.ceil(coverage * errors.shape[1] - 1e-9))
    accuracy: Floats = 1 - errors[:, :accepted].mean(axis=1)
    return accuracy


def _ece(values: Floats, bins: int, debiased: bool) -> Floats:
    """ECE over equal-mass bins in which equal confidences stay together; debiased, less its expectation for a calibrated model."""
    order = np.argsort(values[:, :, 0], axis=1, kind="stable")
    confidence, correct = (np.take_along_axis(values[:, :, column], order, axis=1) for column in (0, 1))
    n = confidence.shape[1]
    inner = [(confidence < confidence[:, [bin_ * n // bins]]).sum(axis=1) for bin_ in range(1, bins)]
    edges = np.stack([np.zeros(len(values), dtype=np.int64), *inner, np.full(len(values), n)], axis=1)
    sums = _between(confidence - correct, edges)
    error: Floats = np.abs(sums).sum(axis=1) / n
    if not debiased:
        return error
    sizes = np.diff(edges, axis=1)
    misses = np.clip(_between(1 - confidence, edges) / np.maximum(sizes, 1), 0.0, 1.0)
    excess: Floats = error - _mean_deviation(sizes, misses).sum(axis=1) / n
    return excess


def _between(values: Floats, edges: Integers) -> Floats:
    """Sums of ``(r, n)`` between neighbouring edges ``(r, b + 1)``."""
    cumulative = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
    sums: Floats = np.diff(np.take_along_axis(cumulative, edges, axis=1), axis=1)
    return sums


def _mean_deviation(n: Integers, p: Floats) -> Floats:
    """Mean absolute deviation of binomial counts (De Moivre 1730), as examples of one bin have about the same confidence."""
    above = np.floor(n * p) + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        log = special.gammaln(n + 1) - special.gammaln(above + 1) - special.gammaln(n - above + 1)
        log = log + special.xlogy(above, p) + special.xlog1py(n - above + 1, -p) + np.log(above)
    deviation: Floats = np.where((p > 0) & (p < 1) & (above <= n), 2 * np.exp(log), 0.0)
    return deviation
