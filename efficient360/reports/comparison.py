"""Runs compared: a verdict per axis and per metric, by paired tests over the same examples wherever both runs kept values that give the metric."""

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from scipy import stats

from efficient360.core.findings import DISTURBED
from efficient360.core.measurement import Better, Measurement
from efficient360.core.outcome import Record
from efficient360.core.statistics import holm
from efficient360.dimensions.dimension import Anchor
from efficient360.errors import RunError
from efficient360.reports import names
from efficient360.reports.alerts import alerts
from efficient360.reports.axis_scores import axis_of
from efficient360.reports.comparability import differences, identity, in_words
from efficient360.reports.comparing.evidence import Evidence, Kind, weigh
from efficient360.reports.comparing.example_values import pair
from efficient360.reports.comparing.run import Run
from efficient360.reports.comparing.verdicts import (
    AxisComparison,
    AxisScore,
    Comparison,
    MetricComparison,
    RunPair,
    Verdict,
    axis_verdict,
    metric_verdict,
    run_pairs,
)
from efficient360.reports.comparing.words import letter
from efficient360.reports.report import Report, summary_record

OTHER_DATA: Final = "the two runs used different data"


@final
@dataclass(frozen=True)
class _Candidate:
    """Two records of one metric, before anything is adjusted.

    Args:
        first: Of the first run; ``None`` if it has none.
        second: Of the second run.
        runs: Which runs.
        axis: Name of the dimension.
        anchor: Where it is a summary metric.
        evidence: What speaks for a difference; ``None`` where the two are not set against each other.
        refusal: The verdict and its reason then.
    """

    first: Record | None
    second: Record | None
    runs: RunPair
    axis: str
    anchor: Anchor | None
    evidence: Evidence | None
    refusal: tuple[Verdict, str] | None


def compare(first: Report, first_folder: Path, second: Report, second_folder: Path) -> Comparison:
    """Compare two runs; see :func:`compare_runs`.

    Raises:
        RunError: The two runs share no metric, or per-example values can't be read.
    """
    return compare_runs([Run.of(first, first_folder), Run.of(second, second_folder)])


def compare_runs(runs: Sequence[Run]) -> Comparison:
    """Compare two or more runs, every two of them, axis by axis and metric by metric.

    Two values are set against each other only if they were measured the same way (settings, data, number of examples, machine), and neither is void. Where
    both runs kept values of the same examples that give the metric, the test is paired: McNemar for correct/incorrect, paired t for other means, swaps of
    the examples' values between the runs for differences between groups, ratios and calibration errors. Repeats over processes or seeds are tested as two
    samples (Welch). Exact values are compared as they are, and count as equal within 1 %. Where there are but two intervals, they decide if they are far
    apart; if they overlap, nothing was tested.

    The summary metrics of all axes and pairs of runs are one family, whose p-values are Holm-adjusted: a wrong "better" on any axis has a chance of at most
    5 %. All other tests are another, adjusted by Benjamini and Hochberg over all of them (of the differences that are called so, at most 5 % are expected to be
    none) and by Holm over the conditions of each metric, such as its fifteen corruptions; the larger counts.

    Args:
        runs: At least two.

    Raises:
        RunError: Two of them share no metric (``nothing-shared``).
    """
    candidates = [candidate for i, j in run_pairs(len(runs)) for candidate in _candidates(runs[i], runs[j], (i, j))]
    p_values = _adjusted(candidates)
    rows = [_row(candidate, p) for candidate, p in zip(candidates, p_values, strict=True)]
    digests = [run.digest for run in runs]
    return Comparison(
        tuple(run.name for run in runs),
        rows,
        digests[0] is not None and len(set(digests)) == 1,
        max((row.pairs for row in rows), default=0),
        _axes(runs, rows),
        _unlike(rows, len(runs)),
        [told for place, run in enumerate(runs) for told in _disturbed(run.report, letter(place))],
    )


