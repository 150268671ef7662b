"""The inclusiveness axis: worst class, capture conditions, device profiles."""

from efficient360.dimensions.dimension import Anchor, Dimension

_CAPTURE = {"conditions": ("half_resolution", "quarter_resolution", "low_light", "sensor_noise", "motion_blur", "strong_jpeg")}

DIMENSION = Dimension(
    name="inclusiveness",
    title="Inclusiveness",
    question="Does it work for the worst class, with poor cameras and on small devices?",
    order=7,
    anchors=(
        Anchor("inclusion", "worst_class_accuracy", zero=0.0, one=1.0, settings={"minimum_class": 10}, source="bounds of the metric"),
        Anchor("capture_conditions", "mean_capture_ratio", zero=0.0, one=1.0, settings=_CAPTURE, source="0: none of the clean accuracy retained; 1: all of it"),
        Anchor("device_reach", "device_reach", zero=0.0, one=1.0, settings={"budget": 0.1}, source="bounds of the metric"),
    ),
    caveat="Capture conditions are simulated and device profiles emulated on this machine; only real data show who takes the pictures, and where.",
)
