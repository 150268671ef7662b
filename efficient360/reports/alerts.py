"""What a reader must know before relying on a run's numbers, ranked by severity: void, failed, missing, noisy, undecided; and notes apart from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from efficient360.core.findings import DISTURBED, Finding, disturbance, findings_in
from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.core.outcome import Record
from efficient360.reports import names
from efficient360.reports.axis_scores import axis_of
from efficient360.reports.report import Axis, Report, failure_of, reached


class Severity(StrEnum):
    """How much an alert weighs, the heaviest first."""

    CRITICAL = "critical"
    """A number is void or looks wrong, an evaluator failed, or the run is not finished."""
    WARNING = "warning"
    """A number is less sure than it looks: noisy, undecided, assumed, or missing from an axis."""
    NOTE = "note"
    """Information that makes no number wrong."""


class Kind(StrEnum):
    """What an alert is about, in the order in which alerts of one severity are told."""

    CHECK = "check first"
    INCOMPLETE = "incomplete"
    VOID = "void"
    FAILED = "failed"
    MISSING = "missing"
    NOISY = "noisy"
    UNDECIDED = "undecided"
    WARNING = "warning"
    NOTE = "note"


@final
@dataclass(frozen=True)
class Alert:
    """One thing to know before relying on a number.

    Args:
        severity: How much it weighs.
        kind: What it is about.
        code: Stable kebab-case identifier: a finding's or failure's own, or ``void``, ``incomplete-run``, ``disturbed-timing``, ``other-settings``.
        axis: Name of the dimension concerned, where a report has a section for it; ``""`` for the whole run.
        message: One sentence, without a capital and a full stop.
        advice: What to do about it; may be empty.
        scored: Whether it concerns what the axis's score rests on, or the whole run; not a further metric of the axis.
    """

    severity: Severity
    kind: Kind
    code: str
    axis: str
    message: str
    advice: str = ""
    scored: bool = True

    @property
    def about(self) -> str:
        """What it is about, where its severity's own word does not say so: ``void``, ``undecided``; else empty."""
        return "" if self.kind.value == self.severity.value else self.kind.value


SUSPECT: Final = frozenset(
    {
        "contradicting-labels",
        "near-chance",
        "one-class",
        "one-class-predicted",
        "other-class-order-better",
        "other-heads-better",
        "other-preprocessing-better",
        "other-weights-better",
        "shared-images",
        "training-images-evaluated",
        "training-split-evaluated",
    }
)
"""Findings by which a number is probably wrong."""

UNDECIDED: Final = frozenset({"undecided", "uncertain-trace", "unsettled-eigenvalue"})
"""Findings that too little was measured to decide."""

INFORMATIVE: Final = frozenset(
    {
        "calibration-held-back",
        "classes-mapped",
        "classes-without-images",
        "collapsed-heads",
        "collapsed-matrices",
        "columns-found",
        "dataset-recognised",
        "even-attention",
        "fewer-classes",
        "files-left-out",
        "fine-loss",
        "heavy-tails",
        "known-classes",
        "labels-from-file",
        "light-tails",
        "no-lipschitz-bound",
        "no-minimum",
        "one-of-several-files",
        "outputs-restricted",
        "partly-seen",
        "repeated-rows",
        "sharp-attention",
        "similar-tokens",
        "surer-outside",
        "two-photographs",
        "two-sets-of-weights",
        "unsorted-set",
        "unused",
        "worse-averaged",
    }
)
"""Findings that make no number wrong; a finding of any other code is a warning."""

EXPLAINS_VOID: Final = "told-by-pixels"
"""The finding that gives the reason of void values, and what to do."""


def alerts(report: Report) -> list[Alert]:
    """Everything to know before relying on a report's numbers, the severest first; each once.

    Void values, failures and findings are grouped by axis and reason. A metric that does not apply is an alert only where an axis lacks its score for it.
    """
    found = [*_run(report), *_void(report), *_failed(report), *_missing(report), *_found_by_evaluators(report), *_other_settings(report)]
    unique = list(dict.fromkeys(found))
    severities, kinds = list(Severity), list(Kind)
    return sorted(unique, key=lambda alert: (severities.index(alert.severity), not alert.scored, kinds.index(alert.kind)))


def warnings(found: Sequence[Alert]) -> list[Alert]:
    """Those of ``found`` that are more than notes."""
    return [alert for alert in found if alert.severity is not Severity.NOTE]


def notes(found: Sequence[Alert]) -> list[Alert]:
    """Those of ``found`` that make no number wrong."""
    return [alert for alert in found if alert.severity is Severity.NOTE]


def severity_of(code: str) -> Severity:
    """How much a finding weighs, by its code; one of a plug-in's is a warning."""
    return Severity.CRITICAL if code in SUSPECT else Severity.NOTE if code in INFORMATIVE else Severity.WARNING


