"""How every example of a split fared in one norm, and the numbers that follow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Figure
from efficient360.core.findings import Finding
from efficient360.core.measurement import Conditions, Failure, Measurement, Outcome, Status
from efficient360.core.statistics import wilson
from efficient360.methods.adversarial.attack import Attack
from efficient360.methods.adversarial.findings import masked
from efficient360.methods.adversarial.metrics import MEDIAN, ROBUST, WORST
from efficient360.methods.adversarial.radius import median_radius
from efficient360.methods.adversarial.threat import Threat


@final
@dataclass(frozen=True)
class Front:
    """Examples against a series of attacks at rising ε.

    Args:
        threats: Of one norm, ε rising.
        attacks: In order.
        clean: Whether each example is right when nothing is changed, bool ``(n,)``.
        at: Place of the threat model it fell in, their number where it stands, int64 ``(n,)``; of a wrong one, 0.
        by: Place of the attack it fell to, their number where it stands, int64 ``(n,)``.
        scouted: In how many threat models, the smallest first, only the first attack was tried.
    """

    threats: Sequence[Threat]
    attacks: Sequence[Attack]
    clean: NDArray[np.bool_]
    at: NDArray[np.int64]
    by: NDArray[np.int64]
    scouted: int = 0

    def right(self, threat: int, attack: int) -> NDArray[np.bool_]:
        """Which are right still after the attacks up to ``attack`` in this threat model, bool ``(n,)``."""
        standing: NDArray[np.bool_] = (self.at > threat) | ((self.at == threat) & (self.by > attack))
        return self.clean & standing

    def worst(self, threat: int) -> NDArray[np.bool_]:
        """Which are right still after all attacks in this threat model, bool ``(n,)``."""
        return self.right(threat, len(self.attacks) - 1)

    def conditions(self, threat: int, attack: str) -> Conditions:
        """The conditions of a robust accuracy."""
        return {"norm": self.threats[threat].norm.value, "epsilon": self.threats[threat].label, "attack": attack}


def combined(fronts: Sequence[Front]) -> Front:
    """Of attacks that each met every example: the first of the smallest ε that each example fell at counts."""
    if len(fronts) == 1:
        return fronts[0]
    ats = np.stack([front.at for front in fronts])
    first = ats.argmin(0)
    at = ats.min(0)
    stands = at == len(fronts[0].threats)
    return Front(fronts[0].threats, [front.attacks[0] for front in fronts], fronts[0].clean, at, np.where(stands, len(fronts), first), fronts[0].scouted)


def scouts(front: Front) -> Iterator[Outcome]:
    """Robust accuracy under the first attack where only that was tried."""
    for i in range(front.scouted):
        yield _robust(front.worst(i), front.conditions(i, front.attacks[0].name))


def after_each(front: Front) -> Iterator[Outcome]:
    """Robust accuracy after the first attack, after the first two, and so on, short of all."""
    for i in range(front.scouted, len(front.threats)):
        for j in range(len(front.attacks) - 1):
            yield _robust(front.right(i, j), front.conditions(i, " + ".join(attack.name for attack in front.attacks[: j + 1])))


def alone(front: Front) -> Iterator[Outcome]:
    """Robust accuracy under a front's single attack."""
    for i in range(front.scouted, len(front.threats)):
        yield _robust(front.worst(i), front.conditions(i, front.attacks[0].name))


def worst_case(front: Front, figures: tuple[Figure, ...]) -> Iterator[Outcome]:
    """Robust accuracy under all attacks, the figures beside the largest ε."""
    for i in range(front.scouted, len(front.threats)):
        yield _robust(front.worst(i), front.conditions(i, WORST), figures if i == len(front.threats) - 1 else ())


def _robust(right: NDArray[Any], conditions: Conditions, figures: tuple[Figure, ...] = ()) -> Measurement:
    n, hits = len(right), int(right.sum())
    return Measurement(ROBUST, hits / n, n, wilson(hits, n), conditions, extra=figures)


def median(front: Front, seed: int) -> Outcome:
    """The median minimal perturbation of what was right, or why there is none."""
    conditions = {"norm": front.threats[0].norm.value, "attack": WORST}
    found = median_radius(front.at[front.clean], [threat.epsilon for threat in front.threats], seed)
    if found is None:
        stand = f"over half of the rightly named images stand at the largest ε, {front.threats[-1].label}"
        message = stand if front.clean.any() else "no image is named rightly"
        return Failure(Status.UNSUPPORTED, "median-beyond", message, "add larger ε", MEDIAN, conditions)
    return Measurement(MEDIAN, found.epsilon, int(front.clean.sum()), found.interval, conditions)


def blind_spots(front: Front) -> Iterator[Finding]:
    """What black-box attacks felled that gradient attacks had left."""
    gradient = np.array([attack.gradients for attack in front.attacks] + [False])
    if not gradient.any():
        return
    spared = front.clean & ~gradient[front.by]
    for place, attack in enumerate(front.attacks):
        if not attack.gradients and gradient[:place].any():
            yield from masked(int((front.clean & (front.by == place)).sum()), int(spared.sum()), attack.title)
