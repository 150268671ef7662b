"""Pictures of calibration: reliability, risk against coverage, the classes and groups that are furthest off."""

from efficient360.core.figures import Curve, Series, Table
from efficient360.core.formatting import count, number
from efficient360.core.statistics import wilson
from efficient360.methods.uncertainty.calibration_error import reliability
from efficient360.methods.uncertainty.calibration_metrics import CLASSWISE_EXCESS
from efficient360.methods.uncertainty.confidence_levels import Levels
from efficient360.methods.uncertainty.part_errors import PartErrors
from efficient360.methods.uncertainty.selective_risk import risk_coverage

ROWS = 8
"""Parts that a table shows."""


def reliability_diagram(models: dict[str, Levels], bins: int) -> Curve:
    """Accuracy against mean confidence of each bin with Wilson intervals, over the diagonal of perfect calibration (DeGroot & Fienberg 1983).

    Args:
        models: Confidences by what they are called.
        bins: Bins of equal mass.
    """
    drawn = [_points(name, levels, bins) for name, levels in models.items()]
    return Curve("Reliability", "confidence", "accuracy", (Series("calibrated", (0.0, 1.0), (0.0, 1.0), style="reference"), *drawn))


def _points(name: str, levels: Levels, bins: int) -> Series:
    found = reliability(levels, bins)
    intervals = [wilson(b.hits, b.count) for b in found]
    return Series(
        name,
        tuple(b.confidence for b in found),
        tuple(b.hits / b.count for b in found),
        tuple(i.low for i in intervals),
        tuple(i.high for i in intervals),
        "points",
    )


def risk_coverage_curve(levels: Levels) -> Curve:
    """Error rate among the surest examples against the share of examples answered."""
    coverage, risk = risk_coverage(levels)
    error = 1 - int(levels.hits.sum()) / levels.n
    return Curve(
        "Risk against coverage",
        "share of examples answered, surest first",
        "error rate among them",
        (
            Series("answered at random", (0.0, 1.0), (error, error), style="reference"),
            Series("model", tuple(coverage.tolist()), tuple(risk.tolist())),
        ),
    )


def parts_table(of: PartErrors, what: str) -> Table:
    """The classes or groups whose calibration error goes furthest beyond chance: error, chance, excess, and which way it is off.

    Args:
        of: The errors.
        what: ``class``, ``group of age``.
    """
    shown = of.order[:ROWS]
    title = f"Calibration by {what}" + (f": the {ROWS} furthest beyond chance of {count(len(of.names))}" if len(of.names) > ROWS else "")
    rows = tuple(
        (
            of.names[i],
            count(int(of.sizes[i])),
            *(number(float(v), CLASSWISE_EXCESS) for v in (of.values[i], of.chance[i], of.excesses[i], of.gaps[i])),
        )
        for i in shown
    )
    return Table(title, (what, "examples", "calibration error", "by chance alone", "beyond chance", "probability − frequency"), rows)
