"""A comparison in words, the same on the terminal, in tables and on the page: values, differences, verdicts, and what they rest on."""

from collections.abc import Sequence
from typing import Final

from efficient360.core import formatting
from efficient360.core.measurement import Interval, Measurement, Metric
from efficient360.reports import names
from efficient360.reports.comparing.evidence import Kind
from efficient360.reports.comparing.verdicts import AxisComparison, Comparison, MetricComparison, RunPair, Verdict

SHORT: Final = {
    "top1": "top-1",
    "weight_bytes": "weights",
    "activation_peak": "activations",
    "macs": "MACs",
    "macs_growth": "scaling",
    "best_latency": "best latency",
    "corruption_accuracy": "corrupted",
    "robust_accuracy": "attacked",
    "largest_gap_excess": "accuracy gap",
    "largest_odds_excess": "odds gap",
    "worst_class_accuracy": "worst class",
    "mean_capture_ratio": "capture",
    "device_reach": "device reach",
    "strongest_attack_auc": "attack AUC",
    "tnr_at_fnr": "TNR at FNR",
    "best_faithfulness": "faithfulness",
    "stable_rank_ratio": "stable rank",
    "retention": "retained",
    "share_of_joint": "of joint",
    "ece_excess": "debiased ECE",
    "brier": "Brier",
    "remaining_doubt": "set size",
    "auroc": "OOD AUROC",
    "best_compression": "compression",
}
"""Summary metrics in twelve characters, beside the name of their axis."""
DIGITS: Final = 2
"""Significant digits of a difference."""
VERDICTS: Final = (Verdict.MIXED, Verdict.UNDECIDED, Verdict.EQUAL, Verdict.DIFFERENT, Verdict.NOT_COMPARABLE, Verdict.NOT_TESTED)
"""Verdicts that name no better run, in the order they are told."""
MEANING: Final = {
    Verdict.MIXED: "each is better on one of its metrics",
    Verdict.UNDECIDED: "tested, and the difference may be chance",
    Verdict.EQUAL: "the same, or exact values within 1 %",
    Verdict.DIFFERENT: "neither way is better",
    Verdict.NOT_COMPARABLE: "measured differently",
    Verdict.NOT_TESTED: "void, or no pairs to test",
}
"""What each of them means."""


UNTESTED: Final = (Verdict.NOT_TESTED, Verdict.NOT_COMPARABLE)
"""Verdicts of values that were not compared."""


def letter(run: int) -> str:
    """What a run is called in a comparison, by its place: A, B … Z, then R27."""
    return chr(ord("A") + run) if run < 26 else f"R{run + 1}"


def verdict(value: Verdict, pair: RunPair) -> str:
    """``A better``, ``undecided``."""
    return {Verdict.FIRST: f"{letter(pair[0])} better", Verdict.SECOND: f"{letter(pair[1])} better"}.get(value, value.value)


def better(row: MetricComparison) -> str:
    """Which of two runs a metric says is better: ``A > B``; the verdict where it says of neither."""
    a, b = map(letter, row.runs)
    return {Verdict.FIRST: f"{a} > {b}", Verdict.SECOND: f"{b} > {a}"}.get(row.verdict, row.verdict.value)


def headline(comparison: Comparison) -> str:
    """Which run is better on which axes, by how much where the values are exact, and on how many axes neither is; one or two sentences."""
    if len(comparison.names) > 2:
        return _leaders(comparison)
    counts = comparison.counts()
    sides = ((letter(0), Verdict.FIRST), (letter(1), Verdict.SECOND))
    won = [(name, formatting.listed([f"{axis.title}{_by(axis)}" for axis in comparison.axes if axis.verdicts[0, 1] is side])) for name, side in sides]
    named = [f"{name} is better on {axes}" for name, axes in won if axes]
    rest = [f"{value.value} on {counts[value]}" for value in VERDICTS if counts.get(value)]
    first = "; ".join(named) or f"Neither {letter(0)} nor {letter(1)} is better on any axis"
    return f"{first}{'; ' + ', '.join(rest) if rest else ''}."


