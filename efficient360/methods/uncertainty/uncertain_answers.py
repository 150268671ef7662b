"""How good averaged answers are beside the plain ones, and whether what is unsure in them tells wrong from right."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.figures import Figure
from efficient360.core.measurement import Failure, Measurement, Metric, Outcome, Status
from efficient360.core.permutation_null import centred
from efficient360.core.seeding import generators
from efficient360.core.statistics import bootstrap_mean
from efficient360.methods.uncertainty.calibration_error import calibration_error
from efficient360.methods.uncertainty.calibration_metrics import BRIER, ECE, NLL
from efficient360.methods.uncertainty.confidence_levels import bootstrapped, levels_of
from efficient360.methods.uncertainty.disagreement import Answers
from efficient360.methods.uncertainty.resampling import resampled, sample
from efficient360.methods.uncertainty.separation import separation, spread
from efficient360.methods.uncertainty.uncertainty_metrics import ENTROPY, ERROR_AUROC, MUTUAL_INFORMATION, NLL_CHANGE

POINT: Final = "point"
"""The plain answer of the trained weights."""
BINS: Final = 15


@final
@dataclass(frozen=True)
class Answered:
    """Answers under one method, with the truth.

    Args:
        method: What averaged them; ``point`` for the plain ones.
        answers: The answers.
        labels: int64 ``(n,)``.
    """

    method: str
    answers: Answers
    labels: NDArray[np.int64]

    @property
    def nll(self) -> Floats:
        """Negative log-likelihood of each example in nat, ``(n,)``."""
        true = self.answers.probability[np.arange(len(self.labels)), self.labels]
        return -np.log(np.maximum(true, np.finfo(np.float64).tiny))

    @property
    def brier(self) -> Floats:
        """Brier score of each example, ``(n,)`` in [0, 2]."""
        truth = np.arange(self.answers.probability.shape[1]) == self.labels[:, None]
        found: Floats = np.clip(np.square(self.answers.probability - truth).sum(axis=1), 0, 2)
        return found

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the most likely class is the true one, ``(n,)``."""
        found: NDArray[np.bool_] = self.answers.probability.argmax(axis=1) == self.labels
        return found

    def signals(self) -> Iterator[tuple[str, Floats]]:
        """What may tell wrong answers, higher where unsure, by name; a single answer has nothing to disagree with."""
        yield "entropy", self.answers.entropy
        if self.method != POINT:
            yield "mutual information", self.answers.mutual_information


def measurements(of: Answered, resamples: int, seed: int, figures: Sequence[Figure] = ()) -> Iterator[Outcome]:
    """NLL, Brier score, ECE, entropy, mutual information, and how well the last two tell wrong answers.

    Args:
        of: Answers under one method.
        resamples: Resamples behind the intervals.
        seed: Of the resamples.
        figures: Drawn beside the NLL.
    """
    conditions = {"method": of.method}
    per_example: list[tuple[Metric, Floats]] = [(NLL, of.nll), (BRIER, of.brier), (ENTROPY, of.answers.entropy)]
    per_example += [(MUTUAL_INFORMATION, of.answers.mutual_information)] if of.method != POINT else []
    for metric, values in per_example:
        extra = tuple(figures) if metric is NLL else ()
        yield Measurement(metric, float(values.mean()), len(values), bootstrap_mean(values, seed, resamples), conditions, extra=extra)
    yield _ece(of, resamples, seed)
    for name, signal in of.signals():
        yield _errors_told(of, name, signal, resamples, seed)


def change(of: Answered, beside: Answered, resamples: int, seed: int) -> Measurement:
    """The NLL of averaged answers less that of the plain ones, example by example.

    Args:
        of: Averaged answers.
        beside: Plain answers to the same examples.
        resamples: Resamples behind the interval.
        seed: Of the resamples.
    """
    values = of.nll - beside.nll
    return Measurement(NLL_CHANGE, float(values.mean()), len(values), bootstrap_mean(values, seed, resamples), {"method": of.method})


def _ece(of: Answered, resamples: int, seed: int) -> Measurement:
    levels = levels_of(np.clip(of.answers.probability.max(axis=1), 0, 1), of.right.astype(np.float64))
    (rng,) = generators("ece", [of.method], seed)
    eces = np.concatenate([calibration_error(chunk, BINS) for chunk in bootstrapped(levels, resamples, rng)])
    value = float(calibration_error(levels, BINS)[0])
    return Measurement(ECE, value, levels.n, centred(value, eces, 0.0, 1.0), {"method": of.method})


def errors_told(of: Answered, signal: Floats) -> float | None:
    """AUROC of a signal ``(n,)`` that should be higher where the answer is wrong; ``None`` where none is wrong, or every one."""
    wrong = ~of.right
    if wrong.all() or not wrong.any():
        return None
    return float(separation(-signal[~wrong], -signal[wrong], sample(int((~wrong).sum())), sample(int(wrong.sum()))).auroc[0])


def _errors_told(of: Answered, name: str, signal: Floats, resamples: int, seed: int) -> Outcome:
    conditions = {"method": of.method, "signal": name}
    value, wrong = errors_told(of, signal), ~of.right
    if value is None:
        message = f"every one of {len(wrong)} answers is {'wrong' if wrong.all() else 'right'}: there is nothing to tell apart"
        return Failure(Status.UNSUPPORTED, "one-sided", message, "evaluate more examples", ERROR_AUROC, conditions)
    inside, outside = -signal[~wrong], -signal[wrong]
    (rng,) = generators("errors", [of.method], seed)
    draws = separation(inside, outside, resampled(len(inside), resamples, rng), resampled(len(outside), resamples, rng)).auroc
    return Measurement(ERROR_AUROC, value, len(wrong), spread(value, draws, min(len(inside), len(outside))), conditions)
