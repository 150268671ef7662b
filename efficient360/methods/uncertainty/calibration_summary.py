"""What the calibration evaluator reports of one set of confidences: ECE against its null, AURC, and the figures and tables beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Curve, Figure, Series, Table
from efficient360.core.formatting import count, number
from efficient360.core.measurement import Conditions, Measurement
from efficient360.core.statistics import centred_bootstrap, percentiles, wilson
from efficient360.methods.uncertainty.calibration_metrics import CLASSWISE_EXCESS, ECE, ECE_EXCESS, ECE_NULL
from efficient360.methods.uncertainty.classwise_ece import SubgroupErrors
from efficient360.methods.uncertainty.ece import (
    ConfidenceLevels,
    bootstrap_resamples,
    calibrated_resamples,
    expected_calibration_error,
    reliability_bins,
)
from efficient360.methods.uncertainty.selective_classification import area_under_generalized_risk, area_under_risk_coverage, risk_coverage

TABLE_ROWS = 8
"""Subgroups that a table shows."""


@final
@dataclass(frozen=True)
class CalibrationStudy:
    """ECE of one model with its null distribution, and bootstrap resamples of ECE, AURC and AUGRC.

    Args:
        levels: Confidences with the number of correct predictions.
        ece: Their expected calibration error.
        null: ECE of perfectly calibrated models with the same confidences, ``(r,)``.
        eces: ECE of bootstrap resamples, ``(r,)``.
        aurcs: Area under the risk-coverage curve of bootstrap resamples, ``(r,)``.
        augrcs: Area under the generalized risk-coverage curve of bootstrap resamples, ``(r,)``.
    """

    levels: ConfidenceLevels
    ece: float
    null: Floats
    eces: Floats
    aurcs: Floats
    augrcs: Floats

    @property
    def aurc(self) -> float:
        """Area under the risk-coverage curve."""
        return float(area_under_risk_coverage(self.levels)[0])

    @property
    def augrc(self) -> float:
        """Area under the generalized risk-coverage curve."""
        return float(area_under_generalized_risk(self.levels)[0])

    def measurements(self, conditions: Conditions, extra: tuple[Figure, ...] = ()) -> list[Measurement]:
        """ECE, its expectation under perfect calibration, and the difference."""
        null_mean, n = float(self.null.mean()), self.levels.n
        return [
            Measurement(ECE, self.ece, n, centred_bootstrap(self.ece, self.eces, 0.0, 1.0), conditions, extra=extra),
            Measurement(ECE_NULL, null_mean, n, percentiles(self.null, "calibrated-resamples"), conditions),
            Measurement(ECE_EXCESS, self.ece - null_mean, n, centred_bootstrap(self.ece - null_mean, self.eces, -1.0, 1.0), conditions),
        ]


def study_calibration(levels: ConfidenceLevels, bins: int, resamples: int, seeds: tuple[list[int], list[int]], check: Callable[[], None]) -> CalibrationStudy:
    """Draw the null and the bootstrap resamples.

    Args:
        levels: A single row.
        bins: Equal-mass bins.
        resamples: Draws from the null, and as many bootstrap resamples.
        seeds: Of the null and of the bootstrap.
        check: Called between steps of long work; may raise.
    """
    null = []
    for chunk in calibrated_resamples(levels, resamples, np.random.default_rng(seeds[0])):
        check()
        null.append(expected_calibration_error(chunk, bins))
    resampled: list[tuple[Floats, Floats, Floats]] = []
    for chunk in bootstrap_resamples(levels, resamples, np.random.default_rng(seeds[1])):
        check()
        resampled.append((expected_calibration_error(chunk, bins), area_under_risk_coverage(chunk), area_under_generalized_risk(chunk)))
    eces, aurcs, augrcs = (np.concatenate(column) for column in zip(*resampled, strict=True))
    return CalibrationStudy(levels, float(expected_calibration_error(levels, bins)[0]), np.concatenate(null), eces, aurcs, augrcs)


def reliability_diagram(models: dict[str, ConfidenceLevels], bins: int) -> Curve:
    """Accuracy against mean confidence of each bin with Wilson intervals, over the diagonal of perfect calibration (DeGroot & Fienberg 1983).

    Args:
        models: Confidences by series name.
        bins: Equal-mass bins.
    """
    series = [_reliability_points(name, levels, bins) for name, levels in models.items()]
    return Curve("Reliability diagram", "confidence", "accuracy", (Series("perfect calibration", (0.0, 1.0), (0.0, 1.0), style="reference"), *series))


def _reliability_points(name: str, levels: ConfidenceLevels, bins: int) -> Series:
    points = reliability_bins(levels, bins)
    intervals = [wilson(point.hits, point.count) for point in points]
    return Series(
        name,
        tuple(point.confidence for point in points),
        tuple(point.hits / point.count for point in points),
        tuple(interval.low for interval in intervals),
        tuple(interval.high for interval in intervals),
        "points",
    )


def risk_coverage_curve(levels: ConfidenceLevels) -> Curve:
    """Selective risk (error rate of the accepted examples) against coverage (share accepted, most confident first)."""
    coverage, risk = risk_coverage(levels)
    error = 1 - int(levels.hits.sum()) / levels.n
    return Curve(
        "Risk–coverage curve",
        "coverage (most confident first)",
        "selective risk (error rate)",
        (
            Series("random rejection", (0.0, 1.0), (error, error), style="reference"),
            Series("model", tuple(coverage.tolist()), tuple(risk.tolist())),
        ),
    )


def subgroup_table(errors: SubgroupErrors, subgroup: str) -> Table:
    """The classes or groups with the largest excess calibration error: error, its expectation under the null, excess, and overconfidence.

    Args:
        errors: The errors.
        subgroup: What a row is: ``class``, ``group of age``.
    """
    shown = errors.by_excess[:TABLE_ROWS]
    title = f"Calibration by {subgroup}" + (f": the {TABLE_ROWS} largest excess errors of {count(len(errors.names))}" if len(errors.names) > TABLE_ROWS else "")
    rows = tuple(
        (
            errors.names[i],
            count(int(errors.sizes[i])),
            *(number(float(v), CLASSWISE_EXCESS) for v in (errors.values[i], errors.null_means[i], errors.excesses[i], errors.overconfidence[i])),
        )
        for i in shown
    )
    return Table(title, (subgroup, "examples", "calibration error", "expected if calibrated", "excess", "overconfidence"), rows)
