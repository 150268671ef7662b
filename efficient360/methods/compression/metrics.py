"""Metrics of compressed networks."""

from typing import Final

from efficient360.core.measurement import BYTE, ONE, Better, Metric

BEST: Final = Metric(
    "best_compression",
    ONE,
    Better.HIGHER,
    "Compression ratio of the smallest variant whose loss of top-1 accuracy is within the tolerance.",
    "the ratio at equal accuracy of Blalock et al. 2020, What is the State of Neural Network Pruning?, section 4.2",
    low=1,
)
RATIO: Final = Metric(
    "compression_ratio",
    ONE,
    Better.HIGHER,
    "Bytes of the checkpoint's file in float32 divided by bytes of the compressed checkpoint's file, header included.",
    "Blalock et al. 2020, section 4.2",
    low=0,
)
BYTES: Final = Metric(
    "compressed_bytes", BYTE, Better.LOWER, "Bytes of the safetensors file with everything that the compressed network needs, header included.", low=0
)
ACCURACY: Final = Metric("compressed_accuracy", ONE, Better.HIGHER, "Top-1 accuracy of the compressed network.", low=0, high=1)
CHANGE: Final = Metric(
    "accuracy_change",
    ONE,
    Better.HIGHER,
    "Top-1 accuracy of the compressed network minus that of the original on the same images; below 0 is a loss.",
    low=-1,
    high=1,
)
SAME: Final = Metric(
    "same_answers",
    ONE,
    Better.HIGHER,
    "Share of the images for which the compressed network predicts the same class as the original, correct or not.",
    "1 minus the flips of Dutta et al. 2024, Accuracy is Not All You Need",
    low=0,
    high=1,
)
MACS_RATIO: Final = Metric(
    "macs_ratio", ONE, Better.HIGHER, "MACs of the original divided by those of the compressed network, for variants that compute fewer.", low=0
)
METRICS: Final = (BEST, RATIO, BYTES, ACCURACY, CHANGE, SAME, MACS_RATIO)
