"""Hessians known in closed form and as whole matrices; eigenvalues and traces from products alone."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, hessian

from efficient360.core.measurement import Failure, Measurement
from efficient360.errors import OutOfTime, Unsupported
from efficient360.methods.spectral.curvature import explored, traced
from efficient360.methods.spectral.curvature_part import curvature
from efficient360.methods.spectral.hessian import LossHessian
from efficient360.methods.spectral.hutchinson import mean_with_interval, probed, signs
from efficient360.methods.spectral.top_eigenvalue import begun
from efficient360.models.model import PixelsToLogits, TorchModel
from efficient360.storage.row_log import RowLog

SIZE, CLASSES, N = (3, 2, 2), 3, 7


class SmallAttention(nn.Module):
    """One layer of fused attention between four pixels, then a readout."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.head = nn.Linear(3, 9), nn.Linear(3, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        q, k, v = self.qkv(images.flatten(2).mT).chunk(3, -1)
        mixed = nn.functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return self.head(torch.tanh(mixed).mean(1))


class Doubled(torch.autograd.Function):
    """Twice its input, derived by an operator that can't be derived again."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return 2 * gradient


class Fused(nn.Module):
    """Calls the fused attention by its own name, which no setting replaces."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.linear(images.flatten(2).mT)[:, None]
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(tokens, tokens, tokens)[0].mean((1, 2))


class OnceOnly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return Doubled.apply(self.linear(images.flatten(1)))


def model_of(network: nn.Module) -> TorchModel:
    with torch.no_grad():
        for i, parameter in enumerate(network.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)))
    return TorchModel(PixelsToLogits(network, [0.5] * 3, [1.0] * 3, None).eval().requires_grad_(False), SIZE, CLASSES)


def of(network: nn.Module, rows: int = 3) -> LossHessian:
    images = torch.rand((N, *SIZE), generator=torch.Generator().manual_seed(9))
    return LossHessian(model_of(network), images, torch.arange(N) % CLASSES, rows)


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, CLASSES, bias=False))


def dense(products: Callable[[Tensor], Tensor], size: int) -> Tensor:
    return torch.stack([products(row) for row in torch.eye(size)])


