"""A report as plain data: outcomes, the scores of the axes, and the context they were measured in. Renderers only draw it."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from efficient360.core import outcome as codec
from efficient360.core.findings import Finding, findings_from_json, findings_to_json
from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.core.outcome import Json, Record
from efficient360.core.parsing import require_plain
from efficient360.core.reading import misfit
from efficient360.dimensions.dimension import ANCHORS_VERSION, Anchor, Bound, Dimension
from efficient360.reports.comparability import setting_differences

SCHEMA_VERSION = 1

State = Literal["complete", "incomplete"]
VOID: Final = "void: "
"""How the reason of a void summary metric begins."""


@final
@dataclass(frozen=True)
class SummaryMetric:
    """One summary metric of an axis: its measurement and score, or why it is missing.

    Args:
        anchor: The metric and the settings it is scored for.
        measurement: What was measured; ``None`` where nothing was, or what was is void.
        score: In [0, 1].
        reason: Why there is no score.
        bound: What the score stands for where the value was measured with other settings.
        settings: Those settings with both values.
        differing: The names of those settings.
    """

    anchor: Anchor
    measurement: Measurement | None
    score: float | None
    reason: str
    bound: Bound | None = None
    settings: str = ""
    differing: Sequence[str] = ()

    @property
    def void(self) -> bool:
        """Whether it was measured, and what was is void."""
        return self.reason.startswith(VOID)


@final
@dataclass(frozen=True)
class Axis:
    """A dimension with its summary metrics and score.

    Args:
        dimension: The dimension.
        parts: Its summary metrics in order.
        score: Mean of the parts' scores in [0, 1]; ``None`` unless every part is measured.
        coverage: Share of its parts that are measured, in [0, 1]; 0 for an axis without summary metrics.
    """

    dimension: Dimension
    parts: Sequence[SummaryMetric]
    score: float | None
    coverage: float

    @property
    def void(self) -> bool:
        """Whether one of its summary metrics is void."""
        return any(part.void for part in self.parts)

    @property
    def bound(self) -> Bound | None:
        """What the score stands for where some of its values were measured with other settings than the axis takes."""
        bounds = {part.bound for part in self.parts if part.bound is not None}
        return None if self.score is None or not bounds else bounds.pop() if len(bounds) == 1 else Bound.OTHER

    @property
    def score_text(self) -> str:
        """The score with two digits, ``≤`` or ``≥`` before a bound, ``*`` after one of other settings; empty without one."""
        if self.score is None:
            return ""
        before = {Bound.UPPER: "≤ ", Bound.LOWER: "≥ "}
        return f"{before.get(self.bound, '')}{self.score:.2f}{'*' if self.bound is Bound.OTHER else ''}" if self.bound else f"{self.score:.2f}"

    @property
    def bound_text(self) -> str:
        """What the mark of :attr:`score_text` means, with the settings that differ; empty without one."""
        told = "; ".join(dict.fromkeys(f"{part.anchor.evaluator} {part.settings}" for part in self.parts if part.settings))
        return f"{self.bound}: {told}" if self.bound else ""

    @property
    def bound_brief(self) -> str:
        """The same in a few words, by the settings' names alone; empty without one."""
        differing = (f"{part.anchor.evaluator} with other {', '.join(part.differing)}" for part in self.parts if part.differing)
        return f"{self.bound}: {'; '.join(dict.fromkeys(differing))}" if self.bound else ""


@final
@dataclass(frozen=True)
class Report:
    """The results of one run and everything they depend on.

    Args:
        state: ``complete`` when every planned evaluator has an outcome and none is ``not-run``.
        created: When the run began, ISO 8601 in UTC.
        updated: When this report was last written.
        command: Command line that produced it.
        checkpoint: Its reference, name, architecture, arguments, digest, preprocessing, card.
        dataset: Name, split, number of examples, digest, licence, classes; ``None`` for a run without data.
        environment: Host, CPU, GPU, versions, git state.
        protocol: Name, evaluators with their settings, seed, time budget.
        records: Stored outcomes in the protocol's order.
        axes: The dimensions in radar order.
        findings: Reasons to trust the run less, of the data, the classes, the preprocessing and the predictions; the worst first.
    """

    state: State
    created: str
    updated: str
    command: str
    checkpoint: Mapping[str, Any]
    dataset: Mapping[str, Any] | None
    environment: Mapping[str, Any]
    protocol: Mapping[str, Any]
    records: Sequence[Record]
    axes: Sequence[Axis]
    findings: Sequence[Finding] = ()

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return str(self.checkpoint.get("name", ""))

    @property
    def seconds(self) -> float:
        """Time that its values took, each evaluation counted once."""
        return sum({(r.evaluator, r.key): r.seconds for r in self.records}.values())

    @property
    def failures(self) -> Sequence[Record]:
        """The records whose outcome is a Failure."""
        return [r for r in self.records if isinstance(r.outcome, Failure)]


def reached(records: Iterable[Record]) -> set[str]:
    """Names of the evaluators that were run, whatever came of it."""
    return {r.evaluator for r in records if not (isinstance(r.outcome, Failure) and r.outcome.status is Status.NOT_RUN)}


def axes_of(dimensions: Iterable[Dimension], records: Sequence[Record]) -> list[Axis]:
    """Each dimension's axis over these records, in radar order."""
    return [_axis(d, records) for d in sorted(dimensions, key=lambda d: (d.order, d.name))]


