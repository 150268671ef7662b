"""Many runs as one table for each data set: raw values under columns that know their direction. No overall score."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from efficient360.core import formatting
from efficient360.core.measurement import Better, Measurement, Metric
from efficient360.reports import html
from efficient360.reports.names import words
from efficient360.reports.report import Report

Run = tuple[Path, Report]


@final
@dataclass(frozen=True)
class Column:
    """One metric over all runs.

    Args:
        key: ``evaluator.metric``, with the conditions that a dimension asks for.
        title: The metric in words.
        metric: Its identity: unit and direction.
        dimension: Title of the dimension it sums up; empty for a metric that can be added to the table.
    """

    key: str
    title: str
    metric: Metric
    dimension: str


@final
@dataclass(frozen=True)
class Cell:
    """A raw value with what is printed of it."""

    value: float
    text: str
    interval: str
    n: int


@final
@dataclass(frozen=True)
class Entry:
    """One run.

    Args:
        id: Stable name in links, unique on the page.
        report: Its report.
        link: Relative address of its own page, empty when it has none.
        cells: Values by column key; a column that is not here was not measured.
    """

    id: str
    report: Report
    link: str
    cells: Mapping[str, Cell]


@final
@dataclass(frozen=True)
class Board:
    """The runs over one data set (one digest), which alone may be compared on what was measured on data."""

    title: str
    digest: str
    columns: Sequence[Column]
    entries: Sequence[Entry]


def boards(runs: Sequence[Run], out: Path) -> list[Board]:
    """One board for each data digest, in the order in which they first appear; runs without data come last.

    Args:
        runs: Folder and report of each run.
        out: Folder of the page, from which links start.
    """
    grouped: dict[str, list[Run]] = {}
    for folder, report in runs:
        grouped.setdefault("" if report.dataset is None else str(report.dataset.get("digest", "")), []).append((folder, report))
    taken: set[str] = set()
    return [_board(digest, grouped[digest], out, taken) for digest in sorted(grouped, key=lambda d: d == "")]


def _board(digest: str, runs: Sequence[Run], out: Path, taken: set[str]) -> Board:
    columns: dict[str, Column] = {}
    entries = []
    for folder, report in runs:
        found = _measured(report)
        for key, (column, _) in found.items():
            columns.setdefault(key, column)
        cells = {key: _cell(m) for key, (_, m) in found.items()}
        link = Path(os.path.relpath(folder / "report.html", out)).as_posix() if (folder / "report.html").is_file() else ""
        entries.append(Entry(_id(folder, report, taken), report, link, cells))
    dataset = runs[0][1].dataset
    order = {d.dimension.title: d.dimension.order for _, report in runs for d in report.axes}
    ordered = sorted(columns.values(), key=lambda c: (c.dimension == "", order.get(c.dimension, 0)))
    return Board("Without data" if dataset is None else html.data(dataset), digest, ordered, entries)


def _measured(report: Report) -> dict[str, tuple[Column, Measurement]]:
    """The dimensions' summary metrics, then every metric that was measured without conditions."""
    found: dict[str, tuple[Column, Measurement]] = {}
    for axis in report.axes:
        for part in axis.parts:
            if part.measurement is not None:
                said = formatting.conditions(part.anchor.conditions)
                key = f"{part.anchor.evaluator}.{part.anchor.metric}" + (f"[{said}]" if said else "")
                found.setdefault(key, (_column(key, part.measurement.metric, said, axis.dimension.title), part.measurement))
    for record in report.records:
        m = record.outcome
        if isinstance(m, Measurement) and not m.conditions:
            key = f"{record.evaluator}.{m.metric.name}"
            found.setdefault(key, (_column(key, m.metric, "", ""), m))
    return found


def _column(key: str, metric: Metric, conditions: str, dimension: str) -> Column:
    return Column(key, words(metric.name) + (f" ({conditions})" if conditions else ""), metric, dimension)


def _cell(m: Measurement) -> Cell:
    return Cell(m.value, formatting.number(m.value, m.metric), formatting.interval(m.interval, m.metric) if m.interval else "", m.n)


def _id(folder: Path, report: Report, taken: set[str]) -> str:
    slug = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder.resolve().name.lower()).strip("-") or "run"
    base = f"{slug}-{str(report.checkpoint.get('digest', ''))[:6]}".rstrip("-")
    name = next(n for n in (base, *(f"{base}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)
    taken.add(name)
    return name


def best_first(column: Column) -> str:
    """The order in which a click on the column sorts first: ``descending`` unless lower is better."""
    return "ascending" if column.metric.better is Better.LOWER else "descending"
