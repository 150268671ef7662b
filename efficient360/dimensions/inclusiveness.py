"""The inclusiveness axis."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="inclusiveness",
    title="Inclusiveness",
    question="Who and what is left out: rare classes, poor cameras, small devices?",
    order=7,
    anchors=(
        Anchor("inclusion", "worst_class_accuracy", zero=0.0, one=1.0, source="the bounds of the metric itself"),
        Anchor("capture_conditions", "mean_capture_ratio", zero=0.0, one=1.0, source="0: nothing of the clean accuracy is kept; 1: all of it"),
        Anchor("device_reach", "device_reach", zero=0.0, one=1.0, source="the bounds of the metric itself"),
    ),
    caveat="The capture conditions are simulated and the device profiles emulated on this machine; who takes the pictures, and where, only data can tell.",
)
