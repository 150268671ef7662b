"""The latency axis: best median latency over runtimes."""

from efficient360.dimensions.dimension import Anchor, Dimension, Scale

DIMENSION = Dimension(
    name="latency",
    title="Latency",
    question="How fast does it run on the device named with each value, and at what energy cost?",
    order=4,
    anchors=(
        Anchor(
            "latency",
            "best_latency",
            zero=1.0,
            one=1e-3,
            scale=Scale.LOG,
            source="0: 1 s, the limit for an uninterrupted flow of thought; 1/3: 0.1 s, the limit for a response perceived as instantaneous "
            "(Nielsen, Usability Engineering, 1993, section 5.5); 1: 1 ms, three orders of magnitude below",
        ),
    ),
    caveat="Valid for the device, runtime and precision listed with the value, at batch size 1.",
)
