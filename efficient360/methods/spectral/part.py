"""What one part of an evaluation found, and what is said where it could find nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Figure
from efficient360.core.findings import Finding
from efficient360.core.measurement import Failure, Measurement, Metric, Outcome, Status
from efficient360.core.statistics import bootstrap_mean
from efficient360.errors import Unsupported


@final
@dataclass(frozen=True)
class Part:
    """Outcomes with what they warn of.

    Args:
        outcomes: Measurements and failures.
        findings: Warnings.
    """

    outcomes: Sequence[Outcome] = field(default_factory=tuple)
    findings: Sequence[Finding] = field(default_factory=tuple)


def mean(metric: Metric, values: NDArray[np.float64], seed: int, pictures: Sequence[Figure] = ()) -> Measurement:
    """Mean over images with a bootstrap interval, of values ``(n,)``."""
    return Measurement(metric, float(values.mean()), len(values), bootstrap_mean(values, seed), extra=tuple(pictures))


def nothing(metrics: Sequence[Metric], error: Unsupported) -> Part:
    """A failure of each metric, for one reason."""
    return Part([Failure.of(Status.UNSUPPORTED, error, metric) for metric in metrics])


def deployed(wanted: str) -> Unsupported:
    """Why an artefact lacks what is wanted."""
    return Unsupported("deployed", f"an artefact gives logits only, and this wants {wanted}", "evaluate the checkpoint itself, without --as")
