"""Entropy, mean attention distance and high-frequency response by layer, head and image: stored rows, outcomes, figures and findings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.figures import Curve, Series
from efficient360.core.findings import Finding
from efficient360.core.measurement import Failure, Outcome, Status
from efficient360.errors import Unsupported
from efficient360.methods.spectral.attention_statistics import AttentionStatistics
from efficient360.methods.spectral.feature_metrics import (
    ATTENTION_DISTANCE,
    ATTENTION_ENTROPY,
    ATTENTION_RESPONSE,
    FeatureOutcomes,
    mean_over_images,
    unsupported,
)

ENTROPY: Final = "entropy"
RESPONSE: Final = "response"
DISTANCE: Final = "distance"

ATTENTION_METRICS: Final = (ATTENTION_RESPONSE, ATTENTION_ENTROPY, ATTENTION_DISTANCE)
UNIFORM: Final = 0.1
"""High-frequency response below which a layer returns nearly the same value for every token."""
PEAKED: Final = 0.05
"""Entropy, as a share of the maximum, below which each token of a layer attends to a single one."""
_MAX_LISTED: Final = 8


@final
@dataclass(frozen=True)
class AttentionColumns:
    """The columns of one layer in a row of :class:`AttentionTable`.

    Args:
        name: Dotted name of the layer.
        heads: Number of heads.
        statistics: Those of ``ENTROPY``, ``RESPONSE`` and ``DISTANCE`` that it has, in this order, one column per head each.
    """

    name: str
    heads: int
    statistics: tuple[str, ...]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.heads * len(self.statistics)


def attention_columns(layers: Sequence[AttentionStatistics]) -> tuple[AttentionColumns, ...]:
    """The columns of rows made of these layers."""
    statistics = ((ENTROPY, RESPONSE), (ENTROPY, RESPONSE, DISTANCE))
    return tuple(AttentionColumns(layer.name, layer.entropy.shape[1], statistics[layer.distance is not None]) for layer in layers)


def attention_rows(layers: Sequence[AttentionStatistics]) -> NDArray[np.float64]:
    """One row per image, ``(B, width)``."""
    columns = [values for layer in layers for values in (layer.entropy, layer.response, layer.distance) if values is not None]
    rows: NDArray[np.float64] = torch.cat(columns, 1).cpu().double().numpy()
    return rows


@final
@dataclass(frozen=True)
class AttentionTable:
    """Attention statistics of every layer and head on some images.

    Args:
        layers: In order.
        rows: ``(n, width)``.
    """

    layers: tuple[AttentionColumns, ...]
    rows: NDArray[Any]

    def by_layer(self, statistic: str) -> list[tuple[int, NDArray[np.float64]]]:
        """Number of the layer from 1, and values ``(n, heads)``, of each layer that has the statistic."""
        selected = []
        start = 0
        for number, layer in enumerate(self.layers, 1):
            if statistic in layer.statistics:
                first = start + layer.heads * layer.statistics.index(statistic)
                selected.append((number, self.rows[:, first : first + layer.heads]))
            start += layer.width
        return selected

    def by_image(self, statistic: str) -> NDArray[np.float64]:
        """Mean over heads, then over layers, ``(n,)``; all layers weigh the same. Empty where no layer has the statistic."""
        means = [values.mean(1) for _, values in self.by_layer(statistic)]
        return np.mean(means, axis=0) if means else np.empty(0)


def attention_outcomes(table: AttentionTable, network: str, seed: int) -> FeatureOutcomes:
    """Response, entropy and distance, mean over layers and heads.

    Args:
        table: Statistics of every layer.
        network: Class name of the network, for messages.
        seed: Seed of the bootstrap intervals.
    """
    return FeatureOutcomes(list(_outcomes(table, network, seed)), list(attention_findings(table)))


def _outcomes(table: AttentionTable, network: str, seed: int) -> Iterator[Outcome]:
    yield mean_over_images(ATTENTION_RESPONSE, table.by_image(RESPONSE), seed, (_entropy_and_response(table),))
    yield mean_over_images(ATTENTION_ENTROPY, table.by_image(ENTROPY), seed)
    distance = table.by_image(DISTANCE)
    if len(distance):
        yield mean_over_images(ATTENTION_DISTANCE, distance, seed, (_distance_by_head(table),))
    else:
        message = f"the positions of the tokens that the attention of {network} looks at are unknown"
        yield Failure(Status.UNSUPPORTED, "no-places", message, "read its entropy and response", ATTENTION_DISTANCE)


def no_attention(network: str) -> FeatureOutcomes:
    """Failures of a network that shows no attention.

    Args:
        network: Class name of the network.
    """
    message = f"{network} shows no attention between its tokens: it has none, or never materialises the matrix"
    return unsupported(ATTENTION_METRICS, Unsupported("no-attention", message, "the Fourier spectra of its tokens show how it mixes them"))


def attention_findings(table: AttentionTable) -> Iterator[Finding]:
    """Layers whose attention is nearly uniform, or peaked on single tokens."""
    uniform = [layer for layer, values in table.by_layer(RESPONSE) if values.mean() < UNIFORM]
    if uniform:
        message = f"in {len(uniform)} of {len(table.layers)} layers attention gives every token nearly the same value ({_listed(uniform)})"
        yield Finding("even-attention", message, "such a layer only adds a mean: try a cheaper mixer or none in its place")
    peaked = [layer for layer, values in table.by_layer(ENTROPY) if values.mean() < PEAKED]
    if peaked:
        message = f"in {len(peaked)} of {len(table.layers)} layers each token attends to hardly more than one token ({_listed(peaked)})"
        yield Finding("sharp-attention", message, "low attention entropy goes with unstable training: look at the norms of queries and keys")


def _listed(layers: list[int]) -> str:
    shown = ", ".join(str(layer) for layer in layers[:_MAX_LISTED])
    return f"layer {shown}" if len(layers) == 1 else f"layers {shown}{' …' if len(layers) > _MAX_LISTED else ''}"


def _entropy_and_response(table: AttentionTable) -> Curve:
    series = []
    for name, statistic in (("entropy, share of the maximum", ENTROPY), ("high-frequency response", RESPONSE)):
        layers = table.by_layer(statistic)
        series.append(Series(name, tuple(float(layer) for layer, _ in layers), tuple(float(values.mean()) for _, values in layers)))
    return Curve("Attention entropy and high-frequency response by layer", "layer", "0 to 1", tuple(series))


def _distance_by_head(table: AttentionTable) -> Curve:
    layers = table.by_layer(DISTANCE)
    heads = [(float(layer), float(mean)) for layer, values in layers for mean in values.mean(0)]
    means = Series("mean", tuple(float(layer) for layer, _ in layers), tuple(float(values.mean()) for _, values in layers))
    points = Series("heads", tuple(x for x, _ in heads), tuple(y for _, y in heads), style="points")
    return Curve("Mean attention distance by layer", "layer", "distance (image sides)", (points, means))
