"""Whether a trial brought a search forward."""

import math
from collections.abc import Sequence
from typing import Final

from efficient360.codesign.judging import POINT, distance
from efficient360.codesign.trial import Origin, State, Trial
from efficient360.codesign.view import Aims, coordinate, front_of, ranked
from efficient360.core.formatting import is_fraction
from efficient360.core.measurement import Metric

RELATIVE: Final = 0.02
"""Relative gain that counts; smaller ones are noise."""
FIRST: Final = (Origin.ORIGINAL, Origin.STEP, Origin.EARLIER)
FRACTION: Final = 0.2 * POINT
"""Gain of a fraction that counts."""


def is_plateau(trials: Sequence[Trial], what: Aims, patience: int) -> bool:
    """Whether none of the last ``patience`` trials brought the search forward: nearer to the goals, better in what is left to improve, or clearly beyond the
    front before it. The first trials, which the search makes in any case, all count as progress.
    """
    if len(trials) <= patience or any(t.origin in FIRST for t in trials[-patience:]):
        return False
    return not any(_forward(trial, trials[: trial.number], what) for trial in trials[-patience:])


def _forward(trial: Trial, before: Sequence[Trial], what: Aims) -> bool:
    if trial.state is State.FAILED or not trial.quality:
        return False
    lead = next(iter(ranked(before, what)), None)
    if lead is None:
        return True
    now, then = distance(what.goals, trial.measured), distance(what.goals, lead.measured)
    if now < then - RELATIVE and then > 0:
        return True
    if now <= 0 and _gains(trial, lead, what.first):
        return True
    line = front_of(before, what.cost, what.quality, what.side)
    mine = trial in front_of([*before, trial], what.cost, what.quality, what.side)
    return mine and not any(not _gains(trial, other, what.cost) and not _gains(trial, other, what.quality) for other in line)


def _gains(trial: Trial, other: Trial, metric: Metric) -> bool:
    """Whether a trial is better than another by more than noise."""
    here, there = coordinate(trial, metric), coordinate(other, metric)
    if not math.isfinite(there):
        return math.isfinite(here)
    return here < there - (FRACTION if is_fraction(metric) else RELATIVE * abs(there))
