"""What the features' spectra warn of."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.findings import Finding
from efficient360.core.formatting import significant
from efficient360.core.measurement import Measurement
from efficient360.methods.spectral.attention_table import ENTROPY, RESPONSE, AttentionTable
from efficient360.methods.spectral.curvature import TOLERANCE
from efficient360.methods.spectral.top_eigenvalue import Krylov

ALIKE: Final = 0.9
"""Mean cosine of two tokens from which they are nearly identical."""
EVEN: Final = 0.1
"""Response below which a layer hands every token nearly the same."""
SHARP: Final = 0.05
"""Entropy, as a share of the largest, below which a layer's tokens each look at one."""


def of_tokens(similarity: NDArray[np.float64], residual: NDArray[np.float64]) -> Iterator[Finding]:
    """Whether the last block's tokens of an image are nearly identical, from ``(n,)`` each."""
    cosine = float(similarity.mean())
    if cosine > ALIKE:
        message = (
            f"after the last block two tokens of an image have a mean cosine of {cosine:.2f}, "
            f"and what differs between them is {100 * float(residual.mean()):.0f} % of their size: they are nearly identical (oversmoothing)"
        )
        yield Finding("similar-tokens", message, "expect little of it where places matter, in segmentation or detection; later blocks may be prunable")


def of_attention(table: AttentionTable) -> Iterator[Finding]:
    """Layers whose attention averages everything, or looks at single tokens."""
    even = [layer for layer, values in table.of(RESPONSE) if values.mean() < EVEN]
    if even:
        message = f"in {len(even)} of {len(table.layers)} layers every token gets nearly the same from attention ({_listed(even)})"
        yield Finding("even-attention", message, "such a layer only adds a mean: try a cheaper mixer or none in its place")
    sharp = [layer for layer, values in table.of(ENTROPY) if values.mean() < SHARP]
    if sharp:
        message = f"in {len(sharp)} of {len(table.layers)} layers each token looks at hardly more than one ({_listed(sharp)})"
        yield Finding("sharp-attention", message, "attention without entropy goes with unstable training: look at the norms of queries and keys")


def of_curvature(state: Krylov, trace: Measurement) -> Iterator[Finding]:
    """What the Hessian's numbers lack, and whether the weights are no minimum."""
    top, lowest, error = state.ritz()
    if not state.settled(TOLERANCE):
        message = f"after {state.steps} steps the largest eigenvalue {significant(top)} is known to ± {significant(error)}"
        yield Finding("unsettled-eigenvalue", message, "raise steps")
    if trace.interval is not None and trace.interval.high - trace.interval.low > abs(trace.value):
        message = f"the trace lies between {significant(trace.interval.low)} and {significant(trace.interval.high)}"
        yield Finding("uncertain-trace", message, "raise probes")
    if lowest < -0.5 * abs(top):
        message = f"the smallest eigenvalue, {significant(lowest)}, is large beside the largest, {significant(top)}: the weights are no minimum of this loss"
        yield Finding("no-minimum", message, "read the curvature as that of a slope, not of a valley")


def _listed(layers: list[int]) -> str:
    shown = ", ".join(str(layer) for layer in layers[:8])
    return f"layer {shown}" if len(layers) == 1 else f"layers {shown}{' …' if len(layers) > 8 else ''}"
