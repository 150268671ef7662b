"""Pages generated from the package when the documentation is built, so that they can't get out of date."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from efficient360.core.measurement import Metric
from efficient360.dimensions.dimension import ANCHORS_VERSION, Anchor, Dimension
from efficient360.plugins.registry import dimensions, evaluators
from efficient360.reports.names import conditions, title

MARKS = {"dimensions.md": "<!-- dimensions -->", "evaluators.md": "<!-- evaluators -->"}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace a page's mark by the generated part."""
    where = page.file.src_uri
    if where not in MARKS:
        return markdown
    if MARKS[where] not in markdown:
        raise ValueError(f"{where} has lost its mark {MARKS[where]}")
    drawn = dimensions_text(dimensions()) if where == "dimensions.md" else evaluators_text([entry.load() for entry in evaluators().values()])
    return markdown.replace(MARKS[where], drawn)


def dimensions_text(axes: Sequence[Dimension]) -> str:
    """Every dimension with its question, caveat and anchors."""
    return "\n".join([f"Anchors: **{ANCHORS_VERSION}**.", "", *(line for dimension in axes for line in _dimension(dimension))])


def _dimension(dimension: Dimension) -> list[str]:
    lines = [f"## {dimension.title}", "", f"*{dimension.question}*", ""]
    if not dimension.anchors:
        return [*lines, "No evaluator measures this yet: the axis is drawn as a gap.", ""]
    lines += ["| Metric | Evaluator | Score 0 at | Score 1 at | Scale | Source of the anchors |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [_anchor(anchor) for anchor in dimension.anchors]
    return [*lines, "", *([f"Limits of the score: {dimension.caveat}", ""] if dimension.caveat else [])]


def _anchor(anchor: Anchor) -> str:
    under = conditions(anchor.conditions)
    metric = f"{title(anchor.metric)} (`{anchor.metric}`)" + (f", {cell(under)}" if under else "")
    return f"| {metric} | `{anchor.evaluator}` | {anchor.zero:g} | {anchor.one:g} | {anchor.scale} | {cell(anchor.source)} |"


def evaluators_text(classes: Sequence[Any]) -> str:
    """Every evaluator with its needs, settings and metrics."""
    return "\n".join(line for cls in classes for line in _evaluator(cls))


def _evaluator(cls: Any) -> list[str]:
    needs = ", ".join(sorted(cls.needs)) or "only the model"
    settings = ", ".join(f"`{field.name}`" for field in dataclasses.fields(cls)) or "none"
    summary = " ".join((cls.__doc__ or "").partition("\n\n")[0].split())
    lines = [f"## `{cls.name}`", "", summary, "", f"Version {cls.version}. Needs: {needs}. Settings: {settings}.", ""]
    lines += ["| Metric | Unit | Better | Description | Source |", "| --- | --- | --- | --- | --- |"]
    return [*lines, *(_metric(metric) for metric in cls.metrics), ""]


def _metric(metric: Metric) -> str:
    return f"| `{metric.name}` | {metric.unit} | {metric.better} | *{title(metric.name)}.* {cell(metric.description)} | {cell(metric.source)} |"


def cell(text: str) -> str:
    """Text that can stand in a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())


def on_page_content(html: str, **_: Any) -> str:
    """Docstrings mark names with Sphinx roles, which Markdown would show."""
    return re.sub(r":(?:class|func|meth|data|mod|attr):(?=<code>)", "", html)