def _leaders(comparison: Comparison) -> str:
    """On which axes each of more than two runs leads: is better than another, and none is better than it."""
    lost = {axis.name: {run: set(axis.beaten(run)) for run in range(len(comparison.names))} for axis in comparison.axes}
    led = [
        [axis.title for axis in comparison.axes if not lost[axis.name][run] and any(run in winners for winners in lost[axis.name].values())]
        for run in range(len(comparison.names))
    ]
    if not any(led):
        return "No run is better than another on any axis."
    told = "; ".join(f"{letter(run)} on {formatting.listed(axes)}" if axes else f"{letter(run)} on none" for run, axes in enumerate(led))
    return f"Better than another run, and beaten by none: {told}."


def _by(axis: AxisComparison) -> str:
    """By how much an axis is decided where exact values decide it, in percent of the first: a difference of any size is none of chance."""
    row = next(iter(axis.leading((0, 1))), None)
    if row is None or row.kind is not Kind.EXACT or row.first is None or not row.first.value or row.difference is None:
        return ""
    share = f"{100 * row.difference / abs(row.first.value):+.0f}".replace("-", formatting.MINUS)
    return f" ({SHORT.get(row.metric.name, names.title(row.metric.name))} {share} %)"


def places(axis: AxisComparison, comparison: Comparison) -> str:
    """On which device and in which runtime an axis's times were measured; empty where its metric knows neither."""
    two = len(comparison.names) == 2
    rows = axis.leading((0, 1)) if two else [row for row in (surest(axis, comparison),) if row is not None]
    found = {letter(run): place for row in rows for run in range(len(comparison.names)) if (place := _place(_measured(axis, row, run)))}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{name}: {place}" for name, place in found.items())


def _place(m: Measurement | None) -> str:
    if m is None or "device" not in m.conditions:
        return ""
    device = names.conditions({"device": m.conditions["device"]}).removeprefix("device = ")
    runtime = names.conditions({key: m.conditions[key] for key in ("runtime", "precision") if key in m.conditions}).replace(" · ", " ")
    where = "the machine of its run (device local)" if device == "local" else f"device {device}"
    return f"{runtime} on {where}" if runtime else where


def short(row: MetricComparison) -> str:
    """A summary metric's name beside its axis's."""
    return SHORT.get(row.metric.name, names.title(row.metric.name))


def subject(row: MetricComparison) -> str:
    """The metric with its conditions."""
    return names.subject(row.metric.name, row.conditions)


def value(m: Measurement | None, row: MetricComparison) -> str:
    """A value with its unit."""
    return "–" if m is None else f"{formatting.number(m.value, row.metric)}{' (void)' if m.void else ''}"


def difference(row: MetricComparison) -> str:
    """The second minus the first: in points for percentages, with its 95 % interval, or in percent of the first for exact values; empty where there is none."""
    if row.difference is None:
        return ""
    text = signed(row.difference, row.metric)
    if row.kind is Kind.EXACT and row.first is not None and row.first.value and not formatting.is_fraction(row.metric):
        return f"{text} ({100 * row.difference / abs(row.first.value):+.0f} %)".replace("-", formatting.MINUS) if row.difference else text
    return f"{text} {_ends(row.interval, row.metric, text)}" if row.interval is not None else text


def signed(amount: float, metric: Metric) -> str:
    """A difference with its sign: ``+1.2 pt``, ``−0.31 ms``. One of two percentages is in percentage points."""
    text = formatting.number(amount, metric, DIGITS).replace(" %", " pt").replace("-", formatting.MINUS)
    return f"+{text}" if amount > 0 and any(digit in text.partition(" ")[0].partition("e")[0] for digit in "123456789") else text


def _ends(interval: Interval, metric: Metric, beside: str) -> str:
    """``[−1.2, +0.4]`` in the unit that stands beside it; with units of their own where they have other ones."""
    unit = beside.partition(" ")[2]
    ends = [signed(end, metric) for end in (interval.low, interval.high)]
    alike = all(end.partition(" ")[2] in (unit, "") for end in ends)
    return f"[{', '.join(end.partition(' ')[0] if alike else end for end in ends)}]"


