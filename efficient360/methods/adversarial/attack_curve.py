"""Robust accuracy against ε: how every example of a split fares under the attacks in one norm, and the metrics, intervals and curve that follow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Curve, Figure, Series
from efficient360.core.measurement import ONE, Better, Conditions, Failure, Interval, Measurement, Metric, Outcome, Status
from efficient360.core.statistics import percentiles, wilson
from efficient360.methods.adversarial.attack import Attack
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel

WORST = "worst case"
"""The value of the condition ``attack`` for the worst case over all attacks."""
RESAMPLES = 1000

ROBUST = Metric(
    "robust_accuracy",
    ONE,
    Better.HIGHER,
    "Share of images classified correctly when clean and under every attack within ε: an upper bound of the true share, tighter the stronger the attacks.",
    "Croce & Hein 2020, section 5; Croce et al. 2021 (RobustBench)",
    low=0,
    high=1,
)
MEDIAN = Metric(
    "median_epsilon",
    ONE,
    Better.HIGHER,
    "Median minimal adversarial perturbation of the correctly classified images, with pixels in [0, 1]: the ε at which half of them are misclassified; "
    "an upper bound.",
    "Brendel et al. 2019 (median perturbation size), interpolated on a grid of ε",
    low=0,
)
CORRECT = Metric("right", ONE, Better.HIGHER, "Whether the clean example is classified correctly.", low=0, high=1)
EPSILON_INDEX = Metric(
    "fell_at", ONE, Better.NEITHER, "Index of the smallest ε at which an attack succeeded on the example, from 0; the number of ε if none did.", low=0
)
ATTACK_INDEX = Metric("fell_to", ONE, Better.NEITHER, "Index of the attack that succeeded on the example, from 0; the number of attacks if none did.", low=0)


@final
@dataclass(frozen=True)
class AttackCurve:
    """Examples against a series of attacks at ascending ε.

    Args:
        threats: Of one norm, ε ascending.
        attacks: In order.
        correct: Whether each clean example is classified correctly, bool ``(n,)``.
        epsilon_index: Index of the threat model in which the example was broken, their number if it never was, int64 ``(n,)``; 0 if misclassified clean.
        attack_index: Index of the attack that broke it, their number if none did, int64 ``(n,)``.
        num_scouted: In how many threat models, the smallest first, only the first attack was run.
    """

    threats: Sequence[ThreatModel]
    attacks: Sequence[Attack]
    correct: NDArray[np.bool_]
    epsilon_index: NDArray[np.int64]
    attack_index: NDArray[np.int64]
    num_scouted: int = 0

    def robust_after(self, threat: int, attack: int) -> NDArray[np.bool_]:
        """Which examples are correct after the attacks up to ``attack`` in this threat model, bool ``(n,)``."""
        unbroken: NDArray[np.bool_] = (self.epsilon_index > threat) | ((self.epsilon_index == threat) & (self.attack_index > attack))
        return self.correct & unbroken

    def robust(self, threat: int) -> NDArray[np.bool_]:
        """Which examples are correct after all attacks in this threat model, bool ``(n,)``."""
        return self.robust_after(threat, len(self.attacks) - 1)

    def conditions(self, threat: int, attack: str) -> Conditions:
        """The conditions of a robust accuracy."""
        return {"norm": self.threats[threat].norm.value, "epsilon": self.threats[threat].label, "attack": attack}


def combined(curves: Sequence[AttackCurve]) -> AttackCurve:
    """The worst case over attacks that each ran on every example: the first attack that succeeded at the smallest ε counts."""
    if len(curves) == 1:
        return curves[0]
    indices = np.stack([curve.epsilon_index for curve in curves])
    epsilon_index = indices.min(0)
    first = curves[0]
    attack_index = np.where(epsilon_index == len(first.threats), len(curves), indices.argmin(0))
    return AttackCurve(first.threats, [curve.attacks[0] for curve in curves], first.correct, epsilon_index, attack_index, first.num_scouted)


def first_attack_only(curve: AttackCurve) -> Iterator[Outcome]:
    """Robust accuracy under the first attack at the ε where only that one was run."""
    for i in range(curve.num_scouted):
        yield _robust_accuracy(curve.robust(i), curve.conditions(i, curve.attacks[0].name))


def cumulative(curve: AttackCurve) -> Iterator[Outcome]:
    """Robust accuracy after the first attack, after the first two, and so on, short of all."""
    for i in range(curve.num_scouted, len(curve.threats)):
        for j in range(len(curve.attacks) - 1):
            yield _robust_accuracy(curve.robust_after(i, j), curve.conditions(i, " + ".join(attack.name for attack in curve.attacks[: j + 1])))


def per_attack(curve: AttackCurve) -> Iterator[Outcome]:
    """Robust accuracy under a curve's single attack."""
    for i in range(curve.num_scouted, len(curve.threats)):
        yield _robust_accuracy(curve.robust(i), curve.conditions(i, curve.attacks[0].name))


