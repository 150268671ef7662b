"""The trace of an operator that is only known by what it does."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from efficient360.core.measurement import Interval
from efficient360.core.statistics import student


def signs(size: int, seed: int, number: int) -> Tensor:
    """A probe of independent entries 1 and -1, float32 ``(size,)``: always the same of the same seed and number."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1)))
    return torch.randint(0, 2, (size,), generator=generator, dtype=torch.int8).float() * 2 - 1


def probed(product: Callable[[Tensor], Tensor], probe: Tensor) -> float:
    """``zᵀ H z``: an unbiased estimate of the trace of ``H`` (Hutchinson 1990).

    Args:
        product: ``H`` times a vector ``(P,)``.
        probe: ``z``, from :func:`signs`.
    """
    return float((probe.double() * product(probe).double()).sum())


def mean_with_interval(values: Sequence[float]) -> tuple[float, Interval]:
    """Mean of the probes and its interval by Student's t, which few probes need.

    Args:
        values: At least 2.
    """
    return float(np.mean(values)), student(np.asarray(values), "student-t")
