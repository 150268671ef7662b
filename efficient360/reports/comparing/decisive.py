"""The few metrics that decide a comparison, beside the summary metrics of the axes: the surest differences, one a metric, at most two an axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.reports.comparing.evidence import Kind
from efficient360.reports.comparing.verdicts import Comparison, MetricComparison, Verdict

MOST: Final = 4
PER_AXIS: Final = 2
SAME: Final = {"mean_corruption_error": "corruption_accuracy", "relative_corruption_error": "corruption_accuracy"}
"""Metrics that say what a summary metric says."""


@final
@dataclass(frozen=True)
class Decisive:
    """A metric that tells runs apart.

    Args:
        row: Its surest difference.
        more: How many other values of the same metric differ too, under other conditions or between other runs.
    """

    row: MetricComparison
    more: int


def decisive(comparison: Comparison, most: int = MOST) -> Sequence[Decisive]:
    """The differences of metrics that are no summary metrics, the surest first; paired tests before all others.

    Exact values are left out: what they say of costs the axes say already.
    """
    decided = [row for row in comparison.rows if not row.summary and row.verdict in (Verdict.FIRST, Verdict.SECOND) and row.p_value is not None]
    told = {(row.evaluator, row.metric.name, row.runs, row.verdict) for row in comparison.rows if row.summary}
    by_metric: dict[tuple[str, str], list[MetricComparison]] = {}
    for row in sorted(decided, key=_doubt):
        # A summary metric that says the same of the same runs has been told.
        if (row.evaluator, SAME.get(row.metric.name, row.metric.name), row.runs, row.verdict) not in told:
            by_metric.setdefault((row.axis, row.metric.name), []).append(row)
    chosen: list[Decisive] = []
    for (axis, _), rows in by_metric.items():
        if sum(entry.row.axis == axis for entry in chosen) < PER_AXIS:
            chosen.append(Decisive(rows[0], len(rows) - 1))
    return chosen[:most]


def _doubt(row: MetricComparison) -> tuple[bool, float, float]:
    return row.kind is not Kind.PAIRED, row.raw_p_value if row.raw_p_value is not None else 1.0, -abs(row.difference or 0.0)
