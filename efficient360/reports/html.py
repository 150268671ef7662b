"""The report as one self-contained HTML page: it makes no requests, and all text from checkpoints and data sets is escaped."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from efficient360.core import formatting
from efficient360.core.figures import Bars, Curve, Figure, Heatmap
from efficient360.core.measurement import Status
from efficient360.dimensions.dimension import ANCHORS_VERSION
from efficient360.reports import page, sections
from efficient360.reports.drawing.figure import draw
from efficient360.reports.drawing.radar import NARROW, RadarRun, radar
from efficient360.reports.drawing.svg import inline
from efficient360.reports.radar import missing
from efficient360.reports.report import Report, SummaryMetric
from efficient360.reports.text_tables import LATEX
from efficient360.reports.theme import LIGHT
from efficient360.reports.verdict import verdict

PACKAGE = "efficient360.reports"
CARD = "card.png"
"""The share card beside the page."""
STATUSES = {Status.FAILED: "failed", Status.UNSUPPORTED: "not applicable", Status.NOT_RUN: "not run"}
Drawn = tuple[Figure, Markup | None]
"""A figure with its SVG, ``None`` for figures drawn as plain HTML."""


def render(report: Report) -> str:
    """``report`` as HTML of about half a MB, its figures drawn in it: all of it can be read without scripts."""
    shown = sections.sections(report)
    drawings = [[drawn(figure) for figure in section.figures] for section in shown]
    run = RadarRun(str(report.checkpoint.get("name", "")), report.axes)
    scripts = (page.script(PACKAGE, "copy.js"), page.script(PACKAGE, "report.js"))
    return (
        page.environment(PACKAGE)
        .get_template("report.html.j2")
        .render(
            report=report,
            headlines=sections.headlines(report),
            sections=list(zip(shown, drawings, strict=True)),
            unmeasured=[(axis, sections.reasons(axis)) for axis in sections.unmeasured(report)],
            failures=sections.missing_metrics(report.records),
            facts=facts(report),
            missing=missing,
            no_score=sections.no_score,
            statuses=STATUSES,
            number=formatting.number,
            at=at,
            provenance=[(title, page.rows(part)) for title, part in provenance(report)],
            anchors_version=ANCHORS_VERSION,
            verdict=verdict(report),
            card=CARD,
            radars=[Markup(inline(radar(run), "drawing wide")), Markup(inline(radar(run, NARROW), "drawing narrow"))],
            export={"name": run.name, "light": LIGHT, "latex": LATEX},
            scripts=scripts,
            policy=page.policy(*scripts),
        )
    )


def drawn(figure: Figure) -> Drawn:
    """A figure with its SVG in the page's colours."""
    return figure, Markup(inline(draw(figure))) if isinstance(figure, Curve | Bars | Heatmap) else None


def at(part: SummaryMetric, value: float) -> str:
    """An anchor's value, in the metric's unit where it was measured."""
    if part.measurement is not None:
        return formatting.number(value, part.measurement.metric)
    return formatting.scaled(value, "") if abs(value) >= 1e4 else formatting.significant(value)


def facts(report: Report) -> list[str]:
    """The line under the name: architecture, data, protocol, date."""
    parts = [str(report.checkpoint.get("architecture", ""))]
    if report.dataset is not None:
        parts += [data(report.dataset), files(report.dataset)]
    protocol = report.protocol.get("name")
    parts.append(f"{protocol} protocol" if protocol else "")
    parts.append(report.created[:10])
    return [fact for fact in parts if fact]


def data(dataset: Mapping[str, Any]) -> str:
    """A data set in one line: ``digits test, 897 examples``; ``200 of 897 examples`` for a subset; classes that the checkpoint does not know."""
    name = " ".join(str(dataset[key]) for key in ("name", "split") if dataset.get(key))
    taken, available = dataset.get("examples"), dataset.get("available")
    if not isinstance(taken, int):
        return name
    total = f" of {formatting.count(available)}" if isinstance(available, int) and available != taken else ""
    unseen = [str(c) for c in dataset.get("unseen") or ()]
    without = f", without {len(unseen)} classes that the checkpoint does not know ({', '.join(unseen[:5])}{' …' if len(unseen) > 5 else ''})" if unseen else ""
    return f"{name}, {formatting.count(taken)}{total} examples{without}"


def files(dataset: Mapping[str, Any]) -> str:
    """What an image folder holds in one line: ``200 images in 10 class folders, 20 each; left out: 3 hidden``; empty for other sources."""
    found = dataset.get("files")
    if not isinstance(found, Mapping) or not isinstance(found.get("images"), int):
        return ""
    per_class, left_out = found.get("images per class"), found.get("left out")
    counts = [n for n in per_class.values() if isinstance(n, int)] if isinstance(per_class, Mapping) else []
    spread = f", {formatting.count(min(counts))}{'' if min(counts) == max(counts) else f' to {formatting.count(max(counts))}'} each" if counts else ""
    skipped = left_out.items() if isinstance(left_out, Mapping) else ()
    parts = [f"{entry['files']} {reason}" for reason, entry in skipped if isinstance(entry, Mapping) and "files" in entry]
    parts += [f"{found['beside the splits']} beside the splits"] if found.get("beside the splits") else []
    without = f"; left out: {', '.join(parts)}" if parts else ""
    return f"{formatting.count(found['images'])} images in {found.get('classes')} class folders{spread}{without}"


def provenance(report: Report) -> list[tuple[str, Any]]:
    """Everything that the numbers depend on, by heading."""
    run = {"state": report.state, "created": report.created, "updated": report.updated, "command": report.command}
    parts = [("Run", run), ("Checkpoint", report.checkpoint), ("Data set", report.dataset), ("Protocol", report.protocol), ("Environment", report.environment)]
    return [(title, part) for title, part in parts if part]