def _candidates(a: Run, b: Run, runs: RunPair) -> list[_Candidate]:
    in_a, in_b = _measurements(a.report), _measurements(b.report)
    if not any(identity in in_b for identity in in_a):
        named = "the two runs" if runs == (0, 1) else f"{a.name} and {b.name}"
        raise RunError("nothing-shared", f"{named} share no metric", "evaluate both with the same protocol")
    summaries = [
        (axis.dimension.name, part.anchor, summary_record(part.anchor, a.report.records), summary_record(part.anchor, b.report.records))
        for axis in a.report.axes
        for part in axis.parts
    ]
    found = [(axis, anchor, x[0] if x else None, y[0] if y else None) for axis, anchor, x, y in summaries if x or y]
    used = {identity(record) for _, _, *pair_ in found for record in pair_ if record is not None}
    rest = [(axis_of(a.report, record) or "", None, in_a.get(i), in_b.get(i)) for i, record in (in_a | in_b).items() if i not in used]
    return [_candidate(axis, anchor, x, y, runs, a, b) for axis, anchor, x, y in [*found, *rest]]


def _candidate(axis: str, anchor: Anchor | None, x: Record | None, y: Record | None, runs: RunPair, a: Run, b: Run) -> _Candidate:
    same_data = a.digest is not None and a.digest == b.digest
    refusal = _refusal(x, y, same_data, runs)
    if refusal is not None or x is None or y is None or not isinstance(x.outcome, Measurement) or not isinstance(y.outcome, Measurement):
        return _Candidate(x, y, runs, axis, anchor, None, refusal)
    paired = pair(a.values(x), b.values(y)) if same_data and not x.outcome.exact else None
    return _Candidate(x, y, runs, axis, anchor, weigh(x.outcome, y.outcome, paired), None)


def _refusal(a: Record | None, b: Record | None, same_data: bool, runs: RunPair) -> tuple[Verdict, str] | None:
    """Why two values are not set against each other: one is missing, they were measured differently, or one is void."""
    if a is None or b is None:
        there, lacking = runs if b is None else runs[::-1]
        return Verdict.NOT_COMPARABLE, f"measured in {letter(there)}, not in {letter(lacking)}"
    if found := differences(a, b):
        return Verdict.NOT_COMPARABLE, in_words(found)
    x, y = a.outcome, b.outcome
    if isinstance(x, Measurement) and isinstance(y, Measurement):
        if x.void or y.void:
            return Verdict.NOT_TESTED, f"void: {x.void or y.void}"
        if not same_data and not (a.measured_with and b.measured_with) and not (x.exact and y.exact) and x.n > 1:
            return Verdict.NOT_COMPARABLE, OTHER_DATA
    return None


def _adjusted(candidates: Sequence[_Candidate]) -> list[float | None]:
    """Adjusted p-value of each candidate."""
    raw = [None if c.evidence is None else c.evidence.p_value for c in candidates]
    summary = [i for i, c in enumerate(candidates) if c.anchor is not None and raw[i] is not None]
    other = [i for i, c in enumerate(candidates) if c.anchor is None and raw[i] is not None]
    adjusted = list(raw)
    _adjust(adjusted, raw, summary, holm)
    _adjust(adjusted, raw, other, _benjamini_hochberg)
    by_metric: dict[tuple[str, str, RunPair], list[int]] = {}
    for i in other:
        by_metric.setdefault((*_metric(candidates[i]), candidates[i].runs), []).append(i)
    for places in by_metric.values():
        _adjust(adjusted, raw, places, holm)
    return adjusted


def _adjust(adjusted: list[float | None], raw: Sequence[float | None], places: Sequence[int], method: Callable[[list[float]], Sequence[float]]) -> None:
    """Adjust some of the p-values by a method; one that was adjusted by another is only raised."""
    for i, p in zip(places, method([raw[i] or 0.0 for i in places]), strict=True):
        adjusted[i] = max(p, adjusted[i] or 0.0)


def _benjamini_hochberg(p_values: list[float]) -> Sequence[float]:
    return [float(p) for p in stats.false_discovery_control(p_values)] if p_values else []


def _metric(candidate: _Candidate) -> tuple[str, str]:
    record = candidate.first or candidate.second
    return ("", "") if record is None or record.metric is None else (record.evaluator, record.metric.name)


