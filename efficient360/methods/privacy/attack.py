"""One attack's scores and the measurements that follow from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.core import formatting
from efficient360.core.arrays import Floats
from efficient360.core.figures import Figure
from efficient360.core.measurement import Conditions, Failure, Measurement, Metric, Outcome, Status
from efficient360.core.statistics import clopper_pearson
from efficient360.methods.privacy.metrics import AUC, BALANCED, STRONGEST, TNR, TPR
from efficient360.methods.privacy.roc import Roc, allowed, auc_interval, balanced_hits, roc

ONE_CHECKPOINT: Final = "one checkpoint, lower bound"
"""Tier of attacks that know nothing but the checkpoint."""
RATES: Final = ((0.01, "1 %", 500), (0.001, "0.1 %", 10_000))
"""Rates at which the other rate is told, their name in conditions, and how many examples a side that asks for.

At 1 % five wrongly named examples fix the threshold at the least, at 0.1 % ten: fewer would leave the rate itself in the dark.
"""


@final
@dataclass(frozen=True)
class Attack:
    """An attack that has run.

    Args:
        name: What it is called in conditions.
        tier: What the attacker had: one checkpoint, or how many shadow models.
        members: Scores of training examples ``(n,)``; higher is more like a member.
        others: Scores of the others ``(n,)``.
    """

    name: str
    tier: str
    members: Floats
    others: Floats

    @property
    def roc(self) -> Roc:
        """Its counts at every threshold."""
        return roc(self.members, self.others)

    @property
    def conditions(self) -> dict[str, str]:
        """What its measurements carry."""
        return {"attack": self.name, "tier": self.tier}


def outcomes(attack: Attack, seed: int) -> Iterator[Measurement]:
    """The rates that enough examples allow, which tell of the images at most risk, then AUC and balanced accuracy, which tell of the mean one.

    Exact intervals of proportions take the threshold as given.

    Args:
        attack: With at least 2 examples a side.
        seed: Of the halves behind the balanced accuracy.
    """
    found, n = attack.roc, len(attack.members)
    for rate, told, fewest in RATES:
        if n >= fewest:
            named, ruled_out = found.hits_within(allowed(rate, n)), found.ruled_out_within(allowed(rate, n))
            yield _share(TPR, named, n, attack.conditions | {"fpr": told})
            yield _share(TNR, ruled_out, n, attack.conditions | {"fnr": told})
    yield Measurement(AUC, found.auc, 2 * n, auc_interval(found.auc, n, n), attack.conditions)
    right = balanced_hits(attack.members, attack.others, seed)
    yield Measurement(BALANCED, right / (2 * n), 2 * n, clopper_pearson(right, 2 * n), attack.conditions)


def _share(metric: Metric, count: int, n: int, conditions: Conditions) -> Measurement:
    return Measurement(metric, count / n, n, clopper_pearson(count, n), conditions)


def too_few(attacks: Sequence[Attack]) -> Iterator[Failure]:
    """Why rates at low rates of error are missing: once where no attack has enough examples, else for each that has not."""
    for _, told, fewest in RATES:
        short = [attack for attack in attacks if len(attack.members) < fewest]
        lacking = [(short[0], {})] if len(short) == len(attacks) else [(attack, attack.conditions) for attack in short]
        for attack, conditions in lacking:
            for metric, side, key in ((TPR, "others", "fpr"), (TNR, "training images", "fnr")):
                message = f"a rate of {told} needs {formatting.count(fewest)} {side}, and there are {formatting.count(len(attack.members))}"
                yield Failure(Status.UNSUPPORTED, "too-few-examples", message, "evaluate more examples", metric, {**conditions, key: told})


def strongest(attacks: Sequence[Attack], figures: Sequence[Figure]) -> Outcome:
    """The highest AUC among the attacks, of equal ones the first.

    Args:
        attacks: At least one.
        figures: Drawn beside it.
    """
    best = max(attacks, key=lambda attack: attack.roc.auc)
    auc, n = best.roc.auc, len(best.members)
    return Measurement(STRONGEST, auc, 2 * n, auc_interval(auc, n, n), best.conditions, extra=tuple(figures))
