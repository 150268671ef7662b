"""A dimension: one axis of the 360° view, computed from stored outcomes; it measures nothing itself."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, final

from efficient360.core.measurement import Conditions

ANCHORS_VERSION = "anchors-v1"


class Scale(StrEnum):
    """Interpolation between the two anchors."""

    LINEAR = "linear"
    LOG = "log"


class Bound(StrEnum):
    """What a score stands for where its value was measured with other settings than the anchor takes."""

    UPPER = "upper bound"
    """The score under the anchor's settings is at most this: weaker attacks were run."""
    LOWER = "lower bound"
    """It is at least this: less was tried to find the best."""
    OTHER = "other settings"
    """Nobody knows on which side it is."""


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
        settings: Settings of the evaluator that the score takes, such as the strength of attacks; the order of a list does not matter.
        otherwise: What the score stands for where the value was measured with others. It is marked so wherever it is shown.
    """

    evaluator: str
    metric: str
    zero: float
    one: float
    source: str
    scale: Scale = Scale.LINEAR
    conditions: Conditions = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    otherwise: Bound = Bound.OTHER

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
