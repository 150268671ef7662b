"""The pictures of the features' spectra."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Curve, Series, Table
from efficient360.core.formatting import significant
from efficient360.core.measurement import Measurement
from efficient360.core.statistics import bootstrap_mean
from efficient360.evaluator import ScoreTable
from efficient360.methods.spectral.attention_table import DISTANCE, ENTROPY, RESPONSE, AttentionTable
from efficient360.methods.spectral.depth import FREQUENCIES, columns
from efficient360.methods.spectral.feature_metrics import BLOCK_AMPLITUDE, BLOCK_FULL_RANK, BLOCK_RANK, BLOCK_RESIDUAL, BLOCK_SHARE, BLOCK_SIMILARITY
from efficient360.methods.spectral.top_eigenvalue import Krylov

WHITE = 0.75
"""High-frequency share of white noise."""


def detail(table: ScoreTable, blocks: int, seed: int) -> Curve:
    """High-frequency share through depth."""
    x = tuple(float(block) for block in range(1, blocks + 1))
    values = columns(table, BLOCK_SHARE, range(1, blocks + 1))
    ends = [bootstrap_mean(column, seed) for column in values.T]
    series = Series("tokens", x, _means(values), tuple(e.low for e in ends), tuple(e.high for e in ends))
    white = Series("white noise", (x[0], x[-1]), (WHITE, WHITE), style="reference")
    return Curve("Detail left after each block", "block", "energy above half the highest frequency", (white, series))


def amplitudes(table: ScoreTable, blocks: int) -> Curve:
    """Relative log amplitude by frequency after the first, a middle and the last block."""
    shown = sorted({1, (blocks + 1) // 2, blocks})
    series = []
    for block in shown:
        y = [float(table.column(BLOCK_AMPLITUDE, {"block": block, "frequency": f}).mean()) for f in FREQUENCIES]
        series.append(Series(f"block {block}", (0.0, *FREQUENCIES), (0.0, *y)))
    return Curve("Spectrum of the tokens", "frequency (share of the highest)", "log amplitude relative to the mean's", tuple(series))


def tokens(table: ScoreTable, blocks: int) -> Curve:
    """Similarity, residual and rank of the tokens through depth."""
    numbers = range(1, blocks + 1)
    x = tuple(float(block) for block in numbers)
    share = columns(table, BLOCK_RANK, numbers) / columns(table, BLOCK_FULL_RANK, numbers)
    named = (("mean cosine of two tokens", columns(table, BLOCK_SIMILARITY, numbers)), ("distance from equal tokens", columns(table, BLOCK_RESIDUAL, numbers)))
    series = (*(Series(name, x, _means(values)) for name, values in named), Series("effective rank, share of the largest", x, _means(share)))
    return Curve("Are the tokens still different?", "block", "0 to 1", series)


def filters(edges: Sequence[float], low: Sequence[float], high: Sequence[float], bands: Sequence[float], clean: float) -> Curve:
    """Accuracy by the cutoff of a filter.

    Args:
        edges: Cutoffs ascending, as shares of the highest frequency.
        low: Accuracy with what is below each.
        high: Accuracy with what is above each.
        bands: Accuracy with what is between each and the next.
        clean: Accuracy on whole images.
    """
    x = tuple(edges)
    middles = tuple(float(np.sqrt(a * b)) for a, b in pairwise(edges))
    series = [
        Series("whole images", (x[0], 1.0), (clean, clean), style="reference"),
        Series("only below the cutoff", (*x, 1.0), (*low, clean)),
        Series("only above the cutoff", x, tuple(high)),
    ]
    if middles:
        series.append(Series("only the band around it", middles, tuple(bands), style="points"))
    return Curve("Accuracy on filtered images", "frequency (share of the highest)", "accuracy", tuple(series), x_log=True)


def attention(table: AttentionTable) -> Curve:
    """Entropy and response of attention through depth."""
    series = []
    for name, measure in (("entropy, share of the largest", ENTROPY), ("what differs and passes", RESPONSE)):
        found = table.of(measure)
        series.append(Series(name, tuple(float(layer) for layer, _ in found), tuple(float(values.mean()) for _, values in found)))
    return Curve("Attention as a filter", "layer", "0 to 1", tuple(series))


def distances(table: AttentionTable) -> Curve:
    """Distance that each head looks, through depth."""
    found = table.of(DISTANCE)
    heads = [(float(layer), float(mean)) for layer, values in found for mean in values.mean(0)]
    means = Series("mean", tuple(float(layer) for layer, _ in found), tuple(float(values.mean()) for _, values in found))
    points = Series("heads", tuple(x for x, _ in heads), tuple(y for _, y in heads), style="points")
    return Curve("How far attention looks", "layer", "distance (sides of the image)", (points, means))


def curvature(state: Krylov, trace: Measurement, images: int, weights: int) -> Table:
    """What was found of the Hessian."""
    top, lowest, error = state.ritz()
    rows: list[tuple[str, str]] = [
        ("largest eigenvalue", f"{significant(top)} ± {significant(error)}"),
        ("smallest eigenvalue found", significant(lowest)),
        ("trace", significant(trace.value)),
        ("mean eigenvalue", significant(trace.value / weights)),
        ("images", str(images)),
        ("weights", str(weights)),
        ("Hessian products", f"{state.steps} for the largest, {len(trace.samples)} for the trace"),
    ]
    return Table("Curvature of the loss", ("quantity", "value"), tuple(rows))


def _means(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(mean) for mean in values.mean(0))
