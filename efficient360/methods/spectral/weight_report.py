"""Figures and findings of ``weight_spectrum``: stable rank and α through depth, one layer's eigenvalues, outlier layers, warnings."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Curve, Figure, Series, Table
from efficient360.core.findings import Finding
from efficient360.methods.spectral.layer_spectra import LayerSpectrum
from efficient360.methods.spectral.linear_operators import OperatorInventory
from efficient360.methods.spectral.lipschitz import NormProduct
from efficient360.methods.spectral.stable_rank import random_stable_rank
from efficient360.methods.spectral.weight_metrics import ALPHA_RANGE
from efficient360.methods.spectral.weight_roles import WeightRole

DRAWN_ROLES: Final = (WeightRole.QUERY, WeightRole.KEY, WeightRole.VALUE, WeightRole.PROJECTION, WeightRole.MLP, WeightRole.CONVOLUTION)
MAX_ROWS: Final = 15
POOR_FIT: Final = 0.1
"""Kolmogorov-Smirnov distance above which the tail is hardly a power law."""
COLLAPSED: Final = 1.5
"""Stable rank below which one direction of a matrix or head has more than twice the squared singular value of all others together."""
WELL_COVERED: Final = 0.9
"""Share of the parameters that the spectra must cover to represent the network."""


def weight_figures(layers: Sequence[LayerSpectrum]) -> Iterator[Figure]:
    """Stable rank and α through depth by role, the eigenvalues of the median layer, and a table of outlier layers."""
    yield _by_depth("Stable rank by layer", "stable rank as a share of the full rank", layers, lambda layer: layer.spectrum.stable_rank_share, ())
    fitted = [layer for layer in layers if layer.power_law is not None]
    if fitted:
        yield _by_depth("Power-law exponent α by layer", "α", fitted, lambda layer: layer.power_law.alpha if layer.power_law else math.nan, ALPHA_RANGE)
    if median := _median_layer(layers):
        yield _eigenvalue_curve(median)
    yield outlier_layers(layers)


def _by_depth(title: str, label: str, layers: Sequence[LayerSpectrum], value: Callable[[LayerSpectrum], float], marks: Sequence[float]) -> Curve:
    by_line: dict[str, list[LayerSpectrum]] = {}
    for layer in sorted((layer for layer in layers if layer.role in DRAWN_ROLES), key=lambda layer: DRAWN_ROLES.index(layer.role)):
        by_line.setdefault(_line_name(layer), []).append(layer)
    series = [Series(name, tuple(float(layer.number) for layer in group), tuple(value(layer) for layer in group)) for name, group in by_line.items()]
    ends = (float(layers[0].number), float(layers[-1].number))
    references = [Series(f"{label} = {mark:g}", ends, (mark, mark), style="reference") for mark in marks]
    return Curve(title, "layer", label, (*series, *references))


def _line_name(layer: LayerSpectrum) -> str:
    """The role; the two sides of an MLP differ too much for one line."""
    if layer.role is not WeightRole.MLP:
        return str(layer.role)
    return "mlp, expansion" if layer.shape[0] >= layer.shape[1] else "mlp, contraction"


def _median_layer(layers: Sequence[LayerSpectrum]) -> LayerSpectrum | None:
    """The layer of median α; if none was fitted, the matrix of median stable rank ratio."""
    fitted = sorted((layer for layer in layers if layer.power_law is not None), key=lambda layer: layer.power_law.alpha if layer.power_law else 0.0)
    matrices = sorted((layer for layer in layers if layer.stable_rank_ratio is not None), key=lambda layer: layer.stable_rank_ratio or 0.0)
    ordered = fitted or matrices
    return ordered[len(ordered) // 2] if ordered else None


def _eigenvalue_curve(layer: LayerSpectrum) -> Curve:
    eigenvalues = layer.spectrum.eigenvalues
    eigenvalues = eigenvalues[eigenvalues > 1e-12 * eigenvalues[-1]]
    survival = 1 - np.arange(len(eigenvalues)) / len(eigenvalues)
    series = [Series("eigenvalues", _floats(eigenvalues), _floats(survival), style="points")]
    if (law := layer.power_law) is not None:
        x = np.geomspace(law.x_min, eigenvalues[-1], 20)
        tail_share = law.size / len(eigenvalues)
        series.append(Series(f"power law, α = {law.alpha:.2f}", _floats(x), _floats(tail_share * law.survival(x))))
    # The eigenvalues of a random matrix of the same Frobenius norm end here.
    edge = layer.spectrum.squared_frobenius / random_stable_rank(*layer.shape)
    series.append(Series("Marchenko-Pastur upper edge", (edge, edge), (float(survival[-1]), 1.0), style="reference"))
    return Curve(f"Eigenvalues of WᵀW: {layer.name}", "eigenvalue λ", "share of eigenvalues ≥ λ", tuple(series), x_log=True, y_log=True)


def _floats(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def outlier_layers(layers: Sequence[LayerSpectrum]) -> Table:
    """The layers with the largest norms, the lowest ranks and the most extreme α, at most fifteen, each with the reason."""
    fitted = [layer for layer in layers if layer.power_law is not None]
    matrices = [layer for layer in layers if layer.stable_rank_ratio is not None]
    reasons: dict[int, list[str]] = {}

    def choose(candidates: Sequence[LayerSpectrum], key: Callable[[LayerSpectrum], float], reason: str, count: int) -> None:
        for layer in sorted(candidates, key=key)[:count]:
            reasons.setdefault(layer.number, []).append(reason)

    choose(layers, lambda layer: -layer.spectrum.spectral_norm, "norm", 4)
    choose(matrices, lambda layer: layer.spectrum.stable_rank_share, "low stable rank", 4)
    choose(matrices, lambda layer: layer.spectrum.effective_rank_share, "low effective rank", 2)
    choose([layer for layer in layers if layer.head_rank_shares], lambda layer: min(layer.head_rank_shares), "low-rank head", 1)
    choose(fitted, lambda layer: -layer.power_law.alpha if layer.power_law else 0.0, "high α", 2)
    choose(fitted, lambda layer: layer.power_law.alpha if layer.power_law else 0.0, "low α", 2)
    rows = [_row(layer, ", ".join(reasons[layer.number])) for layer in layers if layer.number in reasons]
    heads = ("Layer", "Role", "Shape", "Spectral norm", "Stable rank", "Effective rank", "α (KS distance)", "Lowest head rank", "Outlier in")
    return Table("Outlier layers", heads, tuple(rows[:MAX_ROWS]))


def _row(layer: LayerSpectrum, reason: str) -> tuple[str, ...]:
    spectrum = layer.spectrum
    shape = "×".join(str(side) for side in layer.shape)
    law = f"{layer.power_law.alpha:.2f} ({layer.power_law.ks_distance:.2f})" if layer.power_law else ""
    rank = _head_full_rank(layer) if layer.head_rank_shares else 0
    head = f"{min(layer.head_rank_shares) * rank:.1f} of {rank}" if layer.head_rank_shares else ""
    stable = f"{spectrum.stable_rank_share:.1%}" if not shape else f"{spectrum.stable_rank:.1f} of {spectrum.full_rank}"
    return layer.name, str(layer.role), shape, f"{spectrum.spectral_norm:.3g}", stable, f"{spectrum.effective_rank_share:.0%}", law, head, reason


def _head_full_rank(layer: LayerSpectrum) -> int:
    return min(layer.shape[0] // len(layer.head_rank_shares), layer.shape[1])


def weight_findings(inventory: OperatorInventory, layers: Sequence[LayerSpectrum], product: NormProduct) -> Iterator[Finding]:
    """All warnings, the most important first."""
    yield from _alpha_findings(layers)
    yield from _collapse_findings(layers)
    if not product.is_bound:
        names = ", ".join(f"{name} ×{count}" for name, count in _main_causes(product))
        yield Finding(
            "no-lipschitz-bound",
            f"the network is not a plain chain of layers: {names}",
            "read the norm product and the spectral complexity as measures of weight size only: skip connections add, and neither layer norms nor softmax "
            "attention have a Lipschitz constant that the weights determine (Kim, Papamakarios & Mnih 2021)",
        )
    if inventory.covered_parameters < WELL_COVERED * inventory.total_parameters:
        share = f"{inventory.covered_parameters / inventory.total_parameters:.0%}"
        yield Finding("partly-seen", f"the weights analysed as operators hold {share} of the parameters", "no spectrum here describes the rest")
    if inventory.unused:
        yield Finding("unused", f"the forward pass never reaches {len(inventory.unused)} convolutions, such as {inventory.unused[0]}", "they were left out")


def _alpha_findings(layers: Sequence[LayerSpectrum]) -> Iterator[Finding]:
    laws = [layer.power_law for layer in layers if layer.power_law is not None]
    low, high = ALPHA_RANGE
    above, below = (sum(law.alpha > high for law in laws), sum(law.alpha < low for law in laws))
    poor = sum(law.ks_distance > POOR_FIT for law in laws)
    if above:
        yield Finding(
            "light-tails",
            f"{above} of {len(laws)} matrices have α above {high:g}",
            "WeightWatcher's authors read this as undertrained layers (an empirical observation): compare with a longer training",
        )
    if below:
        yield Finding(
            "heavy-tails",
            f"{below} of {len(laws)} matrices have α below {low:g}",
            "WeightWatcher's authors read this as a possible sign of overfitting, or of one outlying eigenvalue: look at the layer's spectrum",
        )
    if poor:
        yield Finding(
            "poor-fit",
            f"for {poor} of {len(laws)} matrices the Kolmogorov-Smirnov distance of the power law is above {POOR_FIT:g}",
            "their tails are hardly power laws, and their α means little",
        )


def _collapse_findings(layers: Sequence[LayerSpectrum]) -> Iterator[Finding]:
    matrices = [layer for layer in layers if layer.stable_rank_ratio is not None]
    collapsed = [layer.name for layer in matrices if layer.spectrum.stable_rank < COLLAPSED]
    heads = [layer.name for layer in matrices for share in layer.head_rank_shares if share * _head_full_rank(layer) < COLLAPSED]
    for what, names in (("matrices", collapsed), ("heads", heads)):
        if names:
            message = f"{len(names)} {what} have a stable rank below {COLLAPSED:g} (one dominant direction), such as {names[0]}"
            yield Finding(f"collapsed-{what}", message, "they may be compressible, or dead")


def _main_causes(product: NormProduct) -> Sequence[tuple[str, int]]:
    """Normalisation and attention where there are any: they are why there is no bound."""
    causes = [entry for entry in product.unbounded if "Norm" in entry[0] or "Att" in entry[0]]
    return (causes or product.unbounded)[:4]
