"""A dimension: one axis of the 360° view, computed from stored outcomes; it measures nothing itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from efficient360.core.measurement import Conditions

ANCHORS_VERSION = "anchors-v1"


class Scale(StrEnum):
    """Interpolation between the two anchors."""

    LINEAR = "linear"
    LOG = "log"


@final
@dataclass(frozen=True)
class Anchor:
    """One summary metric of a dimension, with the two fixed values that score 0 and 1.

    Anchors never depend on the models at hand, so adding a model never changes another model's score.

    Args:
        evaluator: Evaluator that measures the metric.
        metric: Metric name.
        zero: Value in the metric's own unit that scores 0.
        one: Value that scores 1.
        source: Source of the two values.
        scale: Linear or logarithmic between them.
        conditions: Conditions that the outcome must have; it may have more.
    """

    evaluator: str
    metric: str
    zero: float
    one: float
    source: str
    scale: Scale = Scale.LINEAR
    conditions: Conditions = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.zero == self.one or (self.scale is Scale.LOG and min(self.zero, self.one) <= 0):
            raise ValueError(f"anchors {self.zero} and {self.one} of {self.metric} span no {self.scale} scale")

    def score(self, value: float) -> float:
        """``value`` between the anchors, clipped to [0, 1]; higher is better whatever the metric's direction."""
        zero, one = self.zero, self.one
        if self.scale is Scale.LOG:
            if value <= 0:
                return 1.0 if one < zero else 0.0
            zero, one, value = math.log(zero), math.log(one), math.log(value)
        return min(1.0, max(0.0, (value - zero) / (one - zero)))


@final
@dataclass(frozen=True)
class Dimension:
    """One axis.

    Args:
        name: Stable snake_case name.
        title: Display title.
        question: The question it answers.
        order: Position on the radar, ascending.
        anchors: Summary metrics; empty if no evaluator measures the axis yet (it is drawn as a gap).
        caveat: What the score does not mean.
        related: Evaluators shown in its section of a report that do not affect its score.
    """

    name: str
    title: str
    question: str
    order: int
    anchors: Sequence[Anchor] = ()
    caveat: str = ""
    related: Sequence[str] = ()
