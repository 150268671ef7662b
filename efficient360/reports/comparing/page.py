"""A comparison as one self-contained HTML page: the radars laid over one another, the verdict per axis, and every metric on demand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from markupsafe import Markup

from efficient360.reports import names, page
from efficient360.reports.comparing import words
from efficient360.reports.comparing.decisive import decisive
from efficient360.reports.comparing.verdicts import AxisComparison, Comparison, MetricComparison, RunPair, Verdict
from efficient360.reports.drawing.radar import NARROW, WIDE, RadarRun, overlay
from efficient360.reports.drawing.svg import inline
from efficient360.reports.html import PACKAGE, facts
from efficient360.reports.report import Report
from efficient360.reports.text_tables import LATEX
from efficient360.reports.theme import LIGHT

MOST: int = 10
"""Metrics, beside the axes' own, that the page names before all."""


@final
@dataclass(frozen=True)
class AxisLine:
    """One summary metric of an axis as the overview shows it.

    Args:
        axis: The axis.
        first: Whether it is the axis's first line.
        metric: The metric's title; of times with the device and the runtime.
        values: Its value in each run.
        winner: Which runs' values are the better ones.
        verdict: Of the axis in words.
        kind: Of the verdict, as a class of the style sheet.
        difference: Second minus first with its interval; for more than two runs who is better than whom.
        evidence: What it rests on.
    """

    axis: AxisComparison
    first: bool
    metric: str
    values: Sequence[str]
    winner: frozenset[int]
    verdict: str
    kind: str
    difference: str
    evidence: str


@final
@dataclass(frozen=True)
class AxisDetails:
    """Every metric of an axis.

    Args:
        name: Name of the dimension; ``more`` for metrics of none.
        title: Its title.
        pairs: For every two runs: their letters, the rows that were compared, and what was not with the reason.
    """

    name: str
    title: str
    pairs: Sequence[tuple[str, str, Sequence[tuple[str, Sequence[str]]], Sequence[str]]]


def render(comparison: Comparison, reports: Sequence[Report]) -> str:
    """The page. It makes no requests, all text from runs is escaped, and all of it can be read without scripts.

    Args:
        comparison: What it shows.
        reports: The runs' reports, in the comparison's order.
    """
    title = " against ".join(comparison.names) if len(comparison.names) == 2 else ", ".join(comparison.names)
    letters = [words.letter(run) for run in range(len(comparison.names))]
    titles = _apart(comparison.names)
    runs = [RadarRun(f"{letter} {title}", report.axes) for letter, title, report in zip(letters, titles, reports, strict=True)]
    scripts = (page.script(PACKAGE, "copy.js"),)
    return (
        page.environment(PACKAGE)
        .get_template("compare.html.j2")
        .render(
            title=title,
            runs=[(letter, name, facts(report)) for letter, name, report in zip(letters, comparison.names, reports, strict=True)],
            headline=words.headline(comparison),
            letters=letters,
            radars=[Markup(inline(overlay(runs, size), css)) for size, css in ((WIDE, "drawing wide"), (NARROW, "drawing narrow"))],
            lines=[line for axis in comparison.axes for line in _lines(axis, comparison)],
            meanings=[
                (words.verdict(v, (0, 1)), meaning) for v, meaning in words.MEANING.items() if any(v in axis.verdicts.values() for axis in comparison.axes)
            ],
            decisive=[(words.better(e.row), _kind(e.row.verdict), words.cells(e.row), e.more) for e in decisive(comparison, MOST)],
            details=_details(comparison),
            unlike=comparison.unlike,
            disturbed=comparison.disturbed,
            notes=words.notes(comparison),
            export={"name": title, "light": LIGHT, "latex": LATEX},
            scripts=scripts,
            policy=page.policy(*scripts),
        )
    )


def _lines(axis: AxisComparison, comparison: Comparison) -> list[AxisLine]:
    runs = range(len(comparison.names))
    if len(comparison.names) == 2:
        pair: RunPair = (0, 1)
        return [
            AxisLine(
                axis,
                i == 0,
                _metric(axis, row, comparison),
                [words.value_in(axis, row, run) for run in runs],
                _winner(row),
                words.verdict(axis.verdicts[pair], pair),
                _kind(axis.verdicts[pair]),
                words.difference(row),
                words.evidence(row),
            )
            for i, row in enumerate(axis.leading(pair))
        ]
    row = words.surest(axis, comparison)
    if row is None:
        return []
    return [
        AxisLine(
            axis,
            True,
            _metric(axis, row, comparison),
            [words.value_in(axis, row, run) for run in runs],
            frozenset(),
            "",
            "",
            words.order(axis, comparison),
            "",
        )
    ]


def _metric(axis: AxisComparison, row: MetricComparison, comparison: Comparison) -> str:
    """A summary metric's title, and where a time was measured."""
    return " · ".join(part for part in (names.title(row.metric.name), words.places(axis, comparison)) if part)


def _winner(row: MetricComparison) -> frozenset[int]:
    return frozenset({row.runs[0] if row.verdict is Verdict.FIRST else row.runs[1]}) if row.verdict in (Verdict.FIRST, Verdict.SECOND) else frozenset()


def _kind(verdict: Verdict) -> str:
    return {Verdict.FIRST: "first", Verdict.SECOND: "second"}.get(verdict, "open")


def _details(comparison: Comparison) -> list[AxisDetails]:
    titles = {axis.name: axis.title for axis in comparison.axes}
    details = []
    for name in sorted(dict.fromkeys(row.axis for row in comparison.rows), key=lambda name: list(titles).index(name) if name in titles else len(titles)):
        pairs = []
        for pair in comparison.pairs:
            rows = [row for row in comparison.rows if row.axis == name and row.runs == pair]
            told = [(_kind(row.verdict), words.cells(row)) for row in rows if row.verdict not in words.UNTESTED]
            pairs.append((words.letter(pair[0]), words.letter(pair[1]), told, words.untested(rows)))
        details.append(AxisDetails(name or "more", titles.get(name, name) or "Other metrics", pairs))
    return details


def _apart(names: Sequence[str]) -> Sequence[str]:
    """Names for a legend, the long ones shortened in the middle."""
    return [name if len(name) <= 40 else f"{name[:22]}…{name[-16:]}" for name in names]
