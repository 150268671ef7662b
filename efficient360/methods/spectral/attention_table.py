"""The attention of every layer and head on some images, as rows of numbers that can be kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.methods.spectral.attention_layers import LayerAttention

ENTROPY: Final = "entropy"
RESPONSE: Final = "response"
DISTANCE: Final = "distance"


@final
@dataclass(frozen=True)
class Layer:
    """Which numbers of a row are of one layer.

    Args:
        name: Dotted name of the layer.
        heads: How many.
        measures: Those of ``ENTROPY``, ``RESPONSE`` and ``DISTANCE`` that it has, in this order, one number a head each.
    """

    name: str
    heads: int
    measures: tuple[str, ...]

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return self.heads * len(self.measures)


def layers_of(found: Sequence[LayerAttention]) -> tuple[Layer, ...]:
    """What the rows of these layers are made of."""
    return tuple(Layer(a.name, a.entropy.shape[1], (ENTROPY, RESPONSE) if a.distance is None else (ENTROPY, RESPONSE, DISTANCE)) for a in found)


def rows_of(found: Sequence[LayerAttention]) -> NDArray[np.float64]:
    """A row an image, ``(B, width)``."""
    parts = [part for a in found for part in (a.entropy, a.response, a.distance) if part is not None]
    rows: NDArray[np.float64] = torch.cat(parts, 1).cpu().double().numpy()
    return rows


@final
@dataclass(frozen=True)
class AttentionTable:
    """What the attention of each layer does on some images.

    Args:
        layers: The first layer first.
        rows: ``(n, width)``.
    """

    layers: tuple[Layer, ...]
    rows: NDArray[Any]

    def of(self, measure: str) -> list[tuple[int, NDArray[np.float64]]]:
        """Number of the layer from 1, and ``(n, heads)``, of each layer that has the measure."""
        found = []
        start = 0
        for number, layer in enumerate(self.layers, 1):
            if measure in layer.measures:
                first = start + layer.heads * layer.measures.index(measure)
                found.append((number, self.rows[:, first : first + layer.heads]))
            start += layer.width
        return found

    def by_image(self, measure: str) -> NDArray[np.float64]:
        """Mean over heads, then over layers, ``(n,)``; every layer counts alike. Empty where no layer has the measure."""
        means = [values.mean(1) for _, values in self.of(measure)]
        return np.mean(means, axis=0) if means else np.empty(0)
