"""Two runs side by side. Where both kept values per example, the test is paired; what can't be told apart is called a tie."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Better, Conditions, Interval, Measurement, Metric
from efficient360.core.statistics import bootstrap_mean, holm, paired_p_value
from efficient360.errors import RunError
from efficient360.reports.report import Report
from efficient360.storage.per_example import read_examples

SIGNIFICANCE = 0.05
Identity = tuple[str, str, str]


class Verdict(StrEnum):
    """What the evidence says of two values."""

    FIRST = "first is better"
    SECOND = "second is better"
    DIFFERENT = "different"
    TIE = "tie"
    NOT_COMPARABLE = "not comparable"


@final
@dataclass(frozen=True)
class Row:
    """One metric under one set of conditions in two runs.

    Args:
        evaluator: Who measured it.
        metric: What.
        conditions: Under which conditions.
        first: Measurement of the first run, ``None`` when it has none.
        second: Measurement of the second run.
        difference: Second minus first, in the metric's unit; ``None`` unless both have it.
        interval: 95 % interval of the difference where it was tested in pairs.
        p_value: Holm-adjusted over all paired tests of the comparison; ``None`` where there was no test.
        verdict: What follows.
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
    """Two runs and their rows. ``to_frame()`` has them as a ``pandas.DataFrame``.

    Args:
        names: Of the two checkpoints.
        rows: One a metric.
        same_data: Whether both were evaluated on the same examples.
        paired: How many examples the paired tests rest on.
    """

    names: tuple[str, str]
    rows: Sequence[Row]
    same_data: bool
    paired: int

    def __repr__(self) -> str:
        """One line: who is compared, and how many metrics each is better on."""
        counts = Counter(row.verdict for row in self.rows)
        return (
            f"<Comparison of {self.names[0]} and {self.names[1]}: first better on {counts[Verdict.FIRST]}, second on {counts[Verdict.SECOND]}, "
            f"{counts[Verdict.TIE]} ties, {len(self.rows)} rows, {self.paired} paired examples>"
        )

    def to_frame(self) -> Any:
        """A row for each metric and set of conditions.

        Columns: ``evaluator``, ``metric``, ``conditions`` (a dict), ``first``, ``second``, ``difference`` (second minus first), ``low``, ``high`` (95 %
        interval of the difference where it was tested in pairs), ``p_value`` (Holm-adjusted), ``verdict``, ``basis``.
        """
        import pandas as pd

        return pd.DataFrame([_frame_row(row) for row in self.rows])


def compare(first: Report, first_folder: Path, second: Report, second_folder: Path) -> Comparison:
    """Compare two runs metric by metric.

    Paired tests (McNemar for right/wrong, paired t otherwise) are Holm-adjusted over the comparison, so that among many metrics chance finds no winner.

    Raises:
        RunError: The two share no metric.
    """
    mine, theirs = _measurements(first), _measurements(second)
    shared = [identity for identity in mine if identity in theirs]
    if not shared:
        raise RunError("nothing-shared", "the two runs share no metric", "evaluate both with the same protocol")
    same_data = first.dataset is not None and second.dataset is not None and first.dataset["digest"] == second.dataset["digest"]
    pairs = _pairs(first_folder, second_folder) if same_data else {}
    tested = [identity for identity in shared if identity in pairs]
    adjusted = dict(zip(tested, holm([paired_p_value(*pairs[i]) for i in tested]), strict=True))
    order = list(dict.fromkeys([*mine, *theirs]))
    rows = [_row(identity, mine.get(identity), theirs.get(identity), pairs.get(identity), adjusted.get(identity), same_data) for identity in order]
    names = str(first.checkpoint["name"]), str(second.checkpoint["name"])
    return Comparison(names, rows, same_data, max((len(a) for a, _ in pairs.values()), default=0))


def _frame_row(row: Row) -> dict[str, Any]:
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


def _measurements(report: Report) -> dict[Identity, Measurement]:
    found = {}
    for record in report.records:
        if isinstance(record.outcome, Measurement):
            conditions = json.dumps(dict(record.outcome.conditions), sort_keys=True)
            found[record.evaluator, record.outcome.metric.name, conditions] = record.outcome
    return found


Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def _pairs(first: Path, second: Path) -> Mapping[Identity, Pair]:
    mine, theirs = read_examples(first), read_examples(second)
    found: dict[Identity, Pair] = {}
    for identity, values in mine.items():
        other = theirs.get(identity, {})
        ids = [i for i in values if i in other]
        if ids:
            found[identity] = np.array([values[i] for i in ids]), np.array([other[i] for i in ids])
    return found


def _row(identity: Identity, a: Measurement | None, b: Measurement | None, pair: Pair | None, p: float | None, same_data: bool) -> Row:
    known = a or b
    assert known is not None  # every identity comes from one of the two runs
    metric = known.metric
    if a is None or b is None:
        return Row(identity[0], metric, known.conditions, a, b, None, None, None, Verdict.NOT_COMPARABLE, "measured in one run only")
    difference = b.value - a.value
    if pair is not None and p is not None:
        interval = bootstrap_mean(pair[1] - pair[0], seed=0)
        verdict = _direction(metric, difference) if p < SIGNIFICANCE else Verdict.TIE
        return Row(identity[0], metric, known.conditions, a, b, difference, interval, p, verdict, f"paired test over {len(pair[0])} examples")
    if a.interval is None and b.interval is None:
        verdict = Verdict.TIE if difference == 0 else _direction(metric, difference)
        return Row(identity[0], metric, known.conditions, a, b, difference, None, None, verdict, "exact values")
    apart = a.interval is not None and b.interval is not None and (a.interval.high < b.interval.low or b.interval.high < a.interval.low)
    basis = "intervals apart" if apart else "intervals overlap"
    if not same_data and a.n > 1:
        basis += ", other data"
    return Row(identity[0], metric, known.conditions, a, b, difference, None, None, _direction(metric, difference) if apart else Verdict.TIE, basis)


def _direction(metric: Metric, difference: float) -> Verdict:
    if metric.better is Better.NEITHER or difference == 0:
        return Verdict.DIFFERENT if difference else Verdict.TIE
    return Verdict.SECOND if (difference > 0) == (metric.better is Better.HIGHER) else Verdict.FIRST
