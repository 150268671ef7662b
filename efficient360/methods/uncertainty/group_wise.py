"""Calibration error of each group of examples."""

from collections.abc import Callable, Iterable

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.groupings import Grouping
from efficient360.methods.uncertainty.calibration_error import calibration_error
from efficient360.methods.uncertainty.confidence_levels import Levels, bootstrapped, calibrated, levels_of
from efficient360.methods.uncertainty.part_errors import PartErrors


def group_wise(
    confidence: Floats, correct: Floats, grouping: Grouping, minimum: int, bins: int, draws: int, seed: list[int], check: Callable[[], None]
) -> PartErrors | None:
    """Calibration error of each group of at least ``minimum`` examples; ``None`` where fewer than two are so large.

    A small group shows a large error by chance alone: read it against the null.

    Args:
        confidence: Of the predicted classes, ``(n,)``.
        correct: 0 or 1, ``(n,)``.
        grouping: Groups of the examples.
        minimum: Examples that a group needs.
        bins: Bins of equal mass.
        draws: Draws of the null, and as many resamples.
        seed: Of the draws.
        check: Called between steps of long work; may raise.
    """
    chosen = np.flatnonzero(grouping.sizes >= minimum)
    if len(chosen) < 2:
        return None
    levels = [levels_of(confidence[grouping.codes == code], correct[grouping.codes == code]) for code in chosen]
    gaps = [float((confidence - correct)[grouping.codes == code].mean()) for code in chosen]
    null, resampled = [], []
    for place, of in enumerate(levels):
        check()
        null.append(_errors(calibrated(of, draws, np.random.default_rng([*seed, place, 0])), bins))
        resampled.append(_errors(bootstrapped(of, draws, np.random.default_rng([*seed, place, 1])), bins))
    values = np.array([calibration_error(of, bins)[0] for of in levels])
    names = tuple(grouping.names[code] for code in chosen)
    return PartErrors(names, grouping.sizes[chosen].astype(np.float64), values, np.array(gaps), np.stack(null, axis=1), np.stack(resampled, axis=1))


def _errors(drawn: Iterable[Levels], bins: int) -> Floats:
    return np.concatenate([calibration_error(rows, bins) for rows in drawn])
