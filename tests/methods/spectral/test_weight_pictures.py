import numpy as np
import pytest
import torch

from efficient360.core.figures import Curve, Table
from efficient360.methods.spectral.inventory import Inventory, MatrixWeight
from efficient360.methods.spectral.kinds import Kind
from efficient360.methods.spectral.layers import Layer, layers_of
from efficient360.methods.spectral.norm_product import NormProduct
from efficient360.methods.spectral.power_law import PowerLaw
from efficient360.methods.spectral.singular_values import Spectrum
from efficient360.methods.spectral.weight_findings import findings
from efficient360.methods.spectral.weight_pictures import extremes, pictures

BOUND = NormProduct(1.0, "", ())
WHOLE = Inventory((), 10, 10)


def layers(n: int = 40, side: int = 32) -> list[Layer]:
    generator = torch.Generator().manual_seed(0)
    kinds = (Kind.QUERY, Kind.KEY, Kind.MLP, Kind.MLP)
    shapes = ((side, side), (side, side), (2 * side, side), (side, 2 * side))
    weights = [MatrixWeight(f"layer {i}", kinds[i % 4], torch.randn(1, *shapes[i % 4], generator=generator), 2 if i % 4 < 2 else 1) for i in range(n)]
    return list(layers_of(Inventory(weights, 1, 1), 16, 0, lambda done, total: None))


def ranked(kind: Kind, energy: float, heads: tuple[float, ...] = (), alpha: float | None = None, distance: float = 0.01) -> Layer:
    law = None if alpha is None else PowerLaw(alpha, 1.0, 10, distance)
    return Layer("one", kind, 1, (16, 16), Spectrum(1.0, energy, 16, 0.5, 1.0, np.ones(16)), law, heads)


def test_lines_through_depth_hold_every_layer_of_their_kind() -> None:
    found = layers()
    stable, alpha = list(pictures(found))[:2]
    assert isinstance(stable, Curve)
    assert isinstance(alpha, Curve)
    assert [one.name for one in stable.series] == ["q", "k", "mlp, widening", "mlp, narrowing"]
    assert stable.series[2].x == tuple(float(n) for n in range(3, 40, 4))
    assert stable.series[0].y[0] == found[0].spectrum.stable_share
    assert [one.name for one in alpha.series][-2:] == ["α = 2", "α = 6"]


def test_a_layers_eigenvalues_stand_beside_their_law_and_the_edge_of_chance() -> None:
    found = layers(4)
    curve = list(pictures(found))[2]
    assert isinstance(curve, Curve)
    eigenvalues, law, edge = curve.series
    assert max(eigenvalues.y) == 1
    assert len(eigenvalues.x) == 32
    assert eigenvalues.x[-1] == law.x[-1] == pytest.approx(max(eigenvalues.x))
    # of a random matrix the largest eigenvalue lies at the edge
    assert edge.x[0] == pytest.approx(eigenvalues.x[-1], rel=0.25)
    at_start = eigenvalues.y[eigenvalues.x.index(min(eigenvalues.x, key=lambda x: abs(x - law.x[0])))]
    assert law.y[0] == pytest.approx(at_start)


def test_the_table_of_extremes_is_short_and_says_why() -> None:
    found = layers()
    table = extremes(found)
    assert isinstance(table, Table)
    assert len(table.rows) <= 15
    largest = max(found, key=lambda one: one.spectrum.norm)
    row = next(row for row in table.rows if row[0] == largest.name)
    assert str(row[-1]).startswith("norm")
    assert row[3] == f"{largest.spectrum.norm:.3g}"


def codes(*of: Layer, inventory: Inventory = WHOLE, product: NormProduct = BOUND) -> list[str]:
    return [finding.code for finding in findings(inventory, of, product)]


def test_nothing_to_say_of_ordinary_layers() -> None:
    assert codes(ranked(Kind.QUERY, 8.0, (0.5, 0.5), 3.0)) == []


def test_each_finding_has_its_cause() -> None:
    assert codes(ranked(Kind.QUERY, 8.0, alpha=7.0)) == ["light-tails"]
    assert codes(ranked(Kind.QUERY, 8.0, alpha=1.5)) == ["heavy-tails"]
    assert codes(ranked(Kind.QUERY, 8.0, alpha=3.0, distance=0.2)) == ["poor-fit"]
    assert codes(ranked(Kind.QUERY, 1.2)) == ["collapsed-matrices"]
    assert codes(ranked(Kind.QUERY, 8.0, (0.15, 0.5))) == ["collapsed-heads"]
    assert codes(product=NormProduct(1.0, "", (("Block", 9), ("LayerNorm", 2)))) == ["no-lipschitz-bound"]
    assert codes(inventory=Inventory((), 8, 10)) == ["partly-seen"]
    assert codes(inventory=Inventory((), 10, 10, ("idle",))) == ["unused"]


def test_the_message_names_the_norms_that_leave_no_bound() -> None:
    (finding,) = findings(WHOLE, [], NormProduct(1.0, "", (("Block", 9), ("LayerNorm", 2))))
    assert finding.message == "the network is no plain chain of layers: LayerNorm ×2"
