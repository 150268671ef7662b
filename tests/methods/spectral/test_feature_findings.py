"""What warns of what, and the curve of accuracy behind filters."""

import numpy as np
import torch

from efficient360.core.measurement import Interval, Measurement
from efficient360.methods.spectral.attention_table import ENTROPY, RESPONSE, AttentionTable, Layer
from efficient360.methods.spectral.feature_findings import of_attention, of_curvature, of_tokens
from efficient360.methods.spectral.feature_metrics import TRACE
from efficient360.methods.spectral.feature_pictures import filters
from efficient360.methods.spectral.top_eigenvalue import Krylov


def krylov(diagonal: tuple[float, ...], beside: tuple[float, ...]) -> Krylov:
    return Krylov(diagonal, beside, torch.zeros(2), torch.zeros(2))


def trace(value: float, low: float, high: float) -> Measurement:
    return Measurement(TRACE, value, 5, Interval(low, high, "student-t"))


def test_tokens_that_are_nearly_alike_are_told_of_with_their_figures() -> None:
    (found,) = of_tokens(np.array([0.94, 0.96]), np.array([0.2, 0.3]))
    assert found.code == "similar-tokens"
    assert "cosine of 0.95" in found.message
    assert "25 % of their size" in found.message
    assert list(of_tokens(np.array([0.5]), np.array([0.7]))) == []


def test_layers_that_average_or_look_at_single_tokens_are_named() -> None:
    layers = tuple(Layer(f"blocks.{i}", 2, (ENTROPY, RESPONSE)) for i in range(3))
    #        entropy    response   of each head, layer by layer
    rows = np.array([[1.0, 0.9, 0.01, 0.03, 0.5, 0.5, 0.4, 0.4, 0.01, 0.03, 0.9, 0.9]])
    even, sharp = of_attention(AttentionTable(layers, rows))
    assert (even.code, sharp.code) == ("even-attention", "sharp-attention")
    assert "1 of 3 layers" in even.message
    assert "(layer 1)" in even.message
    assert "(layer 3)" in sharp.message


def test_a_settled_valley_with_a_sure_trace_warns_of_nothing() -> None:
    assert list(of_curvature(krylov((10.0, 1.0), (0.0, 0.0)), trace(20, 15, 25))) == []


def test_what_the_curvature_lacks() -> None:
    # eigenvalues ± 5 and a way on as long as they are
    found = list(of_curvature(krylov((0.0, 0.0), (5.0, 5.0)), trace(20, -5, 45)))
    assert [one.code for one in found] == ["unsettled-eigenvalue", "uncertain-trace", "no-minimum"]
    assert "after 2 steps the largest eigenvalue 5.00 is known to ± 3.54" in found[0].message


def test_the_curve_of_filters_ends_at_the_whole_image() -> None:
    curve = filters((0.25, 1 / 3), (0.2, 0.6), (0.5, 0.3), (0.1,), 0.9)
    below, above, between = curve.series[1:]
    assert (below.x[-1], below.y[-1]) == (1.0, 0.9)
    assert above.y == (0.5, 0.3)
    np.testing.assert_allclose(between.x, np.sqrt(0.25 / 3))
    assert len(filters((0.5,), (0.2,), (0.5,), (), 0.9).series) == 3
