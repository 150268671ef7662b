"""Two runs compared metric by metric: paired tests where both kept per-example values, else intervals that hold all that a rerun varies, else no verdict."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text
from scipy import stats

from efficient360.core import formatting
from efficient360.core.measurement import LEVEL, Better, Conditions, Interval, Measurement, Metric
from efficient360.core.outcome import Record
from efficient360.core.statistics import bootstrap_mean, holm, paired_p_value
from efficient360.core.terminal import console
from efficient360.errors import RunError
from efficient360.reports import names
from efficient360.reports.comparability import differences, in_words
from efficient360.reports.report import Report
from efficient360.storage.per_example import read_examples

SIGNIFICANCE = 0.05
FEWEST = 10
"""Fewest examples behind an interval that may decide; Student's t over processes or seeds allows for few by itself and wants three."""
FEWEST_STUDENT = 3
Identity = tuple[str, str, str]
"""Evaluator, metric, and conditions as JSON with sorted keys."""
Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Values of the same examples in the first and the second run, each ``(n,)``."""


class Verdict(StrEnum):
    """Outcome of comparing two values."""

    FIRST = "first is better"
    SECOND = "second is better"
    DIFFERENT = "different"
    TIE = "tie"
    NOT_TESTED = "not tested"
    NOT_COMPARABLE = "not comparable"


_STYLE = {Verdict.TIE: "dim", Verdict.NOT_TESTED: "dim", Verdict.NOT_COMPARABLE: "dim", Verdict.DIFFERENT: "", Verdict.FIRST: "bold", Verdict.SECOND: "bold"}


@final
@dataclass(frozen=True)
class MetricComparison:
    """One metric under one set of conditions in two runs.

    Args:
        evaluator: Name of the evaluator.
        metric: The metric.
        conditions: Conditions of both measurements.
        first: Measurement of the first run, ``None`` if it has none.
        second: Measurement of the second run, ``None`` if it has none.
        difference: Second minus first, in the metric's unit; ``None`` unless both have it.
        interval: 95 % interval of the difference where a paired test was made.
        p_value: Holm-adjusted over all tests of the same kind in the comparison; ``None`` where there was no test.
        verdict: Which is better.
        basis: How the verdict was reached.
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


@final
@dataclass(frozen=True, repr=False)
class Comparison:
    """Two runs compared metric by metric; ``to_frame()`` gives a ``pandas.DataFrame``.

    Args:
        names: Names of the two checkpoints.
        rows: One per metric and set of conditions.
        same_data: Whether both were evaluated on the same examples.
        paired: Number of examples in the paired tests.
    """

    names: tuple[str, str]
    rows: Sequence[MetricComparison]
    same_data: bool
    paired: int

    def __repr__(self) -> str:
        """One line: the two names, and on how many metrics each is better."""
        counts = Counter(row.verdict for row in self.rows)
        return (
            f"<Comparison of {self.names[0]} and {self.names[1]}: first better on {counts[Verdict.FIRST]}, second on {counts[Verdict.SECOND]}, "
            f"{counts[Verdict.TIE]} ties, {len(self.rows)} rows, {self.paired} paired examples>"
        )

    def to_frame(self) -> Any:
        """One row per metric and set of conditions.

        Columns: ``evaluator``, ``metric``, ``conditions`` (a dict), ``first``, ``second``, ``difference`` (second minus first), ``low``, ``high`` (95 %
        interval of the difference where a paired test was made), ``p_value`` (Holm-adjusted), ``verdict``, ``basis``. The verdict is ``not tested`` where
        the intervals don't hold all that a rerun of the same model would vary; ``basis`` says why.
        """
        import pandas as pd

        return pd.DataFrame([_frame_row(row) for row in self.rows])


