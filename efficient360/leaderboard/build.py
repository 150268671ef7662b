"""Many runs on one static page: a sortable table of raw values per data set, and a radar chart of the selected models. There is no overall score."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, final

from efficient360.core import formatting
from efficient360.core.measurement import Better, Conditions, Measurement, Metric
from efficient360.core.outcome import Record
from efficient360.dimensions.dimension import ANCHORS_VERSION
from efficient360.errors import RunError
from efficient360.reports import html, names, page
from efficient360.reports.comparability import differences
from efficient360.reports.radar import escape, hover, outline, overlay
from efficient360.reports.report import Report, summary_record
from efficient360.reports.theme import LIGHT, SERIES, dark_by_light

PACKAGE = "efficient360.leaderboard"
SELECTED_AT_FIRST = 3

Run = tuple[Path, Report]


@final
@dataclass(frozen=True)
class LeaderboardColumn:
    """One metric over all runs.

    Args:
        key: ``evaluator.metric``, with the conditions of a summary metric.
        title: Display title with conditions.
        metric: The metric: unit and direction.
        dimension: Title of the dimension it is a summary metric of; empty for a metric that is hidden at first.
    """

    key: str
    title: str
    metric: Metric
    dimension: str


@final
@dataclass(frozen=True)
class LeaderboardCell:
    """A raw value and its printed form."""

    value: float
    text: str
    interval: str
    n: int


@final
@dataclass(frozen=True)
class ColumnValue:
    """What one run has to put into a column."""

    column: LeaderboardColumn
    record: Record
    measurement: Measurement


@final
@dataclass(frozen=True)
class LeaderboardEntry:
    """One run.

    Args:
        id: Stable id in links, unique on the page.
        report: Its report.
        link: Relative path of its ``report.html``, empty if it has none.
        cells: Values by column key; missing columns were not measured.
        void: Why a value is void, by column key.
    """

    id: str
    report: Report
    link: str
    cells: Mapping[str, LeaderboardCell]
    void: Mapping[str, str]


@final
@dataclass(frozen=True)
class Leaderboard:
    """The runs on one data set (one digest): only these are comparable on data-dependent metrics."""

    title: str
    digest: str
    columns: Sequence[LeaderboardColumn]
    entries: Sequence[LeaderboardEntry]


def build(reports: Sequence[Run], out: Path) -> Path:
    """Write ``index.html``, ``plotly.min.js`` and ``leaderboard.json`` into ``out``.

    Args:
        reports: Folder and report of each run. Runs on different data (by digest) get separate tables.
        out: Folder to write; created if missing.

    Returns:
        Path of ``index.html``.

    Raises:
        RunError: No runs were given (``no-runs``), or ``out`` can't be written (``unwritable-folder``).
    """
    if not reports:
        raise RunError("no-runs", "a leaderboard needs at least one run, and none was given", "give the folders of runs: efficient360 leaderboard build runs/*")
    tables = boards(reports, out)
    written = {
        "index.html": render(tables),
        "plotly.min.js": plotly_script(),
        "leaderboard.json": json.dumps(plain(tables), ensure_ascii=False, allow_nan=False, indent=1),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in written.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError("unwritable-folder", f"{out} can't be written: {error.strerror}", "choose another folder with --out") from error
    return out / "index.html"


def plotly_script() -> str:
    """The plotly.js that the installed plotly contains, about 4.8 MB."""
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")


def render(tables: Sequence[Leaderboard]) -> str:
    """The page as HTML; it loads plotly.js from the same folder."""
    scripts = (page.script(PACKAGE, "draw.js"), page.script(PACKAGE, "board.js"))
    return (
        page.environment(PACKAGE)
        .get_template("index.html.j2")
        .render(
            boards=tables,
            facts=html.facts,
            best_first=best_first,
            charts=[_charts(board) for board in tables],
            series=[[role, LIGHT[role]] for role in SERIES],
            dark_by_light=dark_by_light(),
            selected_at_first=SELECTED_AT_FIRST,
            anchors_version=ANCHORS_VERSION,
            scripts=scripts,
            policy=page.policy(*scripts).replace("script-src ", "script-src 'self' "),
        )
    )


def boards(runs: Sequence[Run], out: Path) -> list[Leaderboard]:
    """One table per data digest, in order of first appearance; runs without data come last.

    Args:
        runs: Folder and report of each run.
        out: Folder of the page, to which links are relative.
    """
    grouped: dict[str, list[Run]] = {}
    for folder, report in runs:
        grouped.setdefault("" if report.dataset is None else str(report.dataset.get("digest", "")), []).append((folder, report))
    used: set[str] = set()
    return [_board(digest, grouped[digest], out, used) for digest in sorted(grouped, key=lambda d: d == "")]


def _board(digest: str, runs: Sequence[Run], out: Path, used: set[str]) -> Leaderboard:
    measured = like_beside_like([_measured(report) for _, report in runs])
    columns = {key: value.column for values in measured for key, value in values.items()}
    entries = []
    for (folder, report), values in zip(runs, measured, strict=True):
        cells = {key: _cell(value.measurement) for key, value in values.items() if not value.measurement.void}
        void = {key: value.measurement.void for key, value in values.items() if value.measurement.void}
        link = Path(os.path.relpath(folder / "report.html", out)).as_posix() if (folder / "report.html").is_file() else ""
        entries.append(LeaderboardEntry(_id(folder, report, used), report, link, cells, void))
    dataset = runs[0][1].dataset
    order = {d.dimension.title: d.dimension.order for _, report in runs for d in report.axes}
    ordered = sorted(columns.values(), key=lambda c: (c.dimension == "", order.get(c.dimension, 0)))
    return Leaderboard("Without data" if dataset is None else html.data(dataset), digest, ordered, entries)


def like_beside_like(runs: Sequence[Mapping[str, ColumnValue]]) -> list[dict[str, ColumnValue]]:
    """Values by column, each run's, such that no column holds values that were measured differently.

    The most frequent way keeps the column; every other has one of its own, named by what differs.

    Args:
        runs: Each run's values by column key.
    """
    parted: list[dict[str, ColumnValue]] = [{} for _ in runs]
    for key in dict.fromkeys(key for values in runs for key in values):
        alike: list[list[int]] = []
        for place, values in enumerate(runs):
            if key in values:
                home = next((group for group in alike if not differences(runs[group[0]][key].record, values[key].record)), None)
                alike.append([place]) if home is None else home.append(place)
        alike.sort(key=len, reverse=True)
        for group in alike:
            found = differences(runs[group[0]][key].record, runs[alike[0][0]][key].record)
            for place in group:
                value = runs[place][key]
                column = _renamed(value.column, ", ".join(f"{name.replace('_', ' ')} {text}" for name, text, _ in found)) if found else value.column
                parted[place][column.key] = replace(value, column=column)
    return parted


def _renamed(column: LeaderboardColumn, how: str) -> LeaderboardColumn:
    return replace(column, key=f"{column.key}{{{how}}}", title=f"{column.title} · {how}")


def _measured(report: Report) -> dict[str, ColumnValue]:
    """The dimensions' summary metrics, void ones included, then every metric measured without conditions."""
    measured: dict[str, ColumnValue] = {}
    for axis in report.axes:
        for anchor in (part.anchor for part in axis.parts):
            if (found := summary_record(anchor, report.records)) is not None:
                record, measurement = found
                key = _key(anchor.evaluator, anchor.metric, anchor.conditions)
                column = _column(key, measurement.metric, names.conditions(anchor.conditions), axis.dimension.title)
                measured.setdefault(key, ColumnValue(column, record, measurement))
    for record in report.records:
        m = record.outcome
        if isinstance(m, Measurement) and not m.conditions:
            key = _key(record.evaluator, m.metric.name, {})
            measured.setdefault(key, ColumnValue(_column(key, m.metric, "", ""), record, m))
    return measured


