"""The report as one self-contained HTML page: no request leaves it, and whatever came from a checkpoint or a data set is escaped."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from efficient360.core import formatting
from efficient360.core.figures import Bars, Curve, Figure, Heatmap
from efficient360.core.measurement import Status
from efficient360.dimensions.dimension import ANCHORS_VERSION
from efficient360.reports import page, sections
from efficient360.reports.charts import chart
from efficient360.reports.radar import missing, radar
from efficient360.reports.report import Part, Report

PACKAGE = "efficient360.reports"
STATUSES = {Status.FAILED: "failed", Status.UNSUPPORTED: "not possible", Status.NOT_RUN: "not run"}
DIGITS_OF_DIGEST = 12

Drawing = tuple[Figure, str | None]
"""A figure with the id of its chart, ``None`` for what HTML itself can draw."""


def render(report: Report) -> str:
    """``report`` as a page of about 5 MB, nearly all of it plotly.js."""
    ids = (f"chart-{i}" for i in count(1))
    shown = sections.sections(report)
    drawings: list[Sequence[Drawing]] = [[(f, next(ids) if isinstance(f, Curve | Bars | Heatmap) else None) for f in s.figures] for s in shown]
    charts: dict[str, Any] = {"radar": radar(report.axes)}
    charts |= {name: chart(f) for drawn in drawings for f, name in drawn if name is not None and isinstance(f, Curve | Bars | Heatmap)}
    scripts = (page.plotly_script(), page.script(PACKAGE, "draw.js"), page.script(PACKAGE, "report.js"))
    return (
        page.environment(PACKAGE)
        .get_template("report.html.j2")
        .render(
            report=report,
            headlines=sections.headlines(report),
            sections=list(zip(shown, drawings, strict=True)),
            unmeasured=[(axis, sections.reasons(axis)) for axis in sections.unmeasured(report)],
            failures=sections.gaps(report.records),
            facts=facts(report),
            missing=missing,
            statuses=STATUSES,
            number=formatting.number,
            at=at,
            provenance=[(title, page.rows(part)) for title, part in provenance(report)],
            anchors_version=ANCHORS_VERSION,
            charts=charts,
            scripts=scripts,
            policy=page.policy(*scripts),
        )
    )


def at(part: Part, value: float) -> str:
    """An anchor's value, in the metric's unit where a measurement tells it."""
    if part.measurement is not None:
        return formatting.number(value, part.measurement.metric)
    return formatting.scaled(value, "") if abs(value) >= 1e4 else formatting.significant(value)


def facts(report: Report) -> list[str]:
    """The line under the name: architecture, data, protocol, date."""
    said = [str(report.checkpoint.get("architecture", ""))]
    if report.dataset is not None:
        said.append(data(report.dataset))
    protocol = report.protocol.get("name")
    said.append(f"{protocol} protocol" if protocol else "")
    said.append(report.created[:10])
    return [fact for fact in said if fact]


def data(dataset: Mapping[str, Any]) -> str:
    """A data set in words: ``digits test, 897 examples``; ``200 of 897 examples`` where only some were taken; what the checkpoint does not know."""
    name = " ".join(str(dataset[key]) for key in ("name", "split") if dataset.get(key))
    taken, available = dataset.get("examples"), dataset.get("available")
    if not isinstance(taken, int):
        return name
    of = f" of {formatting.count(available)}" if isinstance(available, int) and available != taken else ""
    unseen = [str(c) for c in dataset.get("unseen") or ()]
    without = f", without {len(unseen)} classes that the checkpoint does not know ({', '.join(unseen[:5])}{' …' if len(unseen) > 5 else ''})" if unseen else ""
    return f"{name}, {formatting.count(taken)}{of} examples{without}"


def provenance(report: Report) -> list[tuple[str, Any]]:
    """Everything that the numbers depend on, under heads."""
    run = {"state": report.state, "created": report.created, "updated": report.updated, "command": report.command}
    parts = [("Run", run), ("Checkpoint", report.checkpoint), ("Data set", report.dataset), ("Protocol", report.protocol), ("Environment", report.environment)]
    return [(title, part) for title, part in parts if part]