def compare(first: Report, first_folder: Path, second: Report, second_folder: Path) -> Comparison:
    """Compare two runs metric by metric.

    Paired tests (McNemar for correct/incorrect, paired t otherwise) are Holm-adjusted over the comparison, which controls false positives among many metrics.
    Values without pairs are compared by their intervals, likewise adjusted, where both hold all that a rerun varies: a model never wins against itself more
    often than significance allows. Exact values are compared as they are; whatever else there is gets no verdict.

    Raises:
        RunError: The two runs share no metric.
    """
    of_first, of_second = _records(first), _records(second)
    in_first, in_second = _measurements(of_first), _measurements(of_second)
    if not any(identity in in_second for identity in in_first):
        raise RunError("nothing-shared", "the two runs share no metric", "evaluate both with the same protocol")
    untested = {identity: row for identity, record in of_first.items() if (row := _untested(record, of_second.get(identity))) is not None}
    shared = [identity for identity in in_first if identity in in_second and identity not in untested]
    same_data = first.dataset is not None and second.dataset is not None and first.dataset["digest"] == second.dataset["digest"]
    pairs = _pairs(first_folder, second_folder) if same_data else {}
    tested = [identity for identity in shared if identity in pairs]
    adjusted = dict(zip(tested, holm([paired_p_value(*pairs[i]) for i in tested]), strict=True))
    unpaired = {i: p for i in shared if i not in pairs and (p := interval_p_value(in_first[i], in_second[i])) is not None}
    adjusted |= dict(zip(unpaired, holm(list(unpaired.values())), strict=True))
    order = list(dict.fromkeys([*in_first, *in_second]))
    rows = [
        untested.get(identity) or _row(identity, in_first.get(identity), in_second.get(identity), pairs.get(identity), adjusted.get(identity), same_data)
        for identity in order
    ]
    checkpoints = str(first.checkpoint["name"]), str(second.checkpoint["name"])
    return Comparison(checkpoints, rows, same_data, max((len(a) for a, _ in pairs.values()), default=0))


def show(comparison: Comparison) -> None:
    """Print a comparison as a table, one line per metric."""
    out = console()
    first, second = comparison.names
    out.print(f"A  {first}\nB  {second}", highlight=False, markup=False)
    table = Table(box=None, pad_edge=False)
    for heading, justify in (("", "left"), ("A", "right"), ("B", "right"), ("B − A", "right"), ("evidence", "left"), ("verdict", "left")):
        table.add_column(heading, justify=justify, no_wrap=heading in ("A", "B", "B − A"))  # type: ignore[arg-type]
    for row in comparison.rows:
        table.add_row(*(Text(cell, style=_STYLE[row.verdict]) for cell in _cells(row)))
    out.print(table)
    out.print(_note(comparison), style="dim", highlight=False, markup=False)


def _frame_row(row: MetricComparison) -> dict[str, Any]:
    return {
        "evaluator": row.evaluator,
        "metric": row.metric.name,
        "conditions": dict(row.conditions),
        "first": None if row.first is None else row.first.value,
        "second": None if row.second is None else row.second.value,
        "difference": row.difference,
        "low": None if row.interval is None else row.interval.low,
        "high": None if row.interval is None else row.interval.high,
        "p_value": row.p_value,
        "verdict": row.verdict.value,
        "basis": row.basis,
    }


def _records(report: Report) -> dict[Identity, Record]:
    records = {}
    for record in report.records:
        if isinstance(record.outcome, Measurement):
            conditions = json.dumps(dict(record.outcome.conditions), sort_keys=True)
            records[record.evaluator, record.outcome.metric.name, conditions] = record
    return records


def _measurements(records: Mapping[Identity, Record]) -> dict[Identity, Measurement]:
    return {identity: record.outcome for identity, record in records.items() if isinstance(record.outcome, Measurement)}


def _untested(first: Record, second: Record | None) -> MetricComparison | None:
    """The row of two values that are not set against each other: measured differently, or void."""
    if second is None or not isinstance(first.outcome, Measurement) or not isinstance(second.outcome, Measurement):
        return None
    a, b = first.outcome, second.outcome
    if found := differences(first, second):
        verdict, basis = Verdict.NOT_COMPARABLE, in_words(found)
    elif a.void or b.void:
        verdict, basis = Verdict.NOT_TESTED, f"void: {a.void or b.void}"
    else:
        return None
    return MetricComparison(first.evaluator, a.metric, a.conditions, a, b, None, None, None, verdict, basis)


def _pairs(first: Path, second: Path) -> Mapping[Identity, Pair]:
    in_first, in_second = read_examples(first), read_examples(second)
    pairs: dict[Identity, Pair] = {}
    for identity, values in in_first.items():
        other = in_second.get(identity, {})
        ids = [i for i in values if i in other]
        if ids:
            pairs[identity] = np.array([values[i] for i in ids]), np.array([other[i] for i in ids])
    return pairs


