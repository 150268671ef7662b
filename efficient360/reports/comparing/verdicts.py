"""What a comparison of runs concludes, as plain data: per metric, and per axis from its summary metrics."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, final

from efficient360.core.measurement import Better, Conditions, Interval, Measurement, Metric
from efficient360.reports.comparing.evidence import Kind

SIGNIFICANCE: Final = 0.05
NEGLIGIBLE: Final = 0.01
"""Relative difference of two exact values up to which they count as equal: no decision hangs on a tenth of a percent of the weights."""
RunPair = tuple[int, int]
"""Which two of the runs are compared, by their places."""


class Verdict(StrEnum):
    """Outcome of comparing two values, or two runs on an axis."""

    FIRST = "first is better"
    SECOND = "second is better"
    DIFFERENT = "different"
    MIXED = "mixed"
    EQUAL = "equal"
    UNDECIDED = "undecided"
    NOT_TESTED = "not tested"
    NOT_COMPARABLE = "not comparable"


@final
@dataclass(frozen=True)
class MetricComparison:
    """One metric under one set of conditions in two runs.

    Args:
        evaluator: Name of the evaluator.
        metric: The metric.
        conditions: Conditions of both measurements; of the first where an axis's summary metric was measured under others in the second.
        first: Measurement of the first run, ``None`` if it has none.
        second: Measurement of the second run, ``None`` if it has none.
        difference: Second minus first, in the metric's unit; ``None`` unless both have it.
        interval: 95 % interval of the difference, by itself; ``None`` where there is none.
        p_value: Adjusted: by Holm over the summary metrics of all axes; by Benjamini and Hochberg over all other metrics, and by Holm over the conditions of
            each; ``None`` where there was no test.
        verdict: Which is better.
        basis: How the verdict was reached, or why there is none.
        kind: What it rests on.
        raw_p_value: The p-value before it was adjusted.
        pairs: Number of examples in a paired test.
        axis: Name of the dimension it belongs to; empty where it belongs to none.
        summary: Whether it is a summary metric of that axis.
        runs: Which two runs it compares, by their places.
    """

    evaluator: str
    metric: Metric
    conditions: Conditions
    first: Measurement | None
    second: Measurement | None
    difference: float | None
    interval: Interval | None
    p_value: float | None
    verdict: Verdict
    basis: str
    kind: Kind = Kind.NONE
    raw_p_value: float | None = None
    pairs: int = 0
    axis: str = ""
    summary: bool = False
    runs: RunPair = (0, 1)


@final
@dataclass(frozen=True)
class AxisScore:
    """A run's score on an axis.

    Args:
        value: From 0 to 1; ``None`` where a summary metric is missing or void.
        bound: ``upper bound``, ``lower bound`` or ``other settings`` where it was measured with other settings than the axis takes, else empty.
    """

    value: float | None
    bound: str = ""


@final
@dataclass(frozen=True)
class AxisComparison:
    """One axis in all runs.

    Args:
        name: Name of the dimension.
        title: Its display title.
        scores: Score of each run.
        verdicts: By pair of runs, of the summary metrics together.
        rows: The summary metrics, of every pair.
    """

    name: str
    title: str
    scores: Sequence[AxisScore]
    verdicts: Mapping[RunPair, Verdict]
    rows: Sequence[MetricComparison]

    def leading(self, pair: RunPair) -> Sequence[MetricComparison]:
        """The summary metric that the verdict on two runs rests on, the surest; of a mixed verdict one each way. Empty where neither run has one."""
        wanted, rows = self.verdicts[pair], [row for row in self.rows if row.runs == pair]
        ranked = sorted(rows, key=lambda row: (not _carries(row.verdict, wanted), row.raw_p_value if row.raw_p_value is not None else 2.0))
        if wanted is not Verdict.MIXED:
            return ranked[:1]
        return [next(row for row in ranked if row.verdict is verdict) for verdict in (Verdict.FIRST, Verdict.SECOND)]

    def beaten(self, run: int) -> Sequence[int]:
        """The runs that are better than this one."""
        better = [
            j if i == run else i
            for (i, j), verdict in self.verdicts.items()
            if (run == i and verdict is Verdict.SECOND) or (run == j and verdict is Verdict.FIRST)
        ]
        return sorted(better)


@final
@dataclass(frozen=True, repr=False)
class Comparison:
    """Two or more runs compared; ``to_frame()`` gives a ``pandas.DataFrame``.

    Args:
        names: Names of the checkpoints, in the order given.
        rows: One per pair of runs, metric and set of conditions.
        same_data: Whether all were evaluated on the same examples.
        paired: Largest number of examples in a paired test.
        axes: One per axis that a run has a value for, in radar order.
        unlike: In what the runs were measured differently, as sentences: what is named there is not compared.
        disturbed: Whose timing other processes disturbed, and how: a sentence a run and axis. Differences of time are less sure there.
    """

    names: Sequence[str]
    rows: Sequence[MetricComparison]
    same_data: bool
    paired: int
    axes: Sequence[AxisComparison] = ()
    unlike: Sequence[str] = ()
    disturbed: Sequence[str] = ()

    @property
    def pairs(self) -> Sequence[RunPair]:
        """Every two of the runs, by their places."""
        return run_pairs(len(self.names))

    def counts(self, pair: RunPair = (0, 1)) -> Mapping[Verdict, int]:
        """On how many axes there is each verdict on two runs."""
        return Counter(axis.verdicts[pair] for axis in self.axes)

    def __repr__(self) -> str:
        """One line: the names, and on how many axes the first two differ."""
        counts = self.counts()
        more = f" and {len(self.names) - 2} more" if len(self.names) > 2 else ""
        return (
            f"<Comparison of {self.names[0]} and {self.names[1]}{more}: first better on {counts[Verdict.FIRST]} axes, second on {counts[Verdict.SECOND]}, "
            f"{counts[Verdict.UNDECIDED]} undecided, {len(self.rows)} rows, {self.paired} paired examples>"
        )

    def to_frame(self) -> Any:
        """One row per pair of runs, metric and set of conditions.

        Columns: ``first_run``, ``second_run`` (their places), ``axis``, ``summary``, ``evaluator``, ``metric``, ``conditions`` (a dict), ``first``,
        ``second``, ``difference`` (second minus first), ``low``, ``high`` (its 95 % interval), ``p_value`` (adjusted), ``raw_p_value``, ``pairs``,
        ``verdict``, ``basis``. The verdict is ``not tested`` where nothing can be said; ``basis`` says why.
        """
        import pandas as pd

        return pd.DataFrame([_frame_row(row) for row in self.rows])


def run_pairs(count: int) -> Sequence[RunPair]:
    """Every two of so many runs, by their places."""
    return [(i, j) for i in range(count) for j in range(i + 1, count)]


def metric_verdict(kind: Kind, metric: Metric, a: float, b: float, p: float | None, better: Better) -> Verdict:
    """The verdict on two values.

    Args:
        kind: What the evidence is.
        metric: The metric.
        a: The first value.
        b: The second.
        p: The adjusted p-value.
        better: Which way is better.
    """
    if kind is Kind.EXACT:
        near = abs(b - a) <= NEGLIGIBLE * max(abs(a), abs(b)) and metric.high is None
        return Verdict.EQUAL if a == b or near else _direction(better, b - a)
    if p is None:
        return Verdict.NOT_TESTED
    if p < SIGNIFICANCE and a != b:
        return _direction(better, b - a)
    # Intervals that overlap say nothing: that they do is common where a paired test would tell two models apart.
    return Verdict.NOT_TESTED if kind is Kind.INTERVALS else Verdict.UNDECIDED


def axis_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of an axis from those of its summary metrics: what is void, not tested or not comparable decides nothing."""
    known = set(verdicts)
    if {Verdict.FIRST, Verdict.SECOND} <= known or Verdict.MIXED in known:
        return Verdict.MIXED
    for verdict in (Verdict.FIRST, Verdict.SECOND, Verdict.UNDECIDED, Verdict.DIFFERENT):
        if verdict in known:
            return verdict
    if known == {Verdict.EQUAL}:
        return Verdict.EQUAL
    return Verdict.NOT_COMPARABLE if known == {Verdict.NOT_COMPARABLE} else Verdict.NOT_TESTED


def _direction(better: Better, difference: float) -> Verdict:
    if better is Better.NEITHER:
        return Verdict.DIFFERENT
    return Verdict.SECOND if (difference > 0) == (better is Better.HIGHER) else Verdict.FIRST


def _carries(verdict: Verdict, wanted: Verdict) -> bool:
    return verdict is wanted or (wanted is Verdict.MIXED and verdict in (Verdict.FIRST, Verdict.SECOND))


def _frame_row(row: MetricComparison) -> dict[str, Any]:
    return {
        "first_run": row.runs[0],
        "second_run": row.runs[1],
        "axis": row.axis,
        "summary": row.summary,
        "evaluator": row.evaluator,
        "metric": row.metric.name,
        "conditions": dict(row.conditions),
        "first": None if row.first is None else row.first.value,
        "second": None if row.second is None else row.second.value,
        "difference": row.difference,
        "low": None if row.interval is None else row.interval.low,
        "high": None if row.interval is None else row.interval.high,
        "p_value": row.p_value,
        "raw_p_value": row.raw_p_value,
        "pairs": row.pairs,
        "verdict": row.verdict.value,
        "basis": row.basis,
    }