def _run(report: Report) -> Iterator[Alert]:
    """Of the whole run: unfinished, or findings of the data, the classes, the preprocessing and the predictions."""
    for finding in report.findings:
        severity = severity_of(finding.code)
        yield Alert(severity, Kind.NOTE if severity is Severity.NOTE else Kind.CHECK, finding.code, "", finding.message, finding.advice)
    if report.state != "incomplete":
        return
    told = reached(report.records)
    left = [name for name in report.protocol.get("evaluators", {}) if name not in told]
    which = f": no result yet for {', '.join(left)}" if left else ""
    yield Alert(Severity.CRITICAL, Kind.INCOMPLETE, "incomplete-run", "", f"this run is incomplete{which}", "run the same command again to resume it")


def _void(report: Report) -> Iterator[Alert]:
    voided: dict[tuple[str, str], list[Record]] = {}
    for record in report.records:
        if isinstance(record.outcome, Measurement) and record.outcome.void:
            voided.setdefault((axis_of(report, record) or "", record.outcome.void), []).append(record)
    for (axis, reason), records in voided.items():
        advice = next((f.advice for record in records for f in findings_in(record.outcome) if f.code == EXPLAINS_VOID), "")
        values = f"{len(records)} values are void" if len(records) > 1 else f"{names.of_record(records[0])} is void"
        titled = _title(report, axis)
        yield Alert(Severity.CRITICAL, Kind.VOID, "void", axis, f"{f'{titled}: ' if titled else ''}{values}: {reason}", advice)


def _failed(report: Report) -> Iterator[Alert]:
    """Evaluators and metrics that failed, grouped by reason. What was not run is told as an incomplete run."""
    grouped: dict[tuple[str, str, str, str], list[str]] = {}
    for record in report.records:
        failure = record.outcome
        if isinstance(failure, Failure) and failure.status is Status.FAILED:
            key = axis_of(report, record) or "", failure.code, failure.message, failure.hint
            grouped.setdefault(key, []).append(names.of_record(record))
    for (axis, code, message, hint), titles in grouped.items():
        yield Alert(Severity.CRITICAL, Kind.FAILED, code, axis, f"{'; '.join(dict.fromkeys(titles))} failed: {message}", hint)


def _missing(report: Report) -> Iterator[Alert]:
    """Axes without a score for a metric that was tried; what failed or is void is told as such."""
    for axis in report.axes:
        for part in axis.parts:
            failure = failure_of(part.anchor, report.records)
            if part.measurement is None and failure is not None and failure.status is Status.UNSUPPORTED:
                message = f"{axis.dimension.title} has no score, {names.title(part.anchor.metric)} is missing: {failure.message}"
                yield Alert(Severity.WARNING, Kind.MISSING, failure.code, axis.dimension.name, message, failure.hint)


def _found_by_evaluators(report: Report) -> Iterator[Alert]:
    """The warnings that evaluators give with their values."""
    void = {axis_of(report, r) for r in report.records if isinstance(r.outcome, Measurement) and r.outcome.void}
    scoring = {part.anchor.evaluator for axis in report.axes for part in axis.parts}
    disturbed: dict[tuple[str, bool], list[Finding]] = {}
    for record in report.records:
        axis, scored = axis_of(report, record), record.evaluator in scoring
        for finding in findings_in(record.outcome):
            if finding.code == DISTURBED:
                disturbed.setdefault((axis or "", scored), []).append(finding)
            elif not (finding.code == EXPLAINS_VOID and axis in void):
                yield Alert(severity_of(finding.code), _kind(finding.code), finding.code, axis or "", finding.message, finding.advice, scored)
    for (name, scored), findings in disturbed.items():
        told = disturbance(findings, "the timing")
        yield Alert(Severity.WARNING, Kind.NOISY, DISTURBED, name, told.message, told.advice, scored)


def _other_settings(report: Report) -> Iterator[Alert]:
    for axis in report.axes:
        if axis.bound is not None:
            message = f"the score of {axis.dimension.title} was measured with other settings than the axis takes, {axis.bound_brief}"
            yield Alert(Severity.NOTE, Kind.NOTE, "other-settings", axis.dimension.name, message, "see how the score is computed")


def _kind(code: str) -> Kind:
    if code in UNDECIDED:
        return Kind.UNDECIDED
    return {Severity.CRITICAL: Kind.CHECK, Severity.WARNING: Kind.WARNING, Severity.NOTE: Kind.NOTE}[severity_of(code)]


def _title(report: Report, axis: str) -> str:
    return next((a.dimension.title for a in report.axes if a.dimension.name == axis), "")


def of_axis(found: Sequence[Alert], axis: Axis) -> list[Alert]:
    """The alerts that concern one axis."""
    return [alert for alert in found if alert.axis == axis.dimension.name]
