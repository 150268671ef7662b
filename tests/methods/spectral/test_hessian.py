"""Hessians known in closed form and as whole matrices; top eigenvalue and trace from products alone."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian

from efficient360.core.measurement import Failure, Interval, Measurement
from efficient360.errors import OutOfTime, Unsupported
from efficient360.methods.spectral.feature_metrics import HESSIAN_TRACE
from efficient360.methods.spectral.hessian import LossHessian
from efficient360.methods.spectral.hessian_top_eigenvalue import (
    hessian_findings,
    hessian_outcomes,
    hutchinson_estimate,
    mean_with_interval,
    rademacher_vector,
    run_lanczos,
    trace_estimates,
)
from efficient360.methods.spectral.lanczos import LanczosState
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
    """Twice its input, by an operator that can be differentiated only once."""

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


def loss_hessian(network: nn.Module, rows: int = 3) -> LossHessian:
    images = torch.rand((N, *SIZE), generator=torch.Generator().manual_seed(9))
    return LossHessian(model_of(network), images, torch.arange(N) % CLASSES, rows)


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, CLASSES, bias=False))


def dense(products: Callable[[Tensor], Tensor], size: int) -> Tensor:
    return torch.stack([products(row) for row in torch.eye(size)])


def matrix_product(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda vector: matrix @ vector


def test_the_lossof_softmax_regression_is_the_known_one() -> None:
    found = loss_hessian(linear())
    x = (found.images - 0.5).flatten(1)
    p = found.model(found.images).softmax(1)
    expected = sum(torch.kron(torch.diag(p[i]) - torch.outer(p[i], p[i]), torch.outer(x[i], x[i])) for i in range(N)) / N
    torch.testing.assert_close(dense(found.product, found.size), expected, atol=1e-6, rtol=1e-5)


def test_fused_attention_called_by_name_has_no_second_derivative() -> None:
    with pytest.raises(Unsupported, match="derivative for aten::") as error:
        loss_hessian(Fused()).require_second_derivative()
    assert error.value.code == "no-second-derivative"


def test_a_loss_that_is_constant_has_no_curvature() -> None:
    found = loss_hessian(nn.Sequential(nn.Flatten(), nn.Linear(12, 1)))
    found = LossHessian(found.model, found.images, torch.zeros(N, dtype=torch.long), 3)
    assert not found.product(torch.ones(found.size)).any()
    found.require_second_derivative()


@pytest.mark.parametrize("rows", [2, 64])
def test_the_lossthrough_fused_attention_is_the_whole_matrix_of_derivatives(rows: int) -> None:
    found = loss_hessian(SmallAttention(), rows)
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
    found = loss_hessian(SmallAttention())
    matrix = dense(found.product, found.size)
    part = hessian_outcomes(found, 40, 60, 0, tmp_path, lambda: None)
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
    assert hutchinson_estimate(lambda vector: entries * vector, rademacher_vector(10, 0, 0)) == pytest.approx(entries.sum().item())


def test_probes_estimate_the_trace_without_bias_within_their_interval() -> None:
    matrix = torch.randn((30, 30), generator=torch.Generator().manual_seed(0))
    matrix = matrix + matrix.T
    estimates = [hutchinson_estimate(matrix_product(matrix), rademacher_vector(30, 1, number)) for number in range(400)]
    # the variance of an estimate is twice the sum of squares off the diagonal
    spread = math.sqrt(2 * (matrix.square().sum() - matrix.diag().square().sum()).item() / 400)
    mean, interval = mean_with_interval(estimates)
    assert mean == pytest.approx(matrix.trace().item(), abs=4 * spread)
    assert interval.high - interval.low == pytest.approx(2 * 1.966 * spread, rel=0.15)


def test_probes_are_signs_determined_by_seed_and_number() -> None:
    assert set(rademacher_vector(50, 0, 0).tolist()) == {-1, 1}
    assert torch.equal(rademacher_vector(50, 0, 3), rademacher_vector(50, 0, 3))
    assert not torch.equal(rademacher_vector(50, 0, 0), rademacher_vector(50, 0, 1))
    assert not torch.equal(rademacher_vector(50, 0, 0), rademacher_vector(50, 1, 0))


def test_an_interrupted_iteration_resumes(tmp_path: Path) -> None:
    found = loss_hessian(SmallAttention())
    whole = run_lanczos(found, 6, 0, tmp_path / "whole.safetensors", lambda: None)
    left = iter([None] * 2)

    def before_product() -> None:
        if next(left, "spent") == "spent":
            raise OutOfTime("time-budget", "spent")

    with pytest.raises(OutOfTime):
        run_lanczos(found, 6, 0, tmp_path / "part.safetensors", before_product)
    steps: list[int] = []
    resumed = run_lanczos(found, 6, 0, tmp_path / "part.safetensors", lambda: steps.append(1))
    assert resumed.diagonal == whole.diagonal
    assert resumed.off_diagonal == whole.off_diagonal
    assert len(steps) == whole.steps - 2 > 0


def test_finished_probes_are_not_repeated(tmp_path: Path) -> None:
    loss, log = loss_hessian(linear()), RowLog(tmp_path / "trace.f64", 1, "float64")
    first = trace_estimates(loss, 3, 0, log, lambda: None)
    done: list[int] = []
    assert trace_estimates(loss, 5, 0, log, lambda: done.append(1))[:3] == first
    assert len(done) == 2


def test_an_operator_differentiable_only_once_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as error:
        loss_hessian(OnceOnly()).require_second_derivative()
    assert error.value.code == "no-second-derivative"
    outcomes = hessian_outcomes(loss_hessian(OnceOnly()), 2, 2, 0, tmp_path, lambda: None).outcomes
    assert [outcome.code for outcome in outcomes if isinstance(outcome, Failure)] == ["no-second-derivative"] * 2


def lanczos_state(diagonal: tuple[float, ...], off_diagonal: tuple[float, ...]) -> LanczosState:
    return LanczosState(diagonal, off_diagonal, torch.zeros(2), torch.zeros(2))


def trace(value: float, low: float, high: float) -> Measurement:
    return Measurement(HESSIAN_TRACE, value, 5, Interval(low, high, "student-t"))


def test_a_converged_minimum_with_a_precise_trace_has_no_findings() -> None:
    assert list(hessian_findings(lanczos_state((10.0, 1.0), (0.0, 0.0)), trace(20, 15, 25))) == []


def test_an_unconverged_eigenvalue_an_uncertain_trace_and_a_saddle_are_findings() -> None:
    # Ritz values ± 5 with a residual vector of norm 5
    findings = list(hessian_findings(lanczos_state((0.0, 0.0), (5.0, 5.0)), trace(20, -5, 45)))
    assert [finding.code for finding in findings] == ["unsettled-eigenvalue", "uncertain-trace", "no-minimum"]
    assert "after 2 steps the largest eigenvalue 5.00 is known to ± 3.54" in findings[0].message
