"""The figures of runs as files, by name: ``radar.svg``, ``card.png``, ``reliability-diagram.pdf``."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from efficient360.core.close_names import close_names
from efficient360.core.figures import Bars, Curve, Heatmap
from efficient360.core.measurement import Measurement
from efficient360.errors import SettingsError
from efficient360.reports.drawing import files
from efficient360.reports.drawing.figure import Drawn, draw
from efficient360.reports.drawing.marks import Drawing
from efficient360.reports.drawing.radar import RadarRun, overlay, radar
from efficient360.reports.report import Report

RADAR: Final = "radar"


def figures(report: Report) -> Mapping[str, Drawn]:
    """The drawn figures of a run by their names in files: titles in lower case with hyphens, numbered where two are alike."""
    found: dict[str, Drawn] = {}
    for record in report.records:
        extra = record.outcome.extra if isinstance(record.outcome, Measurement) else ()
        for figure in extra:
            if isinstance(figure, Curve | Bars | Heatmap) and figure not in found.values():
                base = file_name(figure.title)
                name = next(n for n in (base, *(f"{base}-{i}" for i in range(2, len(found) + 3))) if n not in found and n != RADAR)
                found[name] = figure
    return found


def file_name(title: str) -> str:
    """A title as a file's name: ``reliability-diagram``."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower().replace("ε", "epsilon")).strip("-") or "figure"


def drawing(reports: Sequence[tuple[str, Report]], name: str) -> Drawing:
    """A figure by name.

    Args:
        reports: Name and report of each run, at least one. Several are laid over one another on the radar; every other figure is of a single run.
        name: ``radar``, or one of :func:`figures`.

    Raises:
        SettingsError: No such figure (``no-such-figure``), or several runs for a figure of one (``one-run-at-a-time``).
    """
    if name == RADAR:
        runs = [RadarRun(title, report.axes) for title, report in reports]
        return radar(runs[0]) if len(runs) == 1 else overlay(runs)
    if len(reports) > 1 and not any(name in figures(report) for _, report in reports):
        raise SettingsError("no-such-figure", f"there is no figure called {name!r}", f"did you mean {RADAR}? It lays {len(reports)} runs over one another")
    if len(reports) > 1:
        raise SettingsError(
            "one-run-at-a-time",
            f"{name} is a figure of one run, and {len(reports)} were given",
            "give one run, or take radar, which lays several over one another",
        )
    drawn = figures(reports[0][1])
    if name not in drawn:
        raise SettingsError("no-such-figure", f"this run has no figure called {name!r}", _offer(name, [RADAR, *drawn]))
    return draw(drawn[name])


def _offer(name: str, names: Sequence[str]) -> str:
    near = close_names(name, names)
    return f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(names)}"


def write(reports: Sequence[tuple[str, Report]], path: Path) -> Path:
    """Write the figure that ``path``'s name asks for, in the format of its suffix: ``out/radar.pdf``.

    Args:
        reports: Name and report of each run, at least one.
        path: ``radar.svg``, ``radar.pdf``, ``accuracy-by-class.png`` …

    Raises:
        SettingsError: No such figure or format.
        RunError: The file can't be written.
    """
    return files.save(drawing(reports, path.stem), path)
