"""The calibration error of one set of confidences against its null, with what resampling says of it and of selective risk."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Figure
from efficient360.core.measurement import Conditions, Measurement
from efficient360.core.permutation_null import centred
from efficient360.core.statistics import percentiles
from efficient360.methods.uncertainty.calibration_error import calibration_error
from efficient360.methods.uncertainty.calibration_metrics import ECE, ECE_EXCESS, ECE_NULL
from efficient360.methods.uncertainty.confidence_levels import Levels, bootstrapped, calibrated
from efficient360.methods.uncertainty.selective_risk import area_under_generalized_risk, area_under_risk_coverage


@final
@dataclass(frozen=True)
class CalibrationStudy:
    """One model's confidences, looked at from all sides.

    Args:
        levels: Its confidences with right and wrong.
        ece: Their calibration error.
        null: Calibration errors of perfectly calibrated models of the same confidences, ``(r,)``.
        eces: Calibration errors of resampled examples, ``(r,)``.
        aurcs: Areas under the risk-coverage curve of resampled examples, ``(r,)``.
        augrcs: Areas under the generalized risk-coverage curve of resampled examples, ``(r,)``.
    """

    levels: Levels
    ece: float
    null: Floats
    eces: Floats
    aurcs: Floats
    augrcs: Floats

    @property
    def aurc(self) -> float:
        """Area under the risk-coverage curve."""
        return float(area_under_risk_coverage(self.levels)[0])

    @property
    def augrc(self) -> float:
        """Area under the generalized risk-coverage curve."""
        return float(area_under_generalized_risk(self.levels)[0])

    def measurements(self, conditions: Conditions, extra: tuple[Figure, ...] = ()) -> list[Measurement]:
        """ECE, its null and its excess."""
        chance, n = float(self.null.mean()), self.levels.n
        # A resample is noisier than the sample, so its ECE is biased upwards once more: only the spread of resamples is used.
        return [
            Measurement(ECE, self.ece, n, centred(self.ece, self.eces, 0.0, 1.0), conditions, extra=extra),
            Measurement(ECE_NULL, chance, n, percentiles(self.null, "calibrated-resamples"), conditions),
            Measurement(ECE_EXCESS, self.ece - chance, n, centred(self.ece - chance, self.eces, -1.0, 1.0), conditions),
        ]


def calibration_study(levels: Levels, bins: int, resamples: int, seeds: tuple[list[int], list[int]], check: Callable[[], None]) -> CalibrationStudy:
    """Draw the null and resample.

    Args:
        levels: One row.
        bins: Bins of equal mass.
        resamples: Draws of either kind.
        seeds: Of the null and of the resamples.
        check: Called between steps of long work; may raise.
    """
    null = []
    for chunk in calibrated(levels, resamples, np.random.default_rng(seeds[0])):
        check()
        null.append(calibration_error(chunk, bins))
    found: list[tuple[Floats, Floats, Floats]] = []
    for chunk in bootstrapped(levels, resamples, np.random.default_rng(seeds[1])):
        check()
        found.append((calibration_error(chunk, bins), area_under_risk_coverage(chunk), area_under_generalized_risk(chunk)))
    eces, aurcs, augrcs = (np.concatenate(column) for column in zip(*found, strict=True))
    return CalibrationStudy(levels, float(calibration_error(levels, bins)[0]), np.concatenate(null), eces, aurcs, augrcs)
