"""A comparison as a document: Markdown, LaTeX, CSV, JSON, a page."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final

from efficient360.core.measurement import Interval, Measurement
from efficient360.core.terminal import plain
from efficient360.errors import SettingsError
from efficient360.reports import names
from efficient360.reports.comparing import text, words
from efficient360.reports.comparing.decisive import decisive
from efficient360.reports.comparing.verdicts import AxisComparison, Comparison, MetricComparison, Verdict
from efficient360.reports.report import Report
from efficient360.reports.text_tables import TextTable, data_table, escape_markdown, to_csv, to_latex, to_markdown

VERSION: Final = 1
"""Of the JSON form; it rises when a key changes its meaning or goes."""
WIDTH: Final = 100
"""Columns of the text form."""


def axes_table(comparison: Comparison) -> TextTable:
    """The verdict per axis with the summary metric it rests on; bold is the better value."""
    rows: list[list[str]] = []
    best: set[tuple[int, int]] = set()
    for axis, row in _leading(comparison):
        two = len(comparison.names) == 2
        values = [words.value_in(axis, row, run) for run in range(len(comparison.names))]
        told = (words.verdict(axis.verdicts[0, 1], (0, 1)), words.difference(row)) if two else (words.order(axis, comparison),)
        if row.verdict in (Verdict.FIRST, Verdict.SECOND):
            best.add((len(rows), 2 + row.runs[row.verdict is Verdict.SECOND]))
        rows.append([axis.title, names.title(row.metric.name), *values, *told])
    letters = [words.letter(run) for run in range(len(comparison.names))]
    heads = ["Axis", "Metric", *letters, *(("Verdict", "B − A [95 % interval]") if len(letters) == 2 else ("Better, where it is decided",))]
    who = "; ".join(f"{letter}: {name}" for letter, name in zip(letters, comparison.names, strict=True))
    places = [f"{axis.title}: {place}." for axis in comparison.axes if (place := words.places(axis, comparison))]
    notes = [f"{who}.", words.headline(comparison), *places, *comparison.disturbed, *_unlike(comparison), *words.notes(comparison)]
    return TextTable(
        heads, rows, f"Comparison of {' and '.join(comparison.names)}", left=2, notes=notes, best=frozenset(best) if len(letters) == 2 else frozenset()
    )


def metrics_table(comparison: Comparison) -> TextTable:
    """Every metric of every pair of runs."""
    several = len(comparison.names) > 2
    titles = {axis.name: axis.title for axis in comparison.axes}
    rows = []
    for row in comparison.rows:
        pair = [f"{words.letter(row.runs[0])}, {words.letter(row.runs[1])}"] if several else []
        rows.append([*pair, titles.get(row.axis, row.axis), *words.cells(row)])
    first, second, difference = ("First", "Second", "Second − first [95 %]") if several else ("A", "B", "B − A [95 %]")
    return TextTable(
        [*(["Runs"] if several else []), "Axis", "Metric", first, second, difference, "Verdict", "Evidence"], rows, "All metrics", left=2 + several
    )


def markdown(comparison: Comparison, everything: bool) -> str:
    """For a pull request: the axes, what else tells the runs apart, and all metrics on request."""
    parts = [to_markdown(axes_table(comparison))]
    if found := decisive(comparison):
        lines = [
            f"{words.better(e.row)}: {words.subject(e.row)}, {words.value(e.row.first, e.row)} against {words.value(e.row.second, e.row)}, "
            f"{words.difference(e.row)}{f'; and {e.more} more like it' if e.more else ''}"
            for e in found
        ]
        parts.append("**What else tells them apart**\n\n" + "\n".join(f"- {escape_markdown(line)}" for line in lines) + "\n")
    return "\n".join([*parts, *([to_markdown(metrics_table(comparison))] if everything else [])])


def latex(comparison: Comparison, everything: bool) -> str:
    """For a paper: a booktabs table of the axes, and of all metrics on request."""
    return to_latex(axes_table(comparison), "tab:comparison") + (f"\n{to_latex(metrics_table(comparison), 'tab:comparison-all')}" if everything else "")


def csv(comparison: Comparison, everything: bool) -> str:
    """For a spreadsheet: a line per summary metric, or per metric, with numbers in full."""
    rows = [row for row in comparison.rows if everything or row.summary]
    records = [_record(row) for row in rows]
    heads = list(_record_heads())
    return to_csv(data_table(heads, records))


def data(comparison: Comparison) -> dict[str, Any]:
    """Everything as plain data: runs, verdicts per axis, what decides, every metric, what is not compared."""
    return {
        "schema_version": VERSION,
        "runs": [{"letter": words.letter(run), "name": name} for run, name in enumerate(comparison.names)],
        "headline": words.headline(comparison),
        "same_data": comparison.same_data,
        "paired_examples": comparison.paired,
        "axes": [_axis(axis) for axis in comparison.axes],
        "decisive": [{**_record(entry.row, nested=True), "more": entry.more} for entry in decisive(comparison)],
        "metrics": [_record(row, nested=True) for row in comparison.rows],
        "timing_disturbed": list(comparison.disturbed),
        "not_compared": list(comparison.unlike),
        "notes": list(words.notes(comparison)),
    }


def document(comparison: Comparison, form: str, everything: bool, reports: Sequence[Report]) -> str:
    """The comparison in one of its forms.

    Args:
        comparison: What to write.
        form: ``text``, ``md``, ``csv``, ``tex``, ``json`` or ``html``.
        everything: All metrics too; JSON and HTML have them in any case.
        reports: The runs' reports, for the radars of the page.

    Raises:
        SettingsError: There is no such form (``bad-option``).
    """
    if form == "json":
        return json.dumps(data(comparison), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if form == "html":
        from efficient360.reports.comparing.page import render

        return render(comparison, reports)
    if form not in FORMATS:
        raise SettingsError("bad-option", f"a comparison has no form {form!r}", f"choose one of {', '.join([*FORMATS, 'json', 'html'])}")
    return FORMATS[form](comparison, everything)


def html_table(table: TextTable) -> str:
    """A table as plain HTML for a notebook, all text escaped."""
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.notes)
    return f"<table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}"


def plain_text(comparison: Comparison, everything: bool) -> str:
    """As the terminal shows it."""
    return plain(text.text(comparison, everything), WIDTH)


FORMATS: Final[Mapping[str, Callable[[Comparison, bool], str]]] = {"text": plain_text, "md": markdown, "csv": csv, "tex": latex}
"""Forms that are made of the comparison alone."""


def _leading(comparison: Comparison) -> list[tuple[AxisComparison, MetricComparison]]:
    """Each axis with the metric that its verdict rests on: for two runs one or, where mixed, two; for more the surest of all pairs."""
    if len(comparison.names) == 2:
        return [(axis, row) for axis in comparison.axes for row in axis.leading((0, 1))]
    return [(axis, row) for axis in comparison.axes if (row := words.surest(axis, comparison)) is not None]


def _unlike(comparison: Comparison) -> list[str]:
    return [f"Not compared: {'; '.join(comparison.unlike)}."] if comparison.unlike else []


def _axis(axis: AxisComparison) -> dict[str, Any]:
    return {
        "name": axis.name,
        "title": axis.title,
        "scores": [{"value": score.value, "bound": score.bound} for score in axis.scores],
        "verdicts": [{"first": words.letter(i), "second": words.letter(j), "verdict": verdict.value} for (i, j), verdict in axis.verdicts.items()],
    }


def _record_heads() -> tuple[str, ...]:
    ends = ("low", "high")
    sides = tuple(f"{side}{end}" for side in ("first", "second") for end in ("", "_low", "_high", "_n"))
    return (
        *("first_run", "second_run", "axis", "summary", "evaluator", "metric", "conditions", "unit", "better"),
        *sides,
        *("difference", *ends, "p_value", "raw_p_value", "pairs", "verdict", "kind", "basis"),
    )


def _record(row: MetricComparison, nested: bool = False) -> dict[str, Any]:
    return {
        "first_run": words.letter(row.runs[0]),
        "second_run": words.letter(row.runs[1]),
        "axis": row.axis,
        "summary": row.summary,
        "evaluator": row.evaluator,
        "metric": row.metric.name,
        "conditions": dict(row.conditions) if nested else names.conditions(row.conditions),
        "unit": row.metric.unit,
        "better": row.metric.better.value,
        **_side("first", row.first),
        **_side("second", row.second),
        "difference": row.difference,
        **_ends("", row.interval),
        "p_value": row.p_value,
        "raw_p_value": row.raw_p_value,
        "pairs": row.pairs,
        "verdict": row.verdict.value,
        "kind": row.kind.value,
        "basis": row.basis,
    }


def _side(side: str, m: Measurement | None) -> dict[str, Any]:
    return {side: None if m is None else m.value, **_ends(f"{side}_", None if m is None else m.interval), f"{side}_n": None if m is None else m.n}


def _ends(prefix: str, interval: Interval | None) -> dict[str, float | None]:
    finite = interval is not None and math.isfinite(interval.low) and math.isfinite(interval.high)
    return {
        f"{prefix}low": interval.low if interval is not None and finite else None,
        f"{prefix}high": interval.high if interval is not None and finite else None,
    }