def worst_case(curve: AttackCurve, figures: tuple[Figure, ...]) -> Iterator[Outcome]:
    """Robust accuracy under all attacks; the figures belong to the largest ε."""
    for i in range(curve.num_scouted, len(curve.threats)):
        yield _robust_accuracy(curve.robust(i), curve.conditions(i, WORST), figures if i == len(curve.threats) - 1 else ())


def _robust_accuracy(robust: NDArray[Any], conditions: Conditions, figures: tuple[Figure, ...] = ()) -> Measurement:
    n, hits = len(robust), int(robust.sum())
    return Measurement(ROBUST, hits / n, n, wilson(hits, n), conditions, extra=figures)


def median(curve: AttackCurve, seed: int) -> Outcome:
    """The median minimal perturbation of the correctly classified images, or why there is none."""
    conditions = {"norm": curve.threats[0].norm.value, "attack": WORST}
    perturbation = median_perturbation(curve.epsilon_index[curve.correct], [threat.epsilon for threat in curve.threats], seed)
    if perturbation is None:
        beyond = f"over half of the correctly classified images are robust at the largest ε, {curve.threats[-1].label}"
        message = beyond if curve.correct.any() else "no image is classified correctly"
        return Failure(Status.UNSUPPORTED, "median-beyond", message, "add larger ε", MEDIAN, conditions)
    return Measurement(MEDIAN, perturbation.epsilon, int(curve.correct.sum()), perturbation.interval, conditions)


@final
@dataclass(frozen=True)
class MedianPerturbation:
    """A median minimal perturbation.

    Args:
        epsilon: ε in pixel units.
        interval: Its 95 % bootstrap interval over examples; its ends are limited to the grid's.
    """

    epsilon: float
    interval: Interval


def median_perturbation(epsilon_index: NDArray[np.int64], epsilons: Sequence[float], seed: int) -> MedianPerturbation | None:
    """The ε at which half of the examples are broken, linear between the grid's, ``None`` where over half are robust at the largest.

    Args:
        epsilon_index: Index of the ε at which each correctly classified example was broken, ``len(epsilons)`` if it never was, ``(n,)``.
        epsilons: Ascending, in pixel units.
        seed: Of the bootstrap.
    """
    if not len(epsilon_index):
        return None
    grid = np.array([0.0, *epsilons])
    value = _crossing(_share_broken(epsilon_index, len(epsilons)), grid)
    if value is None:
        return None
    rng = np.random.default_rng([seed, 360])
    n = len(epsilon_index)
    draws = [_crossing(_share_broken(epsilon_index[rng.integers(0, n, n)], len(epsilons)), grid) for _ in range(RESAMPLES)]
    return MedianPerturbation(value, percentiles([grid[-1] if draw is None else draw for draw in draws], "bootstrap"))


def _share_broken(epsilon_index: NDArray[np.int64], size: int) -> NDArray[Any]:
    """Share broken at ε = 0 and at each ε of a grid of ``size``, ``(size + 1,)``."""
    return np.concatenate([[0.0], np.cumsum(np.bincount(epsilon_index, minlength=size + 1)[:size]) / len(epsilon_index)])


def _crossing(broken: NDArray[Any], grid: NDArray[Any]) -> float | None:
    """Where the share broken crosses one half."""
    after = int(np.searchsorted(broken, 0.5))
    if after == len(grid):
        return None
    share = (0.5 - broken[after - 1]) / (broken[after] - broken[after - 1])
    return float(grid[after - 1] + share * (grid[after] - grid[after - 1]))


def accuracy_figure(curve: AttackCurve) -> Curve:
    """Worst-case robust accuracy against ε, with Wilson intervals."""
    n, linf = len(curve.correct), curve.threats[0].norm is Norm.LINF
    scale = 255.0 if linf else 1.0
    hits = [int(curve.correct.sum()), *(int(curve.robust(i).sum()) for i in range(len(curve.threats)))]
    intervals = [wilson(hit, n) for hit in hits]
    x, y = (0.0, *(scale * threat.epsilon for threat in curve.threats)), tuple(hit / n for hit in hits)
    points = Series("worst case", x, y, tuple(i.low for i in intervals), tuple(i.high for i in intervals))
    unit = "ε, in 255ths of the pixel range (L∞)" if linf else "ε (L2, pixels in [0, 1])"
    return Curve("Accuracy against ε" if linf else "Accuracy against ε (L2)", unit, "robust accuracy", (points,))
