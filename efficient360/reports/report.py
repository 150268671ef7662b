"""A report as plain data: outcomes, the scores of the axes, and the context they were measured in. Renderers only draw it."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from efficient360.core import outcome as codec
from efficient360.core.findings import Finding, findings_from_json, findings_to_json
from efficient360.core.measurement import Failure, Measurement
from efficient360.core.outcome import Json, Record
from efficient360.core.parsing import require_plain
from efficient360.core.reading import misfit
from efficient360.dimensions.dimension import ANCHORS_VERSION, Anchor, Dimension

SCHEMA_VERSION = 1

State = Literal["complete", "incomplete"]


@final
@dataclass(frozen=True)
class SummaryMetric:
    """One summary metric of an axis: its measurement and score, or why it is missing."""

    anchor: Anchor
    measurement: Measurement | None
    score: float | None
    reason: str


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
    def failures(self) -> Sequence[Record]:
        """The records whose outcome is a Failure."""
        return [r for r in self.records if isinstance(r.outcome, Failure)]


def axes_of(dimensions: Iterable[Dimension], records: Sequence[Record]) -> list[Axis]:
    """Each dimension's axis over these records, in radar order."""
    return [_axis(d, records) for d in sorted(dimensions, key=lambda d: (d.order, d.name))]


def _axis(dimension: Dimension, records: Sequence[Record]) -> Axis:
    parts = [_part(anchor, records) for anchor in dimension.anchors]
    scores = [part.score for part in parts if part.score is not None]
    whole = bool(parts) and len(scores) == len(parts)
    return Axis(dimension, parts, sum(scores) / len(scores) if whole else None, len(scores) / len(parts) if parts else 0.0)


def _part(anchor: Anchor, records: Sequence[Record]) -> SummaryMetric:
    reason = f"{anchor.evaluator} was not part of this run"
    failure = ""
    for record in records:
        outcome = record.outcome
        if record.evaluator != anchor.evaluator or (record.metric is not None and record.metric.name != anchor.metric):
            continue
        reason = f"{anchor.evaluator} reported no {anchor.metric} under these conditions"
        if isinstance(outcome, Failure):
            # A failure that names fewer conditions than the anchor covers it too.
            if all(outcome.conditions.get(key, value) == value for key, value in anchor.conditions.items()):
                failure = outcome.message
        elif anchor.conditions.items() <= outcome.conditions.items():
            return SummaryMetric(anchor, outcome, anchor.score(outcome.value), "")
    return SummaryMetric(anchor, None, None, failure or reason)


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
        for p in axis.parts
    ]
    return {
        "name": d.name,
        "title": d.title,
        "question": d.question,
        "caveat": d.caveat,
        "score": axis.score,
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
