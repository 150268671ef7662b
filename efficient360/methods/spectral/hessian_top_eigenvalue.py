"""Top eigenvalue (Lanczos) and trace (Hutchinson) of the loss's Hessian, saved after every product: outcomes, table and findings."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from efficient360.core.figures import Table
from efficient360.core.findings import Finding
from efficient360.core.formatting import significant
from efficient360.core.measurement import Interval, Measurement
from efficient360.core.statistics import student
from efficient360.errors import Unsupported
from efficient360.methods.spectral.feature_metrics import HESSIAN_TOP_EIGENVALUE, HESSIAN_TRACE, FeatureOutcomes, unsupported
from efficient360.methods.spectral.hessian import LossHessian
from efficient360.methods.spectral.lanczos import LanczosState, initial_state
from efficient360.storage.row_log import RowLog

HESSIAN_METRICS: Final = (HESSIAN_TOP_EIGENVALUE, HESSIAN_TRACE)
TOLERANCE: Final = 0.01
"""Relative residual of the top eigenvalue at which the iteration stops early."""


def hessian_outcomes(hessian: LossHessian, max_steps: int, probes: int, seed: int, folder: Path, before_product: Callable[[], None]) -> FeatureOutcomes:
    """Top eigenvalue within its residual, and trace with its interval over probes; failures if there is no second derivative.

    Args:
        hessian: Of the loss on some images.
        max_steps: Maximum number of Lanczos steps.
        probes: Number of Hutchinson probes for the trace, at least 2.
        seed: Seed of the random vectors.
        folder: Where finished work is saved.
        before_product: Called before each Hessian-vector product; may raise to stop.
    """
    try:
        hessian.require_second_derivative()
        state = run_lanczos(hessian, max_steps, seed, folder / "lanczos.safetensors", before_product)
        estimates = trace_estimates(hessian, probes, seed, RowLog(folder / "trace.f64", 1, "float64"), before_product)
    except Unsupported as error:
        return unsupported(HESSIAN_METRICS, error)
    mean, interval = mean_with_interval(estimates)
    images = f"the {len(hessian.images)} images"
    trace = Measurement(HESSIAN_TRACE, mean, len(estimates), interval.given(images), samples=tuple(estimates))
    top, _, residual = state.ritz_values()
    table = _curvature_table(state, trace, len(hessian.images), hessian.size)
    top_interval = Interval(top - residual, top + residual, "lanczos-residual", None, images)
    largest = Measurement(HESSIAN_TOP_EIGENVALUE, top, len(hessian.images), top_interval, extra=(table,))
    return FeatureOutcomes([largest, trace], list(hessian_findings(state, trace)))


def run_lanczos(hessian: LossHessian, max_steps: int, seed: int, path: Path, before_product: Callable[[], None]) -> LanczosState:
    """Lanczos steps until the top eigenvalue is known within 1 %, or all of them, resuming from a saved state.

    Args:
        hessian: Of the loss.
        max_steps: At least 1.
        seed: Seed of the starting vector.
        path: File that the state is saved to after each step.
        before_product: Called before each step; may raise to stop.
    """
    device = torch.device(hessian.model.device)
    state = _load(path) if path.exists() else initial_state(hessian.size, seed)
    state = LanczosState(state.diagonal, state.off_diagonal, state.previous.to(device), state.current.to(device))
    while state.steps < min(max_steps, hessian.size) and not state.converged(TOLERANCE):
        before_product()
        state = state.advance(hessian.product)
        _save(state, path)
    return state


def _save(state: LanczosState, path: Path) -> None:
    tensors: dict[str, Tensor] = {
        "diagonal": torch.tensor(state.diagonal, dtype=torch.float64),
        "beside": torch.tensor(state.off_diagonal, dtype=torch.float64),
        "last": state.previous.cpu().contiguous(),
        "following": state.current.cpu().contiguous(),
    }
    temporary = path.with_suffix(".part")
    save_file(tensors, temporary)
    temporary.replace(path)


def _load(path: Path) -> LanczosState:
    tensors = load_file(path)
    return LanczosState(tuple(tensors["diagonal"].tolist()), tuple(tensors["beside"].tolist()), tensors["last"], tensors["following"])


def trace_estimates(hessian: LossHessian, probes: int, seed: int, log: RowLog, before_product: Callable[[], None]) -> list[float]:
    """One estimate of the trace per probe; those already in the log are read from it.

    Args:
        hessian: Of the loss.
        probes: How many.
        seed: Seed of the probes.
        log: One column.
        before_product: Called before each probe; may raise to stop.
    """
    device = torch.device(hessian.model.device)
    for number in range(len(log), probes):
        before_product()
        log.append(np.array([[hutchinson_estimate(hessian.product, rademacher_vector(hessian.size, seed, number).to(device))]]))
    return [float(value) for value in log.read(0, probes)[:, 0]]


def rademacher_vector(size: int, seed: int, number: int) -> Tensor:
    """A probe of independent entries 1 and -1, float32 ``(size,)``, determined by seed and number."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1)))
    return torch.randint(0, 2, (size,), generator=generator, dtype=torch.int8).float() * 2 - 1


def hutchinson_estimate(product: Callable[[Tensor], Tensor], probe: Tensor) -> float:
    """``zᵀ H z``: an unbiased estimate of the trace of ``H`` (Hutchinson 1990).

    Args:
        product: ``H`` times a vector ``(P,)``.
        probe: ``z``, from :func:`rademacher_vector`.
    """
    return float((probe.double() * product(probe).double()).sum())


def mean_with_interval(estimates: Sequence[float]) -> tuple[float, Interval]:
    """Mean of the estimates and its interval by Student's t, since there are few.

    Args:
        estimates: At least 2.
    """
    return float(np.mean(estimates)), student(np.asarray(estimates), "student-t")


def _curvature_table(state: LanczosState, trace: Measurement, images: int, weights: int) -> Table:
    top, lowest, residual = state.ritz_values()
    rows: list[tuple[str, str]] = [
        ("largest eigenvalue", f"{significant(top)} ± {significant(residual)}"),
        ("smallest Ritz value", significant(lowest)),
        ("trace", significant(trace.value)),
        ("mean eigenvalue", significant(trace.value / weights)),
        ("images", str(images)),
        ("weights", str(weights)),
        ("Hessian-vector products", f"{state.steps} for the largest eigenvalue, {len(trace.samples)} for the trace"),
    ]
    return Table("Hessian of the loss", ("Quantity", "Value"), tuple(rows))


def hessian_findings(state: LanczosState, trace: Measurement) -> Iterator[Finding]:
    """An eigenvalue that has not converged, an uncertain trace, weights that are not at a minimum."""
    top, lowest, residual = state.ritz_values()
    if not state.converged(TOLERANCE):
        message = f"after {state.steps} steps the largest eigenvalue {significant(top)} is known to ± {significant(residual)}"
        yield Finding("unsettled-eigenvalue", message, "raise steps")
    if trace.interval is not None and trace.interval.high - trace.interval.low > abs(trace.value):
        message = f"the trace of the Hessian is only known to lie between {significant(trace.interval.low)} and {significant(trace.interval.high)}"
        yield Finding("uncertain-trace", message, "raise probes")
    if lowest < -0.5 * abs(top):
        message = f"the smallest eigenvalue, {significant(lowest)}, is strongly negative (the largest is {significant(top)}): this is no minimum of the loss"
        yield Finding("no-minimum", message, "read the curvature as that of a slope or saddle, not of a minimum")
