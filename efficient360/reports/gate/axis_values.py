"""The score of an axis as a measurement: with an interval where each of its summary metrics has one."""

from typing import Final

from efficient360.core.measurement import ONE, Better, Interval, Measurement, Metric
from efficient360.reports.comparability import Difference, differences
from efficient360.reports.comparing.evidence import untested_reason
from efficient360.reports.report import Axis, Report, summary_record
from efficient360.reports.score_interval import score_interval
from efficient360.reports.sections import no_score

METHOD: Final = "through the anchors"


def axis_metric(axis: Axis) -> Metric:
    """The score of an axis as a metric: in [0, 1], higher is better."""
    return Metric(axis.dimension.name, ONE, Better.HIGHER, axis.dimension.question, low=0.0, high=1.0)


def axis_value(axis: Axis) -> tuple[Measurement | None, str]:
    """The score of an axis in [0, 1] as a measurement, or ``None`` and why it has none.

    It rests on as many examples as the summary metric with the fewest, and can't decide where one of them can't.
    """
    values = [part.measurement for part in axis.parts if part.measurement is not None]
    if axis.score is None or not values:
        return None, no_score(axis) if axis.parts else "no evaluator measures this axis"
    metric = axis_metric(axis)
    if all(m.exact for m in values):
        return Measurement(metric, axis.score), ""
    ends = score_interval(axis)
    uncertain = [m for m in values if not m.exact]
    n = min(m.n for m in uncertain)
    fixed = next((m.interval.conditional_on for m in uncertain if m.interval is not None and m.interval.conditional_on), "")
    if ends is None or any(untested_reason(m) for m in uncertain):
        reason = next((f"{m.metric.name}: {untested_reason(m)}" for m in uncertain if untested_reason(m)), "a summary metric has no interval")
        interval = None if ends is None else Interval(ends.low, ends.high, METHOD, conditional_on=fixed or reason)
        return Measurement(metric, axis.score, n, interval, repeatable=False), ""
    return Measurement(metric, axis.score, n, Interval(ends.low, ends.high, METHOD)), ""


def axis_differences(axis: Axis, run: Report, baseline: Report) -> list[Difference]:
    """In what the summary metrics of an axis were measured differently in two runs."""
    found: dict[Difference, None] = {}
    for part in axis.parts:
        ours, theirs = summary_record(part.anchor, run.records), summary_record(part.anchor, baseline.records)
        if ours is not None and theirs is not None:
            found |= dict.fromkeys(differences(theirs[0], ours[0]))
    return list(found)
