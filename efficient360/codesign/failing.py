"""Which candidates are likely to fail again: conversions fail by a setting, or by two settings that don't go together."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from efficient360.codesign.space import Candidate
from efficient360.codesign.trial import State, Trial
from efficient360.core.measurement import Scalar

SURE: Final = 3
"""So many failures without a success, and two settings are taken not to go together while there is anything else to try."""
AVOIDED: Final = -50.0

Pair = tuple[tuple[str, Scalar], ...]


def log_success(candidates: Sequence[Candidate], trials: Iterable[Trial]) -> list[float]:
    """Logarithm of the chance that candidates can be made: of their pair of settings with most failures, ``f`` of ``n`` times, it is 1 − (f − ½) / n."""
    tried: Counter[Pair] = Counter()
    failures: Counter[Pair] = Counter()
    for trial in trials:
        pairs = list(_pairs(trial.candidate))
        tried.update(pairs)
        if trial.state is State.FAILED:
            failures.update(pairs)
    return [min((_log(failures[pair], tried[pair]) for pair in _pairs(candidate) if failures[pair]), default=0.0) for candidate in candidates]


def _pairs(candidate: Candidate) -> Iterator[Pair]:
    return itertools.combinations(sorted(candidate.settings.items(), key=lambda item: item[0]), 2)


def _log(failed: int, tried: int) -> float:
    return AVOIDED if failed == tried >= SURE else math.log(1 - (failed - 0.5) / tried)
