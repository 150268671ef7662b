"""What is told of compressed networks."""

from typing import Final

from efficient360.core.measurement import BYTE, ONE, Better, Metric

BEST: Final = Metric(
    "best_compression",
    ONE,
    Better.HIGHER,
    "How many times smaller than in float32 the weights can be stored by the smallest of the variants tried that loses no more top-1 accuracy than tolerated.",
    "the ratio at equal accuracy of Blalock et al. 2020, What is the State of Neural Network Pruning?, section 4.2",
    low=1,
)
RATIO: Final = Metric(
    "compression_ratio",
    ONE,
    Better.HIGHER,
    "Bytes of the checkpoint's file in float32 over bytes of the file that holds the compressed one, all of it.",
    "Blalock et al. 2020, section 4.2",
    low=0,
)
BYTES: Final = Metric("compressed_bytes", BYTE, Better.LOWER, "Bytes of a safetensors file with all that the compressed network needs, header included.", low=0)
ACCURACY: Final = Metric("compressed_accuracy", ONE, Better.HIGHER, "Top-1 accuracy of the compressed network.", low=0, high=1)
CHANGE: Final = Metric(
    "accuracy_change",
    ONE,
    Better.HIGHER,
    "Top-1 accuracy of the compressed network less that of the original on the same images; below 0 is a loss.",
    low=-1,
    high=1,
)
SAME: Final = Metric(
    "same_answers",
    ONE,
    Better.HIGHER,
    "Share of the images to which the compressed network gives the original's answer, right or wrong.",
    "1 less the flips of Dutta et al. 2024, Accuracy is Not All You Need",
    low=0,
    high=1,
)
MACS_RATIO: Final = Metric(
    "macs_ratio", ONE, Better.HIGHER, "Multiply-adds of the original over those of the compressed network, for variants that compute fewer.", low=0
)
METRICS: Final = (BEST, RATIO, BYTES, ACCURACY, CHANGE, SAME, MACS_RATIO)
