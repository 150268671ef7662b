"""The latency axis."""

from efficient360.dimensions.dimension import Anchor, Dimension, Scale

DIMENSION = Dimension(
    name="latency",
    title="Latency",
    question="How fast is it on the device that will run it, and at what energy?",
    order=4,
    anchors=(
        Anchor(
            "latency",
            "best_latency",
            zero=1.0,
            one=1e-3,
            scale=Scale.LOG,
            source="0: 1 s, the limit for a user's flow of thought; a third of the way: 0.1 s, the limit for a response that seems instantaneous "
            "(Nielsen, Usability Engineering, 1993, section 5.5); 1: 1 ms, three decades below",
        ),
    ),
    caveat="It holds for the device, the runtime and the precision named beside the number, and for one image at a time.",
)