def matrix_product(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda vector: matrix @ vector


def test_the_hessian_of_softmax_regression_is_the_known_one() -> None:
    found = of(linear())
    x = (found.images - 0.5).flatten(1)
    p = found.model(found.images).softmax(1)
    expected = sum(torch.kron(torch.diag(p[i]) - torch.outer(p[i], p[i]), torch.outer(x[i], x[i])) for i in range(N)) / N
    torch.testing.assert_close(dense(found.product, found.size), expected, atol=1e-6, rtol=1e-5)


def test_a_network_whose_fused_attention_stays_says_so() -> None:
    with pytest.raises(Unsupported, match="Fused has no second derivative: derivative for aten::"):
        of(Fused()).require()


def test_a_loss_that_no_weight_bends_has_no_curvature() -> None:
    found = of(nn.Sequential(nn.Flatten(), nn.Linear(12, 1)))
    found = LossHessian(found.model, found.images, torch.zeros(N, dtype=torch.long), 3)
    assert not found.product(torch.ones(found.size)).any()
    found.require()


@pytest.mark.parametrize("rows", [2, 64])
def test_the_hessian_through_fused_attention_is_the_whole_matrix_of_derivatives(rows: int) -> None:
    found = of(SmallAttention(), rows)
    named = dict(found.model.module.named_parameters())
    shapes = {name: p.shape for name, p in named.items()}
    flat = torch.cat([p.flatten() for p in named.values()])

    def loss(weights: Tensor) -> Tensor:
        parts = weights.split([math.prod(shape) for shape in shapes.values()])
        held = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return nn.functional.cross_entropy(functional_call(found.model.module, held, (found.images,)), found.labels)

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = hessian(loss)(flat)
    torch.testing.assert_close(dense(found.product, found.size), expected, atol=1e-5, rtol=1e-4)
    assert not any(p.requires_grad for p in found.model.module.parameters())


def test_top_eigenvalue_and_trace_of_a_network_against_the_whole_matrix(tmp_path: Path) -> None:
    found = of(SmallAttention())
    matrix = dense(found.product, found.size)
    part = curvature(found, 40, 60, 0, tmp_path, lambda: None)
    top, trace = part.outcomes
    assert isinstance(top, Measurement)
    assert isinstance(trace, Measurement)
    exact = torch.linalg.eigvalsh(matrix.double())
    assert top.value == pytest.approx(exact[-1].item(), rel=0.01)
    assert top.interval is not None
    assert top.interval.low <= exact[-1].item() * (1 + 1e-5) <= top.interval.high * (1 + 1e-4)
    assert trace.interval is not None
    assert trace.interval.low <= matrix.trace().item() <= trace.interval.high
    assert (trace.n, len(trace.samples), top.n) == (60, 60, N)


def test_the_trace_of_a_diagonal_matrix_is_exact_with_one_probe() -> None:
    entries = torch.arange(10.0) - 3
    assert probed(lambda vector: entries * vector, signs(10, 0, 0)) == pytest.approx(entries.sum().item())


def test_probes_estimate_the_trace_without_bias_within_their_interval() -> None:
    matrix = torch.randn((30, 30), generator=torch.Generator().manual_seed(0))
    matrix = matrix + matrix.T
    estimates = [probed(matrix_product(matrix), signs(30, 1, number)) for number in range(400)]
    # the variance of an estimate is twice the sum of squares off the diagonal
    spread = math.sqrt(2 * (matrix.square().sum() - matrix.diag().square().sum()).item() / 400)
    mean, interval = mean_with_interval(estimates)
    assert mean == pytest.approx(matrix.trace().item(), abs=4 * spread)
    assert interval.high - interval.low == pytest.approx(2 * 1.966 * spread, rel=0.15)


def test_probes_are_signs_of_their_own() -> None:
    assert set(signs(50, 0, 0).tolist()) == {-1, 1}
    assert torch.equal(signs(50, 0, 3), signs(50, 0, 3))
    assert not torch.equal(signs(50, 0, 0), signs(50, 0, 1))
    assert not torch.equal(signs(50, 0, 0), signs(50, 1, 0))


@settings(max_examples=20, deadline=None)
@given(size=st.integers(2, 12), seed=st.integers(0, 999))
def test_as_many_steps_as_there_are_weights_find_the_whole_range(size: int, seed: int) -> None:
    matrix = torch.from_numpy(np.random.default_rng(seed).normal(size=(size, size))).float()
    matrix = matrix + matrix.T
    state = begun(size, seed)
    while state.steps < size and not state.settled(1e-6):
        state = state.advanced(matrix_product(matrix))
    top, lowest, error = state.ritz()
    exact = torch.linalg.eigvalsh(matrix.double())
    assert top == pytest.approx(exact[-1].item(), abs=1e-3 + error)
    assert lowest >= exact[0].item() - 1e-3


def test_a_vector_of_a_single_eigenvalue_settles_at_once() -> None:
    state = begun(5, 0).advanced(lambda vector: 3 * vector)
    assert state.settled(0.01)
    assert state.ritz()[0] == pytest.approx(3)
    assert not begun(5, 0).settled(0.01)


def test_the_steps_go_on_from_where_they_were_stopped(tmp_path: Path) -> None:
    found = of(SmallAttention())
    whole = explored(found, 6, 0, tmp_path / "whole.safetensors", lambda: None)
    left = iter([None] * 2)

    def tick() -> None:
        if next(left, "spent") == "spent":
            raise OutOfTime("time-budget", "spent")

    with pytest.raises(OutOfTime):
        explored(found, 6, 0, tmp_path / "part.safetensors", tick)
    done: list[int] = []
    resumed = explored(found, 6, 0, tmp_path / "part.safetensors", lambda: done.append(1))
    assert resumed.diagonal == whole.diagonal
    assert resumed.beside == whole.beside
    assert len(done) == whole.steps - 2 > 0


def test_probes_that_are_done_are_not_done_again(tmp_path: Path) -> None:
    found, log = of(linear()), RowLog(tmp_path / "trace.f64", 1, "float64")
    first = traced(found, 3, 0, log, lambda: None)
    done: list[int] = []
    assert traced(found, 5, 0, log, lambda: done.append(1))[:3] == first
    assert len(done) == 2


def test_a_network_that_can_be_derived_only_once_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="OnceOnly has no second derivative"):
        of(OnceOnly()).require()
    found = curvature(of(OnceOnly()), 2, 2, 0, tmp_path, lambda: None).outcomes
    assert [one.code for one in found if isinstance(one, Failure)] == ["no-second-derivative"] * 2
