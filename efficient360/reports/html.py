"""The report as one self-contained HTML page: it makes no requests, and all text from checkpoints and data sets is escaped."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, final
from urllib.parse import quote

from markupsafe import Markup

from efficient360.core import formatting
from efficient360.core.measurement import Status
from efficient360.dimensions.dimension import ANCHORS_VERSION
from efficient360.reports import page, sections
from efficient360.reports.alerts import Alert, Kind, notes, warnings
from efficient360.reports.axis_page import axis_page
from efficient360.reports.axis_scores import anchor_value, axis_scores
from efficient360.reports.drawing.figure import Drawn, draw
from efficient360.reports.drawing.radar import NARROW, WIDE, RadarRun, radar
from efficient360.reports.drawing.svg import inline
from efficient360.reports.report import Report, SummaryMetric
from efficient360.reports.score_interval import score_interval
from efficient360.reports.text_tables import LATEX
from efficient360.reports.theme import LIGHT
from efficient360.reports.verdict import verdict

PACKAGE = "efficient360.reports"
CARD = "card.png"
"""The share card beside the page."""
STATUSES = {Status.FAILED: "failed", Status.UNSUPPORTED: "not applicable", Status.NOT_RUN: "not run"}


def render(report: Report, comparisons: Mapping[str, str] = MappingProxyType({})) -> str:
    """``report`` as HTML, its charts drawn in it: all of it can be read without scripts.

    Args:
        report: The report.
        comparisons: Names of the files beside the page that compare this run with others, by title.
    """
    said = verdict(report)
    scores = {score.axis.dimension.name: score for score in axis_scores(report)}
    shown = sections.sections(report)
    places = Places(frozenset(section.axis.dimension.name for section in shown if section.axis), any(section.axis is None for section in shown), report)
    run = RadarRun(report.name, report.axes)
    scripts = (page.script(PACKAGE, "copy.js"), page.script(PACKAGE, "report.js"))
    return (
        page.environment(PACKAGE)
        .get_template("report.html.j2")
        .render(
            report=report,
            verdict=said,
            warnings=warnings(said.alerts),
            notes=notes(said.alerts),
            scores=list(scores.values()),
            radars=[Markup(inline(radar(run, size), css)) for size, css in ((WIDE, "drawing wide"), (NARROW, "drawing narrow"))],
            marked=any(axis.bound is not None for axis in report.axes),
            sections=[axis_page(section, scores[section.axis.dimension.name] if section.axis else None, said.alerts) for section in shown],
            places=places,
            unmeasured=[scores[axis.dimension.name] for axis in sections.unmeasured(report)],
            missing=sections.missing_groups(report.records),
            facts=facts(report),
            statuses=STATUSES,
            number=formatting.number,
            at=at,
            svg=svg,
            interval=score_interval,
            provenance=[(title, page.rows(part)) for title, part in provenance(report)],
            anchors_version=ANCHORS_VERSION,
            card=CARD,
            comparisons=[(title, quote(file)) for title, file in comparisons.items()],
            export={"name": run.name, "light": LIGHT, "latex": LATEX},
            scripts=scripts,
            policy=page.policy(*scripts),
        )
    )


def svg(figure: Drawn) -> Markup:
    """A chart as an SVG element in which all text is escaped."""
    return Markup(inline(draw(figure)))


@final
@dataclass(frozen=True)
class Places:
    """Where things stand on the page.

    Args:
        axes: Names of the axes that have a section.
        others: Whether there is a section of metrics that belong to no dimension.
        report: The report.
    """

    axes: frozenset[str]
    others: bool
    report: Report

    def of_axis(self, name: str) -> str:
        """Address of an axis on the page."""
        return f"#{name}" if name in self.axes else "#unmeasured"

    def of_alert(self, alert: Alert) -> tuple[str, str]:
        """Address and title of the place that an alert is about."""
        if alert.axis:
            return self.of_axis(alert.axis), next(a.dimension.title for a in self.report.axes if a.dimension.name == alert.axis)
        if alert.kind in (Kind.INCOMPLETE, Kind.FAILED):
            return "#missing", "Missing metrics"
        run_wide = any(finding.code == alert.code for finding in self.report.findings)
        return ("#provenance", "Provenance") if run_wide or not self.others else ("#more", "Other metrics")


def at(part: SummaryMetric, value: float) -> str:
    """An anchor's value, in the metric's unit where it was measured."""
    return anchor_value(value, part.measurement.metric if part.measurement is not None else None)


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
