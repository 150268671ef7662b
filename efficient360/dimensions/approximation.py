"""The approximation axis: how far the model compresses."""

from efficient360.dimensions.dimension import Anchor, Bound, Dimension, Scale

_VARIANTS = (
    *("half", "two_of_four"),
    *(f"quantization:{bits}" for bits in (8, 6, 5, 4, 3, 2)),
    *(f"clustering:{clusters}" for clusters in (256, 64, 32, 16, 8, 4)),
    *(f"pruning:{percent}" for percent in (30, 50, 60, 70, 80)),
    *(f"low_rank:{percent}" for percent in (75, 50, 25)),
    *(f"token_merging:{percent}" for percent in (10, 20, 40, 60, 80)),
)

DIMENSION = Dimension(
    name="approximation",
    title="Approximation",
    question="How far can it be compressed without losing accuracy?",
    order=13,
    anchors=(
        Anchor(
            "compression",
            "best_compression",
            zero=2.0,
            one=16.0,
            scale=Scale.LOG,
            settings={"variants": _VARIANTS, "tolerance": 0.01},
            otherwise=Bound.LOWER,
            source="0: ratio 2, 16-bit weights, which cost practically no accuracy (Micikevicius et al. 2018); "
            "1: ratio 16, 2-bit weights, the fewest at which quantization-aware training keeps accuracy (Zhu et al. 2017, Trained Ternary Quantization)",
        ),
    ),
    caveat="Compression ratio is about file size, not speed: whether small weights run faster depends on the runtime, which the latency dimension measures. "
    "Compression is post-training only, so fine-tuning could do better; and the best variant is selected on the same images that it is scored on.",
)
