"""The capture conditions by name."""

from collections.abc import Mapping
from typing import Final

from efficient360.quality.capture.compression import StrongJpeg
from efficient360.quality.capture.condition import CaptureCondition
from efficient360.quality.capture.exposure import LowLight, SensorNoise
from efficient360.quality.capture.motion import MotionBlur
from efficient360.quality.capture.resolution import HalfResolution, QuarterResolution

CONDITIONS: Final[Mapping[str, CaptureCondition]] = {
    condition.name: condition for condition in (HalfResolution(), QuarterResolution(), LowLight(), SensorNoise(), MotionBlur(), StrongJpeg())
}
"""In the order in which they are told."""
