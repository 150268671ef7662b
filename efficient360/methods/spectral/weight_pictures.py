"""Pictures of the spectra of weights: through depth, one layer's eigenvalues, and the layers that stand out."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Curve, Figure, Series, Table
from efficient360.methods.spectral.kinds import Kind
from efficient360.methods.spectral.layers import Layer
from efficient360.methods.spectral.singular_values import random_stable_rank
from efficient360.methods.spectral.weight_metrics import WITHIN

DRAWN: Final = (Kind.QUERY, Kind.KEY, Kind.VALUE, Kind.PROJECTION, Kind.MLP, Kind.CONVOLUTION)
ROWS: Final = 15


def pictures(layers: Sequence[Layer]) -> Iterator[Figure]:
    """Stable rank and exponent through depth by what the layers do, the eigenvalues of a typical layer, and a table of the layers that stand out."""
    yield _through_depth("Stable rank through depth", "stable rank as a share of the full rank", layers, lambda layer: layer.spectrum.stable_share, ())
    fitted = [layer for layer in layers if layer.law is not None]
    if fitted:
        yield _through_depth("Power-law exponent through depth", "α", fitted, lambda layer: layer.law.alpha if layer.law else math.nan, WITHIN)
    if typical := _typical(layers):
        yield _eigenvalues(typical)
    yield extremes(layers)


def _through_depth(title: str, label: str, layers: Sequence[Layer], value: Callable[[Layer], float], marks: Sequence[float]) -> Curve:
    drawn: dict[str, list[Layer]] = {}
    for layer in sorted((one for one in layers if one.kind in DRAWN), key=lambda one: DRAWN.index(one.kind)):
        drawn.setdefault(_line(layer), []).append(layer)
    series = [Series(name, tuple(float(one.number) for one in ours), tuple(value(one) for one in ours)) for name, ours in drawn.items()]
    ends = (float(layers[0].number), float(layers[-1].number))
    references = [Series(f"{label} = {mark:g}", ends, (mark, mark), style="reference") for mark in marks]
    return Curve(title, "layer, in order of the network", label, (*series, *references))


def _line(layer: Layer) -> str:
    """Which line a layer belongs to: the two sides of an MLP differ too much for one."""
    if layer.kind is not Kind.MLP:
        return str(layer.kind)
    return "mlp, widening" if layer.shape[0] >= layer.shape[1] else "mlp, narrowing"


def _typical(layers: Sequence[Layer]) -> Layer | None:
    """The layer whose exponent is the median one; without exponents the matrix of median stable rank."""
    fitted = sorted((layer for layer in layers if layer.law is not None), key=lambda layer: layer.law.alpha if layer.law else 0.0)
    plain = sorted((layer for layer in layers if layer.against_random is not None), key=lambda layer: layer.against_random or 0.0)
    ordered = fitted or plain
    return ordered[len(ordered) // 2] if ordered else None


def _eigenvalues(layer: Layer) -> Curve:
    squares = layer.spectrum.squares
    squares = squares[squares > 1e-12 * squares[-1]]
    above = 1 - np.arange(len(squares)) / len(squares)
    series = [Series("eigenvalues", _floats(squares), _floats(above), style="points")]
    if layer.law is not None:
        x = np.geomspace(layer.law.start, squares[-1], 20)
        share = layer.law.tail / len(squares)
        series.append(Series(f"power law, α = {layer.law.alpha:.2f}", _floats(x), _floats(share * layer.law.share_above(x))))
    # A random matrix of the same entries ends here: its stable rank is the energy over this edge.
    edge = layer.spectrum.energy / random_stable_rank(*layer.shape)
    series.append(Series("edge of a random matrix", (edge, edge), (float(above[-1]), 1.0), style="reference"))
    return Curve(f"Eigenvalues of WᵀW: {layer.name}", "eigenvalue λ", "share of eigenvalues from λ on", tuple(series), x_log=True, y_log=True)


def _floats(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def extremes(layers: Sequence[Layer]) -> Table:
    """The layers with the largest norms, the lowest ranks and the most extreme exponents, at most fifteen, each with what makes it stand out."""
    fitted = [layer for layer in layers if layer.law is not None]
    matrices = [layer for layer in layers if layer.against_random is not None]
    chosen: dict[int, list[str]] = {}

    def choose(from_these: Sequence[Layer], key: Callable[[Layer], float], why: str, most: int) -> None:
        for layer in sorted(from_these, key=key)[:most]:
            chosen.setdefault(layer.number, []).append(why)

    choose(layers, lambda layer: -layer.spectrum.norm, "norm", 4)
    choose(matrices, lambda layer: layer.spectrum.stable_share, "low stable rank", 4)
    choose(matrices, lambda layer: layer.spectrum.effective_share, "low effective rank", 2)
    choose([layer for layer in layers if layer.heads], lambda layer: min(layer.heads), "a head of low rank", 1)
    choose(fitted, lambda layer: -layer.law.alpha if layer.law else 0.0, "high α", 2)
    choose(fitted, lambda layer: layer.law.alpha if layer.law else 0.0, "low α", 2)
    rows = [_row(layer, ", ".join(chosen[layer.number])) for layer in layers if layer.number in chosen]
    heads = ("Layer", "Does", "Shape", "Spectral norm", "Stable rank", "Effective rank", "α (distance)", "Lowest head", "Stands out by")
    return Table("Layers that stand out", heads, tuple(rows[:ROWS]))


def _row(layer: Layer, why: str) -> tuple[str, ...]:
    spectrum = layer.spectrum
    shape = "×".join(str(side) for side in layer.shape)
    law = f"{layer.law.alpha:.2f} ({layer.law.distance:.2f})" if layer.law else ""
    rank = min(layer.shape[0] // len(layer.heads), layer.shape[1]) if layer.heads else 0
    head = f"{min(layer.heads) * rank:.1f} of {rank}" if layer.heads else ""
    stable = f"{spectrum.stable_share:.1%}" if not shape else f"{spectrum.stable_rank:.1f} of {spectrum.rank}"
    return layer.name, str(layer.kind), shape, f"{spectrum.norm:.3g}", stable, f"{spectrum.effective_share:.0%}", law, head, why
