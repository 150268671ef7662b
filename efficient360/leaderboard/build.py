"""Many runs on one static page: a sortable table for each data set and a radar of the chosen models."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from efficient360.dimensions.dimension import ANCHORS_VERSION
from efficient360.errors import RunError
from efficient360.leaderboard.board import Board, Entry, Run, best_first, boards
from efficient360.reports import page
from efficient360.reports.charts import escape
from efficient360.reports.html import facts
from efficient360.reports.radar import hover, outline, overlay
from efficient360.reports.theme import LIGHT, SERIES

PACKAGE = "efficient360.leaderboard"
CHOSEN_AT_FIRST = 3


def build(reports: Sequence[Run], out: Path) -> Path:
    """Write ``index.html``, ``plotly.min.js`` and ``leaderboard.json`` into ``out``.

    Args:
        reports: Folder and report of each run. Runs over different data (by digest) get tables of their own.
        out: Folder to write; made when missing.

    Returns:
        The page.

    Raises:
        RunError: No runs were given (``no-runs``), or ``out`` can't be written (``unwritable-folder``).
    """
    if not reports:
        raise RunError("no-runs", "a leaderboard needs at least one run, none was given", "name the folders of runs: efficient360 leaderboard build runs/*")
    found = boards(reports, out)
    written = {
        "index.html": render(found),
        "plotly.min.js": page.plotly_script(),
        "leaderboard.json": json.dumps(plain(found), ensure_ascii=False, allow_nan=False, indent=1),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in written.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError("unwritable-folder", f"{out} can't be written: {error.strerror}", "choose another folder with --out") from error
    return out / "index.html"


def render(found: Sequence[Board]) -> str:
    """The page over ``found``; plotly.js is loaded from beside it."""
    scripts = (page.script("efficient360.reports", "draw.js"), page.script(PACKAGE, "board.js"))
    return (
        page.environment(PACKAGE)
        .get_template("index.html.j2")
        .render(
            boards=found,
            facts=facts,
            best_first=best_first,
            charts=[_charts(board) for board in found],
            series=[[role, LIGHT[role]] for role in SERIES],
            chosen_at_first=CHOSEN_AT_FIRST,
            anchors_version=ANCHORS_VERSION,
            scripts=scripts,
            policy=page.policy(*scripts).replace("script-src ", "script-src 'self' "),
        )
    )


def plain(found: Sequence[Board]) -> dict[str, Any]:
    """The page's numbers as JSON data for other programs."""
    return {"schema_version": 1, "anchors_version": ANCHORS_VERSION, "boards": [_plain_board(board) for board in found]}


def _plain_board(board: Board) -> dict[str, Any]:
    columns = [
        {"key": c.key, "title": c.title, "unit": c.metric.unit, "better": c.metric.better.value, "dimension": c.dimension, "description": c.metric.description}
        for c in board.columns
    ]
    return {"dataset": board.title, "digest": board.digest, "columns": columns, "runs": [_plain_entry(entry) for entry in board.entries]}


def _plain_entry(entry: Entry) -> dict[str, Any]:
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
        "scores": {axis.dimension.name: axis.score for axis in entry.report.axes},
    }


def _charts(board: Board) -> dict[str, Any]:
    """The overlay's layout, and each run's traces in the accent colour for the page to lay over it."""
    titles = list(dict.fromkeys(axis.dimension.title for entry in board.entries for axis in entry.report.axes))
    traces, scores = {}, []
    for entry in board.entries:
        axes = {axis.dimension.title: axis for axis in entry.report.axes}
        name = escape(str(entry.report.checkpoint.get("name", "")))
        texts = [f"{name}<br>{hover(axes[title])}" if title in axes else "" for title in titles]
        scores.append((name, [axes[title].score if title in axes else None for title in titles]))
        traces[entry.id] = outline(scores[-1][1], texts, name, 0)
    return {"layout": overlay(titles, scores)["layout"], "runs": traces}