def _key(evaluator: str, metric: str, conditions: Conditions) -> str:
    """``evaluator.metric[key value, …]``: the column's name in links and in ``leaderboard.json``."""
    text = ", ".join(f"{key.replace('_', ' ')} {formatting.significant(v, 4) if isinstance(v, float) else v}" for key, v in conditions.items())
    return f"{evaluator}.{metric}" + (f"[{text}]" if text else "")


def _column(key: str, metric: Metric, conditions: str, dimension: str) -> LeaderboardColumn:
    return LeaderboardColumn(key, names.title(metric.name) + (f" ({conditions})" if conditions else ""), metric, dimension)


def _cell(m: Measurement) -> LeaderboardCell:
    return LeaderboardCell(m.value, formatting.number(m.value, m.metric), formatting.interval(m.interval, m.metric) if m.interval else "", m.n)


def _id(folder: Path, report: Report, used: set[str]) -> str:
    slug = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder.resolve().name.lower()).strip("-") or "run"
    base = f"{slug}-{str(report.checkpoint.get('digest', ''))[:6]}".rstrip("-")
    name = next(n for n in (base, *(f"{base}-{i}" for i in range(2, len(used) + 3))) if n not in used)
    used.add(name)
    return name


def best_first(column: LeaderboardColumn) -> str:
    """Sort order of the first click on a column: ``descending`` unless lower is better."""
    return "ascending" if column.metric.better is Better.LOWER else "descending"


def plain(tables: Sequence[Leaderboard]) -> dict[str, Any]:
    """The page's values as JSON data."""
    return {"schema_version": 1, "anchors_version": ANCHORS_VERSION, "boards": [_plain_board(board) for board in tables]}


def _plain_board(board: Leaderboard) -> dict[str, Any]:
    columns = [
        {"key": c.key, "title": c.title, "unit": c.metric.unit, "better": c.metric.better.value, "dimension": c.dimension, "description": c.metric.description}
        for c in board.columns
    ]
    return {"dataset": board.title, "digest": board.digest, "columns": columns, "runs": [_plain_entry(entry) for entry in board.entries]}


def _plain_entry(entry: LeaderboardEntry) -> dict[str, Any]:
    checkpoint: Mapping[str, Any] = entry.report.checkpoint
    return {
        "id": entry.id,
        "name": checkpoint.get("name"),
        "architecture": checkpoint.get("architecture"),
        "digest": checkpoint.get("digest"),
        "state": entry.report.state,
        "created": entry.report.created,
        "report": entry.link or None,
        "values": {key: {"value": cell.value, "interval": cell.interval or None, "n": cell.n} for key, cell in entry.cells.items()},
        "void": dict(entry.void),
        "scores": {axis.dimension.name: axis.score for axis in entry.report.axes},
        "bounds": {axis.dimension.name: axis.bound_text for axis in entry.report.axes if axis.bound_text},
    }


def _charts(board: Leaderboard) -> dict[str, Any]:
    """The radar's layout, and each run's traces in the accent colour, which the page overlays."""
    titles = list(dict.fromkeys(axis.dimension.title for entry in board.entries for axis in entry.report.axes))
    traces, scores = {}, []
    for entry in board.entries:
        axes = {axis.dimension.title: axis for axis in entry.report.axes}
        name = escape(entry.report.name)
        texts = [f"{name}<br>{hover(axes[title])}" if title in axes else "" for title in titles]
        scores.append((name, [axes[title].score if title in axes else None for title in titles]))
        traces[entry.id] = outline(scores[-1][1], texts, name, 0)
    return {"layout": overlay(titles, scores)["layout"], "runs": traces}
