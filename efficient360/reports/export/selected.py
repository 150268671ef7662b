"""Which outcomes of some runs an export holds: all, those of an axis, of a metric, or the ones that the axes score."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from efficient360.core.close_names import did_you_mean
from efficient360.core.outcome import Record
from efficient360.errors import SettingsError
from efficient360.reports.axis_scores import axis_of
from efficient360.reports.report import Report, summary_record

CODE: Final = "bad-option"


class Content(StrEnum):
    """What a table holds."""

    SCORES = "scores"
    """The score of each axis."""
    SUMMARY = "summary"
    """The summary metrics of each axis."""
    METRICS = "metrics"
    """Every metric under all conditions."""


@final
@dataclass(frozen=True)
class Exported:
    """Runs to be exported.

    Args:
        names: What each run is called; no two are alike.
        reports: Their reports.
        axis: Name of the axis that it is about; ``""`` for all.
        metric: Name of the metric; ``""`` for all.
        content: What it holds.
    """

    names: Sequence[str]
    reports: Sequence[Report]
    axis: str = ""
    metric: str = ""
    content: Content = Content.METRICS

    def axes(self) -> list[str]:
        """Names of the axes that it is about, in radar order."""
        return [axis.dimension.name for axis in self.reports[0].axes if self.axis in ("", axis.dimension.name)]

    def records(self, report: Report) -> list[Record]:
        """The outcomes of one of its reports, in the report's order; those of ``summary`` in the order of the axes."""
        if self.content is Content.SUMMARY:
            anchors = [part.anchor for axis in report.axes for part in axis.parts if self.axis in ("", axis.dimension.name)]
            found = [pair[0] for anchor in anchors if (pair := summary_record(anchor, report.records)) is not None]
        else:
            found = [r for r in report.records if self.axis in ("", axis_of(report, r))]
        return [r for r in found if not self.metric or (r.metric is not None and r.metric.name == self.metric)]


def exported(named: Sequence[tuple[str, str, Report]], axis: str = "", metric: str = "", content: Content | None = None) -> Exported:
    """Runs to be exported.

    Args:
        named: Name of the checkpoint, folder and report of each run, at least one.
        axis: Name of an axis.
        metric: Name of a metric.
        content: What it holds; by default every metric where an axis or a metric is named, else the summary metrics.

    Raises:
        SettingsError: There is no such axis (``unknown-dimension``) or metric (``unknown-metric``), or it is none of the axis's (``unknown-metric``).
    """
    reports = [report for _, _, report in named]
    axes = [a.dimension.name for a in reports[0].axes]
    if axis and axis not in axes:
        raise SettingsError("unknown-dimension", f"there is no axis called {axis!r}", did_you_mean(axis, axes))
    metrics = list(dict.fromkeys(r.metric.name for report in reports for r in report.records if r.metric is not None))
    if metric and metric not in metrics:
        raise SettingsError("unknown-metric", f"no run has a metric called {metric!r}", did_you_mean(metric, metrics))
    if axis and metric and axis not in (homes := _axes_with(metric, reports)):
        raise SettingsError("unknown-metric", f"the axis {axis} has no metric called {metric!r}", f"it belongs to {', '.join(homes) or 'no axis'}")
    chosen = content or (Content.METRICS if axis or metric else Content.SUMMARY)
    return Exported(_distinct([(name, folder) for name, folder, _ in named]), reports, axis, metric, chosen)


def _axes_with(metric: str, reports: Sequence[Report]) -> list[str]:
    """Names of the axes that a metric stands under."""
    return sorted({axis_of(report, r) or "" for report in reports for r in report.records if r.metric is not None and r.metric.name == metric} - {""})


def _distinct(named: Sequence[tuple[str, str]]) -> list[str]:
    """The checkpoints' names; with their folders where two are alike, numbered where those are, too."""
    names = [name for name, _ in named]
    told = [name if names.count(name) == 1 else f"{name} ({folder})" for name, folder in named]
    return [name if told.count(name) == 1 else f"{name} #{told[: i + 1].count(name)}" for i, name in enumerate(told)]
