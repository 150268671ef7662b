"""What is measured of a variant of an image classifier."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import BYTE, ONE, Better, Measurement, Metric
from efficient360.core.statistics import newcombe_paired, wilson
from efficient360.deployment.devices.latency_metrics import ARTEFACT_BYTES, COLD_START, ENERGY, P50, P90, RUNTIME_MEMORY

TOP1: Final = Metric(
    "top1", ONE, Better.HIGHER, "Share of images whose most likely class is the true one.", "Russakovsky et al. 2015, section 4.1", low=0, high=1
)
TOP1_DROP: Final = Metric(
    "top1_drop",
    ONE,
    Better.LOWER,
    "Top-1 accuracy lost against the original checkpoint on the same images.",
    "interval of paired proportions: Newcombe 1998, method 10",
    low=-1,
    high=1,
)
PACKAGE_BYTES: Final = Metric(
    "package_bytes", BYTE, Better.LOWER, "Size of the artefact's files compressed by DEFLATE, as ZIP, APK and wheel packages ship them.", low=0
)
COSTS: Final[tuple[Metric, ...]] = (P50, ARTEFACT_BYTES, RUNTIME_MEMORY, P90, COLD_START, PACKAGE_BYTES, ENERGY)
QUALITIES: Final[tuple[Metric, ...]] = (TOP1_DROP, TOP1)


def qualities(original: NDArray[np.bool_], variant: NDArray[np.bool_]) -> dict[str, Measurement]:
    """Accuracy of a variant and what it lost, by name of the metric.

    Args:
        original: Whether the original checkpoint is right, bool ``(n,)``, of at least one image.
        variant: The same of the variant, on the same images.
    """
    n = len(original)
    counts = [int((original & variant).sum()), int((original & ~variant).sum()), int((~original & variant).sum()), int((~original & ~variant).sum())]
    drop = Measurement(TOP1_DROP, float(original.mean() - variant.mean()), n, newcombe_paired(*counts))
    hits = int(variant.sum())
    return {TOP1_DROP.name: drop, TOP1.name: Measurement(TOP1, hits / n, n, wilson(hits, n))}


def metrics_told(measured: Sequence[Measurement]) -> dict[str, Measurement]:
    """Those of the cost metrics among measurements, by name, without their raw samples, in the order of :data:`COSTS`."""
    by_name = {m.metric.name: m for m in measured}
    return {metric.name: by_name[metric.name] for metric in COSTS if metric.name in by_name}