def p_value(p: float | None) -> str:
    """``p < 0.001``, ``p = 0.03``; empty where there was no test."""
    if p is None:
        return ""
    return "p < 0.001" if p < 1e-3 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def evidence(row: MetricComparison) -> str:
    """The adjusted p-value and what was tested, or why there is no test."""
    p = p_value(row.p_value) if row.verdict is not Verdict.NOT_TESTED else ""
    return f"{p}, {row.basis}" if p else row.basis


def cells(row: MetricComparison) -> Sequence[str]:
    """A row of a table of metrics: the metric, both values, their difference, the verdict and what it rests on."""
    return subject(row), value(row.first, row), value(row.second, row), difference(row), verdict(row.verdict, row.runs), evidence(row)


def untested(rows: Sequence[MetricComparison]) -> Sequence[str]:
    """The metrics among ``rows`` that were not compared, a line for each reason: ``Not tested, measured once: Hessian trace; Cold-start time (2)``."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict in UNTESTED:
            by_reason.setdefault(f"{row.verdict.value.capitalize()}, {row.basis}", []).append(names.title(row.metric.name))
    counted = {
        reason: [f"{title} ({named.count(title)})" if named.count(title) > 1 else title for title in dict.fromkeys(named)]
        for reason, named in by_reason.items()
    }
    return [f"{reason}: {'; '.join(titles)}" for reason, titles in counted.items()]


def value_in(axis: AxisComparison, row: MetricComparison, run: int) -> str:
    """A summary metric's value in one run."""
    m = _measured(axis, row, run)
    return "–" if m is None else "void" if m.void else value(m, row)


def _measured(axis: AxisComparison, row: MetricComparison, run: int) -> Measurement | None:
    """A summary metric in one run, whichever pair tells it."""
    for other in axis.rows:
        if (other.evaluator, other.metric.name, run in other.runs) == (row.evaluator, row.metric.name, True):
            return other.first if other.runs[0] == run else other.second
    return None


def surest(axis: AxisComparison, comparison: Comparison) -> MetricComparison | None:
    """The summary metric that best tells any two of the runs apart; ``None`` where no run has one."""
    rows = [row for pair in comparison.pairs for row in axis.leading(pair)]
    return min(rows, key=_doubt, default=None)


def _doubt(row: MetricComparison) -> tuple[bool, float]:
    return row.verdict not in (Verdict.FIRST, Verdict.SECOND), 2.0 if row.raw_p_value is None else row.raw_p_value


def order(axis: AxisComparison, comparison: Comparison) -> str:
    """Who is better than whom on an axis, as far as it is decided: ``A, B > C``; otherwise the verdicts of the pairs."""
    losers: dict[tuple[int, ...], list[int]] = {}
    for run in range(len(comparison.names)):
        if beaten := axis.beaten(run):
            losers.setdefault(tuple(beaten), []).append(run)
    if losers:
        return "; ".join(f"{', '.join(map(letter, winners))} > {', '.join(map(letter, beaten))}" for winners, beaten in losers.items())
    return ", ".join(dict.fromkeys(axis.verdicts[pair].value for pair in comparison.pairs))


def notes(comparison: Comparison) -> Sequence[str]:
    """How the verdicts were reached, in two or three sentences."""
    summary = sum(row.p_value is not None for row in comparison.rows if row.summary)
    rest = sum(row.p_value is not None for row in comparison.rows if not row.summary)
    paired = sum(row.pairs > 0 for row in comparison.rows)
    told = [] if comparison.same_data else ["The runs share no images: only what needs none is compared."]
    if summary + rest:
        told.append(
            f"{formatting.count(summary + rest)} tests, {formatting.count(paired)} paired over up to {formatting.count(comparison.paired)} shared images; "
            f"adjusted at 5 %: Holm over the {summary} of summary metrics; Benjamini–Hochberg over the others, and Holm over each metric's conditions. "
            "Intervals: 95 %, each by itself."
        )
    return told