def _row(identity: Identity, a: Measurement | None, b: Measurement | None, pair: Pair | None, p: float | None, same_data: bool) -> MetricComparison:
    if a is None or b is None:
        known = a or b
        if known is None:
            raise ValueError(f"neither run has {identity}")
        return MetricComparison(identity[0], known.metric, known.conditions, a, b, None, None, None, Verdict.NOT_COMPARABLE, "measured in one run only")
    metric, conditions, difference = a.metric, a.conditions, b.value - a.value
    if pair is not None and p is not None:
        interval = bootstrap_mean(pair[1] - pair[0], seed=0)
        verdict = _direction(metric, difference) if p < SIGNIFICANCE else Verdict.TIE
        return MetricComparison(identity[0], metric, conditions, a, b, difference, interval, p, verdict, f"paired test over {len(pair[0])} examples")
    if a.exact and b.exact:
        verdict = Verdict.TIE if difference == 0 else _direction(metric, difference)
        return MetricComparison(identity[0], metric, conditions, a, b, difference, None, None, verdict, "exact values")
    if p is None:
        reason = untested_reason(a) or untested_reason(b) or "intervals of no width"
        return MetricComparison(identity[0], metric, conditions, a, b, difference, None, None, Verdict.NOT_TESTED, reason)
    verdict = _direction(metric, difference) if p < SIGNIFICANCE else Verdict.TIE
    basis = "intervals of the two values" if same_data or a.n == 1 else "intervals of the two values, different data"
    return MetricComparison(identity[0], metric, conditions, a, b, difference, None, p, verdict, basis)


def untested_reason(m: Measurement) -> str:
    """Why a value's interval can't decide between two models; ``""`` where it can."""
    if m.exact:
        return ""
    if m.interval is None:
        return "measured once" if m.n == 1 else "no interval"
    if m.interval.level is None:
        return f"{m.interval.method} of {m.n}, no confidence interval" if m.interval.method == "range" else f"{m.interval.method}, no confidence interval"
    if m.interval.conditional_on:
        return f"interval holds fixed: {m.interval.conditional_on}"
    fewest = FEWEST_STUDENT if m.interval.method.startswith("student-t over") else FEWEST
    return f"only {m.n} examples or repeats" if m.n < fewest else ""


def interval_p_value(a: Measurement, b: Measurement) -> float | None:
    """Two-sided p-value of "the two values are the same" from their intervals; ``None`` where one of them can't decide, or neither has a width.

    The longer side of each interval stands for its error, and the two are independent as far as anyone knows. The sides that face each other would do for an
    interval of 95 % (Zou & Donner 2008, Statistics in Medicine 27, 1693–1702), but among hundreds of tests the far tails decide, of which the short side of
    a skewed interval says nothing.
    """
    if untested_reason(a) or untested_reason(b) or (a.exact and b.exact):
        return None
    error = math.hypot(_standard_error(a), _standard_error(b))
    return float(2 * stats.norm.sf(abs(a.value - b.value) / error)) if error > 0 else None


def _standard_error(m: Measurement) -> float:
    if m.interval is None:
        return 0.0
    half = max(m.interval.high - m.value, m.value - m.interval.low)
    return half / float(stats.norm.ppf((1 + (m.interval.level or LEVEL)) / 2))


def _direction(metric: Metric, difference: float) -> Verdict:
    if metric.better is Better.NEITHER or difference == 0:
        return Verdict.DIFFERENT if difference else Verdict.TIE
    return Verdict.SECOND if (difference > 0) == (metric.better is Better.HIGHER) else Verdict.FIRST


def _cells(row: MetricComparison) -> tuple[str, ...]:
    conditions = names.conditions(row.conditions)
    name = names.title(row.metric.name) + (f", {conditions}" if conditions else "")
    values = ["not measured" if m is None else formatting.number(m.value, row.metric) for m in (row.first, row.second)]
    # A difference of two percentages is in percentage points.
    difference = "" if row.difference is None else formatting.number(row.difference, row.metric).replace(" %", " pt")
    evidence = row.basis if row.p_value is None else "p < 0.001" if row.p_value < 1e-3 else f"p = {row.p_value:.3f}"
    return name, *values, difference, evidence, {Verdict.FIRST: "A is better", Verdict.SECOND: "B is better"}.get(row.verdict, row.verdict.value)


def _note(comparison: Comparison) -> str:
    if not comparison.same_data:
        return "The two runs used different data, so per-example values can't be paired."
    tested = sum(row.p_value is not None for row in comparison.rows)
    untested = sum(row.verdict is Verdict.NOT_TESTED for row in comparison.rows)
    tests = f"{tested} tests, paired ones over {formatting.count(comparison.paired)} examples, Holm-adjusted p-values; tie: p ≥ 0.05."
    return tests + (f" {untested} not tested: a rerun of the same model would vary by more than their intervals hold." if untested else "")
