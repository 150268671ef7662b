"""Figures and findings of the weights' spectra."""

import numpy as np
import pytest
import torch

from efficient360.core.figures import Curve, Table
from efficient360.methods.spectral.layer_spectra import LayerSpectrum, layer_spectra
from efficient360.methods.spectral.linear_operators import MatrixWeight, OperatorInventory
from efficient360.methods.spectral.lipschitz import NormProduct
from efficient360.methods.spectral.power_law_alpha import PowerLawTail
from efficient360.methods.spectral.stable_rank import OperatorSpectrum
from efficient360.methods.spectral.weight_report import outlier_layers, weight_figures, weight_findings
from efficient360.methods.spectral.weight_roles import WeightRole

BOUND = NormProduct(1.0, "", ())
COVERED = OperatorInventory((), 10, 10)


def layers(n: int = 40, side: int = 32) -> list[LayerSpectrum]:
    generator = torch.Generator().manual_seed(0)
    roles = (WeightRole.QUERY, WeightRole.KEY, WeightRole.MLP, WeightRole.MLP)
    shapes = ((side, side), (side, side), (2 * side, side), (side, 2 * side))
    weights = [MatrixWeight(f"layer {i}", roles[i % 4], torch.randn(1, *shapes[i % 4], generator=generator), 2 if i % 4 < 2 else 1) for i in range(n)]
    return list(layer_spectra(OperatorInventory(weights, 1, 1), 16, 0, lambda done, total: None))


def ranked(role: WeightRole, energy: float, heads: tuple[float, ...] = (), alpha: float | None = None, distance: float = 0.01) -> LayerSpectrum:
    law = None if alpha is None else PowerLawTail(alpha, 1.0, 10, distance)
    return LayerSpectrum("layer", role, 1, (16, 16), OperatorSpectrum(1.0, energy, 16, 0.5, 1.0, np.ones(16)), law, heads)


def test_lines_through_depth_hold_every_layer_of_their_role() -> None:
    spectra = layers()
    stable, alpha = list(weight_figures(spectra))[:2]
    assert isinstance(stable, Curve)
    assert isinstance(alpha, Curve)
    assert [series.name for series in stable.series] == ["q", "k", "mlp, expansion", "mlp, contraction"]
    assert stable.series[2].x == tuple(float(n) for n in range(3, 40, 4))
    assert stable.series[0].y[0] == spectra[0].spectrum.stable_rank_share
    assert [series.name for series in alpha.series][-2:] == ["α = 2", "α = 6"]


def test_a_layers_eigenvalues_with_their_power_law_and_the_marchenko_pastur_edge() -> None:
    spectra = layers(4)
    curve = list(weight_figures(spectra))[2]
    assert isinstance(curve, Curve)
    eigenvalues, law, edge = curve.series
    assert max(eigenvalues.y) == 1
    assert len(eigenvalues.x) == 32
    assert eigenvalues.x[-1] == law.x[-1] == pytest.approx(max(eigenvalues.x))
    # the largest eigenvalue of a random matrix lies at the edge
    assert edge.x[0] == pytest.approx(eigenvalues.x[-1], rel=0.25)
    at_start = eigenvalues.y[eigenvalues.x.index(min(eigenvalues.x, key=lambda x: abs(x - law.x[0])))]
    assert law.y[0] == pytest.approx(at_start)


def test_the_table_of_extremes_is_short_and_says_why() -> None:
    spectra = layers()
    table = outlier_layers(spectra)
    assert isinstance(table, Table)
    assert len(table.rows) <= 15
    largest = max(spectra, key=lambda layer: layer.spectrum.spectral_norm)
    row = next(row for row in table.rows if row[0] == largest.name)
    assert str(row[-1]).startswith("norm")
    assert row[3] == f"{largest.spectrum.spectral_norm:.3g}"


def codes(*layers: LayerSpectrum, inventory: OperatorInventory = COVERED, product: NormProduct = BOUND) -> list[str]:
    return [finding.code for finding in weight_findings(inventory, layers, product)]


def test_ordinary_layers_have_no_findings() -> None:
    assert codes(ranked(WeightRole.QUERY, 8.0, (0.5, 0.5), 3.0)) == []


def test_each_finding_has_its_cause() -> None:
    assert codes(ranked(WeightRole.QUERY, 8.0, alpha=7.0)) == ["light-tails"]
    assert codes(ranked(WeightRole.QUERY, 8.0, alpha=1.5)) == ["heavy-tails"]
    assert codes(ranked(WeightRole.QUERY, 8.0, alpha=3.0, distance=0.2)) == ["poor-fit"]
    assert codes(ranked(WeightRole.QUERY, 1.2)) == ["collapsed-matrices"]
    assert codes(ranked(WeightRole.QUERY, 8.0, (0.15, 0.5))) == ["collapsed-heads"]
    assert codes(product=NormProduct(1.0, "", (("Block", 9), ("LayerNorm", 2)))) == ["no-lipschitz-bound"]
    assert codes(inventory=OperatorInventory((), 8, 10)) == ["partly-seen"]
    assert codes(inventory=OperatorInventory((), 10, 10, ("idle",))) == ["unused"]


def test_the_message_names_the_norms_that_leave_no_bound() -> None:
    (finding,) = weight_findings(COVERED, [], NormProduct(1.0, "", (("Block", 9), ("LayerNorm", 2))))
    assert finding.message == "the network is not a plain chain of layers: LayerNorm ×2"
