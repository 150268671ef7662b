"""How sure an axis's score is: the intervals of its summary metrics, through their anchors."""

from dataclasses import dataclass
from typing import final

from efficient360.reports.report import Axis, SummaryMetric


@final
@dataclass(frozen=True)
class ScoreInterval:
    """An interval of a score in [0, 1]; ``low`` equals ``high`` where the score is exact, or both ends lie beyond the same anchor."""

    low: float
    high: float

    @property
    def text(self) -> str:
        """``0.85 – 0.91``, or the one score that both ends are."""
        low, high = f"{self.low:.2f}", f"{self.high:.2f}"
        return low if low == high else f"{low} – {high}"


def score_interval(axis: Axis) -> ScoreInterval | None:
    """The interval of an axis's score; ``None`` without a score, or where a summary metric is uncertain but has no confidence interval.

    Each summary metric's interval goes through its anchors, which are monotone, so its level stays. The score is their mean; so are the ends. For jointly
    normal estimates the standard deviation of a mean is at most the mean of the standard deviations, whatever their correlation, so the mean of the ends
    covers at least as often as each part's interval does.
    """
    if axis.score is None:
        return None
    ends = [ends for part in axis.parts if (ends := _ends(part)) is not None]
    if len(ends) < len(axis.parts):
        return None
    low, high = (sum(side) / len(ends) for side in zip(*ends, strict=True))
    return ScoreInterval(min(low, axis.score), max(high, axis.score))


def _ends(part: SummaryMetric) -> tuple[float, float] | None:
    m = part.measurement
    if m is None or (m.interval is None and not m.exact) or (m.interval is not None and m.interval.level is None):
        return None
    low, high = (m.value, m.value) if m.interval is None else (m.interval.low, m.interval.high)
    first, second = part.anchor.score(low), part.anchor.score(high)
    return min(first, second), max(first, second)
