"""Privacy–utility trade-off: accuracy after private fine-tuning under each ε, relative to the same training without noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Curve, Figure, Series, Table
from efficient360.core.formatting import significant
from efficient360.core.measurement import Conditions, Failure, Interval, Measurement, Outcome, Status
from efficient360.core.statistics import percentiles_around, wilson
from efficient360.methods.privacy.dp_accounting import SamplingSchedule
from efficient360.methods.privacy.metrics import KEPT, PRIVATE_ACCURACY, SPENT

RESAMPLES = 1000
ONE_TRAINING = "one training run"
WITHOUT = "none"
"""Value of the condition ``epsilon`` for the training without noise."""


@final
@dataclass(frozen=True)
class PrivateRun:
    """One training run and its test predictions.

    Args:
        epsilon: Target ε, ``None`` for the training without noise.
        noise_multiplier: Standard deviation of the noise in units of the clipping norm.
        epsilon_spent: ε spent, ``None`` without noise.
        correct: Whether each test example is classified correctly, bool ``(m,)``.
    """

    epsilon: float | None
    noise_multiplier: float
    epsilon_spent: float | None
    correct: NDArray[np.bool_]

    @property
    def accuracy(self) -> float:
        """Test accuracy."""
        return float(self.correct.mean())


def accuracy_outcomes(layers: str, runs: Sequence[PrivateRun], examples: int, seed: int, figures: Sequence[Figure]) -> Iterator[Outcome]:
    """Accuracy of each run, that relative to the run without noise, and the ε spent.

    Args:
        layers: What was trained.
        runs: The one without noise first.
        examples: Number of training images that ε covers.
        seed: Of the bootstrap.
        figures: Shown beside the first number.
    """
    baseline = runs[0]
    for i, run in enumerate(runs):
        given: Conditions = {"layers": layers, "epsilon": _epsilon_condition(run.epsilon)}
        n = len(run.correct)
        yield Measurement(
            PRIVATE_ACCURACY, run.accuracy, n, wilson(int(run.correct.sum()), n).given(ONE_TRAINING), given, extra=tuple(figures) if i == 0 else ()
        )
        if run.epsilon_spent is None:
            continue
        if baseline.correct.any():
            yield Measurement(KEPT, run.accuracy / baseline.accuracy, n, ratio_interval(run.correct, baseline.correct, seed).given(ONE_TRAINING), given)
        else:
            message = "the training without noise has an accuracy of 0, so the relative accuracy is undefined"
            yield Failure(Status.FAILED, "nothing-learned", message, "take more steps or another learning rate", KEPT, given)
        yield Measurement(SPENT, run.epsilon_spent, examples, None, given)


def _epsilon_condition(epsilon: float | None) -> str | int | float:
    """ε as a condition: an integer where it is whole."""
    if epsilon is None:
        return WITHOUT
    return int(epsilon) if epsilon == int(epsilon) else epsilon


def ratio_interval(private: NDArray[Any], baseline: NDArray[Any], seed: int) -> Interval:
    """Paired bootstrap interval of the ratio of two accuracies on the same examples.

    Args:
        private: Correctness ``(m,)``, bool.
        baseline: Correctness ``(m,)``, not all false.
        seed: Of the resamples.
    """
    # Resampling pairs with replacement is a multinomial draw of the counts of the four outcomes of a pair.
    pairs = np.array([(private & baseline).sum(), (private & ~baseline).sum(), (~private & baseline).sum(), (~private & ~baseline).sum()])
    counts = np.random.default_rng(seed).multinomial(len(private), pairs / len(private), RESAMPLES)
    numerator, denominator = counts[:, 0] + counts[:, 1], counts[:, 0] + counts[:, 2]
    ratios = numerator[denominator > 0] / denominator[denominator > 0]
    return percentiles_around(float(private.mean() / baseline.mean()), ratios if len(ratios) else np.zeros(1), "paired-bootstrap")


def trade_off_figures(layers: str, runs: Sequence[PrivateRun], schedule: SamplingSchedule, examples: int) -> tuple[Figure, ...]:
    """Accuracy against ε with the accuracy without noise as reference, and a table of the ε spent."""
    private = sorted((run for run in runs if run.epsilon is not None), key=lambda run: run.epsilon or 0.0)
    epsilons = tuple(float(run.epsilon or 0.0) for run in private)
    intervals = [wilson(int(run.correct.sum()), len(run.correct)) for run in private]
    baseline = runs[0].accuracy
    points = Series(
        "private (DP-SGD)", epsilons, tuple(run.accuracy for run in private), tuple(i.low for i in intervals), tuple(i.high for i in intervals), "points"
    )
    reference = Series("without noise", (epsilons[0], epsilons[-1]), (baseline, baseline), style="reference")
    part = "the head" if layers == "head" else "all layers"
    curve = Curve(f"Private fine-tuning of {part}", "ε", "accuracy", (reference, points), x_log=True)
    rows = tuple(
        (
            _epsilon_condition(run.epsilon),
            "" if run.epsilon_spent is None else significant(run.epsilon_spent, 4),
            significant(run.noise_multiplier, 4),
            f"{100 * run.accuracy:.1f} %",
        )
        for run in runs
    )
    sampling = f"{schedule.steps} steps at a sample rate of {significant(100 * schedule.sample_rate)} %, δ {schedule.delta:.2g}, {examples:,} images"
    return curve, Table(f"Private fine-tuning of {part}: {sampling}", ("ε", "ε spent", "noise multiplier", "accuracy"), rows)
