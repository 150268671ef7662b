"""What is told of the loss's curvature."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from efficient360.core.measurement import Interval, Measurement
from efficient360.errors import Unsupported
from efficient360.methods.spectral import feature_pictures
from efficient360.methods.spectral.curvature import explored, traced
from efficient360.methods.spectral.feature_findings import of_curvature
from efficient360.methods.spectral.feature_metrics import TOP, TRACE
from efficient360.methods.spectral.hessian import LossHessian
from efficient360.methods.spectral.hutchinson import mean_with_interval
from efficient360.methods.spectral.part import Part, nothing
from efficient360.storage.row_log import RowLog

METRICS: Final = (TOP, TRACE)


def curvature(hessian: LossHessian, steps: int, probes: int, seed: int, kept: Path, tick: Callable[[], None]) -> Part:
    """Top eigenvalue within what is not explored, and trace with its interval over probes; failures where there is no second derivative.

    Args:
        hessian: Of the loss on some images.
        steps: The most towards the eigenvalue.
        probes: Of the trace, at least 2.
        seed: Of the vectors.
        kept: Folder that what is done is kept in.
        tick: Called before each product; stops the work by raising.
    """
    try:
        hessian.require()
        state = explored(hessian, steps, seed, kept / "lanczos.safetensors", tick)
        estimates = traced(hessian, probes, seed, RowLog(kept / "trace.f64", 1, "float64"), tick)
    except Unsupported as error:
        return nothing(METRICS, error)
    value, interval = mean_with_interval(estimates)
    trace = Measurement(TRACE, value, len(estimates), interval, samples=tuple(estimates))
    top, _, unknown = state.ritz()
    picture = feature_pictures.curvature(state, trace, len(hessian.images), hessian.size)
    largest = Measurement(TOP, top, len(hessian.images), Interval(top - unknown, top + unknown, "lanczos-residual"), extra=(picture,))
    return Part([largest, trace], list(of_curvature(state, trace)))
