"""The capture conditions by name."""

from collections.abc import Mapping
from typing import Final

from efficient360.methods.inclusiveness.compression import StrongJpeg
from efficient360.methods.inclusiveness.condition import CaptureCondition
from efficient360.methods.inclusiveness.exposure import LowLight, SensorNoise
from efficient360.methods.inclusiveness.motion import MotionBlur
from efficient360.methods.inclusiveness.resolution import HalfResolution, QuarterResolution

CONDITIONS: Final[Mapping[str, CaptureCondition]] = {
    condition.name: condition for condition in (HalfResolution(), QuarterResolution(), LowLight(), SensorNoise(), MotionBlur(), StrongJpeg())
}
"""In the order in which they are told."""
