"""The approximation axis."""

from efficient360.dimensions.dimension import Anchor, Dimension, Scale

DIMENSION = Dimension(
    name="approximation",
    title="Approximation",
    question="How far can it be compressed before it gets worse?",
    order=13,
    anchors=(
        Anchor(
            "compression",
            "best_compression",
            zero=2.0,
            one=16.0,
            scale=Scale.LOG,
            source="0: 2 times, what sixteen bits a weight give any network for nothing (Micikevicius et al. 2018); "
            "1: 16 times, two bits a weight, the fewest at which networks trained for it keep their accuracy (Zhu et al. 2017, Trained Ternary Quantization)",
        ),
    ),
    caveat="It tells how small its file can be, not how fast it runs: whether a device gains by small weights, its runtime decides, and latency measures that. "
    "Nothing was trained after compressing, which would win more; and the variant that scores was chosen on the images that it is scored on.",
)