def _axis(dimension: Dimension, records: Sequence[Record]) -> Axis:
    parts = [_part(anchor, records) for anchor in dimension.anchors]
    scores = [part.score for part in parts if part.score is not None]
    whole = bool(parts) and len(scores) == len(parts)
    return Axis(dimension, parts, sum(scores) / len(scores) if whole else None, len(scores) / len(parts) if parts else 0.0)


def summary_record(anchor: Anchor, records: Sequence[Record]) -> tuple[Record, Measurement] | None:
    """The value that an anchor scores, void or not: the first of its metric that has its conditions."""
    for record in records:
        m = record.outcome
        if not isinstance(m, Measurement) or (record.evaluator, m.metric.name) != (anchor.evaluator, anchor.metric):
            continue
        if anchor.conditions.items() <= m.conditions.items():
            return record, m
    return None


def _part(anchor: Anchor, records: Sequence[Record]) -> SummaryMetric:
    found = summary_record(anchor, records)
    if found is None:
        return SummaryMetric(anchor, None, None, _reason(anchor, records))
    record, measurement = found
    if measurement.void:
        return SummaryMetric(anchor, None, None, f"{VOID}{measurement.void}")
    others = setting_differences(record.settings, anchor.settings)
    told = ", ".join(f"{name} {value} (the axis takes {wanted})" for name, value, wanted in others)
    return SummaryMetric(anchor, measurement, anchor.score(measurement.value), "", anchor.otherwise if others else None, told, [name for name, _, _ in others])


def _reason(anchor: Anchor, records: Sequence[Record]) -> str:
    """Why an anchor's metric has no value."""
    failure = failure_of(anchor, records)
    if failure is not None and failure.message:
        return failure.message
    tried = any(_concerns(record, anchor) for record in records)
    return f"{anchor.evaluator} {f'reported no {anchor.metric} under these conditions' if tried else 'was not part of this run'}"


def failure_of(anchor: Anchor, records: Iterable[Record]) -> Failure | None:
    """The failure by which an anchor's metric has no value; one that names fewer conditions than the anchor covers it too."""
    failures = [record.outcome for record in records if isinstance(record.outcome, Failure) and _concerns(record, anchor)]
    covering = [f for f in failures if all(f.conditions.get(key, value) == value for key, value in anchor.conditions.items())]
    return covering[-1] if covering else None


def _concerns(record: Record, anchor: Anchor) -> bool:
    """Whether a record is of an anchor's metric, or of its evaluator as a whole."""
    return record.evaluator == anchor.evaluator and (record.metric is None or record.metric.name == anchor.metric)


def to_json(report: Report) -> Json:
    """The report as ``report.json`` holds it."""
    plain = {f.name: getattr(report, f.name) for f in dataclasses.fields(report) if f.name not in ("records", "axes", "findings")}
    return {
        "schema_version": SCHEMA_VERSION,
        **plain,
        "findings": findings_to_json(report.findings),
        "outcomes": [codec.to_json(r) for r in report.records],
        "dimensions": [_axis_json(a) for a in report.axes],
    }


def _axis_json(axis: Axis) -> Json:
    d = axis.dimension
    parts = [
        {**dataclasses.asdict(p.anchor), "value": None if p.measurement is None else p.measurement.value, "score": p.score, "reason": p.reason}
        | ({"bound": p.bound.value, "other_settings": p.settings} if p.bound else {})
        for p in axis.parts
    ]
    return {
        "name": d.name,
        "title": d.title,
        "question": d.question,
        "caveat": d.caveat,
        "score": axis.score,
        "bound": None if axis.bound is None else axis.bound.value,
        "coverage": axis.coverage,
        "anchors_version": ANCHORS_VERSION,
        "parts": parts,
    }


class _Told(BaseModel):
    """An object of which a reader needs some fields; the others are told as they are."""

    model_config = ConfigDict(extra="allow")


@final
class _CheckpointHeader(_Told):
    name: str
    digest: str
    architecture: str
    class_names: list[str] = []


@final
class _DatasetHeader(_Told):
    name: str = ""
    split: str = ""
    title: str = ""
    digest: str
    examples: int | None = None
    available: int | None = None
    unseen: list[str] | None = None


@final
class _ProtocolHeader(_Told):
    name: str = ""
    evaluators: dict[str, Any] = {}


@final
class _StoredReport(BaseModel):
    """What ``report.json`` holds."""

    schema_version: Annotated[int, Field(strict=True, ge=SCHEMA_VERSION, le=SCHEMA_VERSION)]
    state: State
    created: str
    updated: str
    command: str
    checkpoint: _CheckpointHeader
    dataset: _DatasetHeader | None
    environment: dict[str, Any]
    protocol: _ProtocolHeader
    outcomes: list[dict[str, Any]]
    findings: list[dict[str, str]] = []  # reports of earlier versions have none


_REPORT: Final = TypeAdapter(_StoredReport)


def from_json(data: Mapping[str, Any], dimensions: Iterable[Dimension]) -> Report:
    """The report that :func:`to_json` wrote, its axes recomputed from the outcomes.

    Raises:
        ValueError: ``data`` is not such a report.
    """
    try:
        stored = _REPORT.validate_python(data)
    except ValidationError as error:
        raise ValueError(misfit(error)) from error
    names = [f.name for f in dataclasses.fields(Report) if f.name not in ("records", "axes", "findings")]
    try:
        require_plain({name: data[name] for name in names})
        records = [codec.from_json(outcome) for outcome in stored.outcomes]
        findings = findings_from_json(stored.findings)
    except ValueError as error:
        raise ValueError(f": {error}") from error
    return Report(**{n: data[n] for n in names}, records=records, axes=axes_of(dimensions, records), findings=findings)
