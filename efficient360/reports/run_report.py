"""A finished run for notebooks: metrics by name, axes by name, a data frame, a radar, the HTML page."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, final

from efficient360.core.close_names import did_you_mean
from efficient360.core.findings import Finding
from efficient360.core.measurement import Conditions, Failure, Measurement
from efficient360.core.outcome import Record
from efficient360.errors import MetricError, SettingsError
from efficient360.reports import figure_files
from efficient360.reports import radar as radar_chart
from efficient360.reports.alerts import warnings
from efficient360.reports.card import save_card
from efficient360.reports.drawing.svg import standalone
from efficient360.reports.export.data_rows import as_csv, outcome_row
from efficient360.reports.export.reading_tables import names_once, reading_table
from efficient360.reports.export.selected import Content, Exported, exported
from efficient360.reports.folder import PAGE, save
from efficient360.reports.html import data, facts
from efficient360.reports.report import Axis, Report
from efficient360.reports.sections import headline, no_score
from efficient360.reports.text_tables import to_latex, to_markdown
from efficient360.reports.theme import LIGHT
from efficient360.reports.verdict import Verdict, verdict
from efficient360.storage.outcomes import OUTCOMES
from efficient360.storage.per_example import EXAMPLES

Key = str | tuple[str, Conditions]


@final
@dataclass(frozen=True, repr=False)
class RunReport:
    """The result of :func:`efficient360.evaluate` and :func:`efficient360.load_report`.

    ``report["top1"]`` is the :class:`~efficient360.Measurement` of a metric, ``report["robust_accuracy", {"epsilon": "4/255"}]`` the one under given
    conditions.

    Args:
        report: The run as plain data.
        folder: The run's folder.
    """

    report: Report
    folder: Path

    def __getitem__(self, key: Key) -> Measurement:
        """The measurement of a metric; give conditions where it was measured under several.

        Raises:
            MetricError: No such metric, no value (with the reason), or several values.
        """
        name, wanted = key if isinstance(key, tuple) else (key, {})
        outcomes = [r.outcome for r in self.report.records if r.metric is not None and r.metric.name == name]
        matching = [o for o in outcomes if wanted.items() <= o.conditions.items()]
        values = [o for o in matching if isinstance(o, Measurement)]
        exact = [m for m in values if dict(m.conditions) == dict(wanted)]
        if len(values) == 1 or len(exact) == 1:
            return values[0] if len(values) == 1 else exact[0]
        raise self._no_single_value(name, wanted, outcomes, matching, values)

    def __contains__(self, name: object) -> bool:
        """Whether a metric was measured, under any conditions."""
        return any(m.metric.name == name for m in self.measurements)

    @property
    def measurements(self) -> Sequence[Measurement]:
        """Every measurement of the run."""
        return [r.outcome for r in self.report.records if isinstance(r.outcome, Measurement)]

    @property
    def failures(self) -> Sequence[Record]:
        """Missing metrics: records whose outcome is a :class:`~efficient360.Failure` with its reason."""
        return self.report.failures

    @property
    def findings(self) -> Sequence[Finding]:
        """Reasons to trust the run less: of the data, the classes, the preprocessing and the predictions; the worst first."""
        return self.report.findings

    @property
    def axes(self) -> Mapping[str, Axis]:
        """The dimensions by name, in radar order; ``axes["privacy"].score`` is in [0, 1], or ``None`` where a summary metric is missing."""
        return {axis.dimension.name: axis for axis in self.report.axes}

    @property
    def verdict(self) -> Verdict:
        """What the run comes to: ``verdict.text`` is two sentences, ``verdict.alerts`` what to know before relying on a number, the severest first."""
        return verdict(self.report)

    @property
    def checkpoint(self) -> Mapping[str, Any]:
        """Name, architecture, digest and preprocessing of the evaluated checkpoint."""
        return self.report.checkpoint

    @property
    def dataset(self) -> Mapping[str, Any] | None:
        """Name, split, size and digest of the evaluation data."""
        return self.report.dataset

    def to_frame(self) -> Any:
        """Every outcome as a row of a ``pandas.DataFrame``.

        Columns: ``evaluator``, ``metric``, ``value``, ``low``, ``high`` (the interval), ``n``, ``unit``, ``better``, ``interval_method``, ``interval_level``
        (0.95; missing for a range, which is no confidence interval), ``interval_conditional_on`` (what a rerun would vary and the interval holds fixed),
        ``status`` (``measured``, ``void``, ``failed``, ``unsupported`` or ``not-run``), ``reason``, ``conditions`` (a dict), and one column for each condition.
        """
        import pandas as pd

        frame = pd.DataFrame([outcome_row(record) for record in self.report.records])
        conditions = pd.DataFrame([dict(record.outcome.conditions) for record in self.report.records], index=frame.index)
        return pd.concat([frame, conditions.rename(columns={c: f"condition_{c}" for c in conditions if c in frame})], axis=1)

    def to_latex(self, *others: "RunReport", axis: str = "", metric: str = "", content: str = "", intervals: bool = True, label: str = "") -> str:
        """A table for a paper: a ``table`` environment with ``booktabs`` rules, this run and others as columns.

        Args:
            others: Further runs.
            axis: Name of an axis, for all of its metrics.
            metric: Name of a metric, for all of its values.
            content: ``scores`` (of the axes), ``summary`` (metrics) or ``metrics`` (all of them); by default ``metrics`` where an axis or a metric is named,
                else ``summary``.
            intervals: Whether values have their 95 % intervals behind them.
            label: What a reference calls it.

        Raises:
            SettingsError: No such axis (``unknown-dimension``), metric (``unknown-metric``) or content (``bad-option``).
        """
        return to_latex(names_once(reading_table(self._exported(others, axis, metric, content), intervals)), label)

    def to_markdown(self, *others: "RunReport", axis: str = "", metric: str = "", content: str = "", intervals: bool = True) -> str:
        """The same table as GitHub-flavoured Markdown; see :meth:`to_latex`."""
        return to_markdown(reading_table(self._exported(others, axis, metric, content), intervals))

    def to_csv(self, *others: "RunReport", axis: str = "", metric: str = "", content: str = "metrics") -> str:
        """Outcomes as CSV, numbers in full, a row an outcome and run; see :meth:`to_latex` for the arguments."""
        return as_csv(self._exported(others, axis, metric, content))

    def _exported(self, others: Sequence["RunReport"], axis: str, metric: str, content: str) -> Exported:
        if content not in ("", *Content):
            raise SettingsError("bad-option", f"content is {content!r}", f"give {', '.join(Content)}")
        named = [(one.report.name, str(one.folder), one.report) for one in (self, *others)]
        return exported(named, axis, metric, Content(content) if content else None)

    def radar(self) -> Any:
        """The radar of all axes as a ``plotly.graph_objects.Figure``."""
        import plotly.graph_objects as go

        return go.Figure(radar_chart.radar(self.report.axes))

    def save_figure(self, path: str | Path) -> Path:
        """Write one figure in the format of its suffix: ``radar.svg``, ``radar.pdf``, ``radar.png``, ``reliability-diagram.pdf``.

        A figure's name is its title in lower case with hyphens. PDF is vector, PNG has two pixels for one px.

        Returns:
            The path.

        Raises:
            SettingsError: No such figure (``no-such-figure``) or format (``unknown-format``).
            RunError: The file can't be written.
        """
        return figure_files.write([(self.report.name, self.report)], Path(path))

    def save(self, folder: str | Path) -> Path:
        """Write the run to a folder: ``report.json``, ``report.html``, ``card.png``, stored outcomes and per-example values.

        Returns:
            Path of ``report.html``.
        """
        target = Path(folder)
        save(self.report, target)
        save_card(self.report, target)
        for name in (OUTCOMES, EXAMPLES):
            source = self.folder / name
            if source.is_file() and source.resolve() != (target / name).resolve():
                shutil.copyfile(source, target / name)
        return target / PAGE

    def __repr__(self) -> str:
        """One line: checkpoint, data, first headline metric, numbers of scored axes, measurements and missing metrics."""
        where = f" on {data(self.report.dataset)}" if self.report.dataset is not None else ""
        top = next((h for h in map(headline, self.report.axes) if h is not None), None)
        first = f"{top.title} {top.value}, " if top else ""
        scored = sum(axis.score is not None for axis in self.report.axes)
        missing = f", {len(self.failures)} missing" if self.failures else ""
        return f"<RunReport {self.report.name}{where}: {first}{scored} of {len(self.report.axes)} axes scored, {len(self.measurements)} measurements{missing}>"

    def _repr_html_(self) -> str:
        """The verdict, the alerts, the radar and one line per axis as HTML without scripts. Text from checkpoints and data is escaped."""
        rows = "".join(_axis_row(axis) for axis in self.report.axes)
        name = escape(self.report.name)
        about = escape(" · ".join(facts(self.report)))
        style = f"color:{LIGHT['ink']};background:{LIGHT['paper']};padding:12px;font:14px system-ui,sans-serif;max-width:960px"
        said = self.verdict
        headed = [(": ".join(filter(None, (a.severity, a.about))), a) for a in warnings(said.alerts)]
        found = "".join(f"<li><strong>{head}</strong> {escape(a.message)}{f' → {escape(a.advice)}' if a.advice else ''}</li>" for head, a in headed)
        warned = f'<ul style="color:{LIGHT["ink"]};padding-left:1.2em">{found}</ul>' if found else ""
        page = f"<p style='color:{LIGHT['muted']};margin:8px 0 0'>{escape(str(self.folder / PAGE))}</p>"
        return (
            f'<div style="{style}"><strong style="font-size:16px">{name}</strong><div style="color:{LIGHT["muted"]}">{about}</div>'
            f"<p style='margin:8px 0'>{escape(said.text)}</p>{warned}{standalone(figure_files.drawing([(self.report.name, self.report)], figure_files.RADAR))}"
            f'<table style="border-collapse:collapse"><thead><tr>{_cells(("axis", "score", "summary metric", "value", "95 % interval"), "th")}</tr></thead>'
            f"<tbody>{rows}</tbody></table>{page}</div>"
        )

    def _no_single_value(
        self, name: str, wanted: Conditions, outcomes: Sequence[Measurement | Failure], matching: Sequence[Measurement | Failure], values: Sequence[Measurement]
    ) -> MetricError:
        under = f" under {', '.join(f'{key}={value}' for key, value in wanted.items())}" if wanted else ""
        if values:
            choices = "; ".join(f"{key}: {', '.join(map(str, options))}" for key, options in _choices(values))
            return MetricError("several-values", f"{name}{under} has {len(values)} values under different conditions", f"choose by {choices}")
        failure = next((o for o in matching if isinstance(o, Failure)), None)
        if failure is not None:
            return MetricError("no-value", f"{name}{under} has no value: {failure.message}", failure.hint)
        if outcomes:
            choices = "; ".join(f"{key}: {', '.join(map(str, options))}" for key, options in _choices(outcomes))
            return MetricError("no-such-conditions", f"{name} was not measured{under}", f"it was measured under {choices or 'no conditions'}")
        metrics = list(dict.fromkeys(m.metric.name for m in self.measurements))
        return MetricError(
            "no-such-metric", f"this run has no metric called {name!r}", did_you_mean(name, metrics, f"it has {len(metrics)} metrics: report.to_frame()")
        )


def _choices(outcomes: Sequence[Measurement | Failure]) -> Iterator[tuple[str, list[str | int | float]]]:
    """The conditions in which outcomes differ, with their values."""
    keys = dict.fromkeys(key for o in outcomes for key in o.conditions)
    for key in keys:
        options = list(dict.fromkeys(o.conditions.get(key, "–") for o in outcomes))
        if len(options) > 1:
            yield key, options


def _axis_row(axis: Axis) -> str:
    top = headline(axis)
    score = axis.score_text or "–"
    values = (top.title, top.value, top.interval) if top else (no_score(axis) if axis.parts else "not measured", "", "")
    return f"<tr>{_cells((axis.dimension.title, score, *values), 'td')}</tr>"


def _cells(values: Sequence[str], tag: str) -> str:
    style = f"padding:2px 16px 2px 0;text-align:left;border-bottom:1px solid {LIGHT['rule']}"
    return "".join(f'<{tag} style="{style}">{escape(value)}</{tag}>' for value in values)