def _row(candidate: _Candidate, p: float | None) -> MetricComparison:
    known = candidate.first or candidate.second
    if known is None or not isinstance(known.outcome, Measurement):
        raise ValueError("neither run has a value")
    metric = known.outcome.metric
    x, y = (None if r is None or not isinstance(r.outcome, Measurement) else r.outcome for r in (candidate.first, candidate.second))
    row = MetricComparison(
        known.evaluator,
        metric,
        known.outcome.conditions,
        x,
        y,
        None,
        None,
        p,
        Verdict.NOT_TESTED,
        "",
        axis=candidate.axis,
        summary=candidate.anchor is not None,
        runs=candidate.runs,
    )
    evidence = candidate.evidence
    if evidence is None or x is None or y is None:
        verdict, basis = candidate.refusal or (Verdict.NOT_TESTED, "")
        return dataclasses.replace(row, verdict=verdict, basis=basis)
    verdict = metric_verdict(evidence.kind, metric, x.value, y.value, p, _better(metric.better, candidate.anchor))
    basis = evidence.basis
    if evidence.kind is Kind.INTERVALS and verdict is Verdict.NOT_TESTED:
        basis = "no per-example values to pair, and the intervals of the two overlap"
    if candidate.anchor is not None and x.conditions != y.conditions:
        basis += f"; {names.conditions(x.conditions) or 'without conditions'} against {names.conditions(y.conditions) or 'without'}"
    return dataclasses.replace(
        row,
        difference=y.value - x.value,
        interval=None if verdict is Verdict.NOT_TESTED else evidence.interval,
        verdict=verdict,
        basis=basis,
        kind=evidence.kind,
        raw_p_value=evidence.p_value,
        pairs=evidence.pairs,
    )


def _better(better: Better, anchor: Anchor | None) -> Better:
    """The metric's direction; where it has none, that of the axis that scores it."""
    if better is not Better.NEITHER or anchor is None:
        return better
    return Better.HIGHER if anchor.one > anchor.zero else Better.LOWER


def _axes(runs: Sequence[Run], rows: Sequence[MetricComparison]) -> list[AxisComparison]:
    axes = []
    for axis in runs[0].report.axes:
        of_axis = [row for row in rows if row.axis == axis.dimension.name and row.summary]
        if of_axis:
            scores = [_score(run.report, axis.dimension.name) for run in runs]
            verdicts = {pair_: axis_verdict(row.verdict for row in of_axis if row.runs == pair_) for pair_ in run_pairs(len(runs))}
            axes.append(AxisComparison(axis.dimension.name, axis.dimension.title, scores, verdicts, of_axis))
    return axes


def _score(report: Report, name: str) -> AxisScore:
    axis = next((axis for axis in report.axes if axis.dimension.name == name), None)
    return AxisScore(None) if axis is None else AxisScore(axis.score, "" if axis.bound is None else axis.bound.value)


def _disturbed(report: Report, name: str) -> list[str]:
    """How other processes disturbed a run's timing, a sentence an axis."""
    titles = {axis.dimension.name: axis.dimension.title for axis in report.axes}
    found = [alert for alert in alerts(report) if alert.code == DISTURBED]
    return [f"{name}: {alert.message}{f' ({titles[alert.axis]})' if alert.axis in titles else ''}." for alert in found]


def _unlike(rows: Sequence[MetricComparison], runs: int) -> list[str]:
    """What was measured differently, one sentence an evaluator and difference; and what one run lacks."""
    metrics: dict[tuple[str, str, RunPair], int] = {}
    for row in rows:
        if row.verdict is Verdict.NOT_COMPARABLE:
            key = row.evaluator, row.basis, row.runs
            metrics[key] = metrics.get(key, 0) + 1
    return [
        f"{evaluator}: {basis} ({count} {'values' if count > 1 else 'value'}{'' if runs == 2 else _of(pair_, basis)})"
        for (evaluator, basis, pair_), count in metrics.items()
    ]


def _of(pair_: RunPair, basis: str) -> str:
    """Which runs a sentence is about, unless it says so itself."""
    return "" if basis.startswith("measured in ") else f", {letter(pair_[0])} and {letter(pair_[1])}"


def _measurements(report: Report) -> dict[Hashable, Record]:
    return {identity(record): record for record in report.records if isinstance(record.outcome, Measurement)}
