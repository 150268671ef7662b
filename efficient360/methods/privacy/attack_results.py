"""From an attack's scores to outcomes, figures and validity warnings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core import formatting
from efficient360.core.arrays import Floats
from efficient360.core.figures import Curve, Figure, Series, Table
from efficient360.core.findings import Finding
from efficient360.core.measurement import Conditions, Failure, Measurement, Metric, Status
from efficient360.core.statistics import clopper_pearson
from efficient360.methods.privacy.blind_baseline import splits_differ
from efficient360.methods.privacy.metrics import AUC, BALANCED, STRONGEST, TNR, TPR
from efficient360.methods.privacy.roc import Roc, auc_interval, cross_fitted_hits, max_errors, roc
from efficient360.methods.privacy.strongest_attack import highest_auc_interval
from efficient360.methods.privacy.threshold_attacks import LOSS, MARGIN

ONE_CHECKPOINT: Final = "one checkpoint, lower bound"
"""Tier of attacks that use nothing but the checkpoint."""
ERROR_RATES: Final = ((0.01, "1 %", 500), (0.001, "0.1 %", 10_000))
"""Error rates at which TPR and TNR are reported, their name in conditions, and the members needed.

At 1 % at least five errors determine the threshold, at 0.1 % ten: with fewer, the error rate itself would be uncertain.
"""
ROC_POINTS: Final = 60
"""Points per curve: two logarithmic axes need no more."""


@final
@dataclass(frozen=True)
class MembershipAttack:
    """The scores of one attack.

    Args:
        name: Its name in conditions.
        tier: What the attacker has: one checkpoint, or a number of shadow models.
        members: Scores of members ``(n,)``; higher is more like a member.
        nonmembers: Scores of non-members ``(n,)``.
    """

    name: str
    tier: str
    members: Floats
    nonmembers: Floats

    @property
    def roc(self) -> Roc:
        """Its counts at every threshold."""
        return roc(self.members, self.nonmembers)

    @property
    def conditions(self) -> dict[str, str]:
        """Conditions of its measurements."""
        return {"attack": self.name, "tier": self.tier}

    @property
    def held_fixed(self) -> str:
        """What the intervals of its measurements take as given."""
        return "" if self.tier == ONE_CHECKPOINT else "the shadow models"


def attack_outcomes(attack: MembershipAttack, seed: int) -> Iterator[Measurement]:
    """TPR and TNR at low error rates where there are enough examples, which show the images at most risk; then AUC and balanced accuracy, for the average.

    The exact intervals of proportions take the threshold as given.

    Args:
        attack: With at least 2 members.
        seed: Of the halves behind the balanced accuracy.
    """
    curve, n = attack.roc, len(attack.members)
    for rate, percent, required in ERROR_RATES:
        if n >= required:
            errors = max_errors(rate, n)
            yield _rate(TPR, curve.true_positives_at(errors), n, attack.conditions | {"fpr": percent})
            yield _rate(TNR, curve.true_negatives_at(errors), n, attack.conditions | {"fnr": percent})
    yield Measurement(AUC, curve.auc, 2 * n, auc_interval(curve.auc, n, n).given(attack.held_fixed), attack.conditions)
    hits = cross_fitted_hits(attack.members, attack.nonmembers, seed)
    yield _proportion(BALANCED, hits, 2 * n, attack.conditions)


def _proportion(metric: Metric, count: int, n: int, conditions: Conditions) -> Measurement:
    return Measurement(metric, count / n, n, clopper_pearson(count, n), conditions)


def _rate(metric: Metric, count: int, n: int, conditions: Conditions) -> Measurement:
    return Measurement(metric, count / n, n, clopper_pearson(count, n).given("the threshold"), conditions)


def missing_rates(attacks: Sequence[MembershipAttack]) -> Iterator[Failure]:
    """Why TPR and TNR at low error rates are missing: once where no attack has enough examples, else for each that has not."""
    for _, percent, required in ERROR_RATES:
        short = [attack for attack in attacks if len(attack.members) < required]
        lacking = [(short[0], {})] if len(short) == len(attacks) else [(attack, attack.conditions) for attack in short]
        for attack, conditions in lacking:
            for metric, noun, key in ((TPR, "non-members", "fpr"), (TNR, "members", "fnr")):
                message = f"a rate of {percent} needs {formatting.count(required)} {noun}, and there are {formatting.count(len(attack.members))}"
                yield Failure(Status.UNSUPPORTED, "too-few-examples", message, "evaluate more examples", metric, {**conditions, key: percent})


def strongest_attack(attacks: Sequence[MembershipAttack], seed: int, figures: Sequence[Figure]) -> Measurement:
    """The highest AUC among the attacks, the first of equal ones.

    Args:
        attacks: At least one.
        seed: Of the interval.
        figures: Shown beside it.
    """
    best = max(attacks, key=lambda attack: attack.roc.auc)
    auc, n = best.roc.auc, len(best.members)
    interval = highest_auc_interval([(attack.members, attack.nonmembers) for attack in attacks], seed).given(best.held_fixed)
    return Measurement(STRONGEST, auc, 2 * n, interval, best.conditions, extra=tuple(figures))


def roc_figure(attacks: Sequence[MembershipAttack]) -> Curve:
    """True against false positive rate of every attack on logarithmic axes (Carlini et al. 2022), with the diagonal of guessing."""
    n = max(len(attack.nonmembers) for attack in attacks)
    guess = Series("guessing", (1 / n, 1.0), (1 / n, 1.0), style="reference")
    curves = (_roc_series(attack) for attack in attacks)
    return Curve("Membership inference: ROC of the attacks", "false positive rate", "true positive rate", (guess, *curves), x_log=True, y_log=True)


def _roc_series(attack: MembershipAttack) -> Series:
    curve, n = attack.roc, len(attack.nonmembers)
    false_positives = np.unique(np.rint(np.geomspace(1, n, ROC_POINTS)).astype(np.int64))
    rates = [(int(count) / n, curve.true_positives_at(int(count)) / len(attack.members)) for count in false_positives]
    positive = [(x, y) for x, y in rates if y > 0]  # a logarithmic axis has no 0
    return Series(attack.name, tuple(x for x, _ in positive), tuple(y for _, y in positive))


def generalisation_table(members: NDArray[Any], nonmembers: NDArray[Any]) -> Table:
    """Accuracy and loss on members and non-members: the generalisation gap.

    Args:
        members: Signals ``(n, 4)``.
        nonmembers: Signals ``(n, 4)``.
    """
    rows = tuple(
        (name, len(s), f"{100 * (s[:, MARGIN] > 0).mean():.1f} %", round(float(s[:, LOSS].mean()), 4), round(float(np.median(s[:, LOSS])), 4))
        for name, s in (("members (training images)", members), ("non-members", nonmembers))
    )
    return Table("Accuracy and loss of the model on members and non-members", ("images", "n", "accuracy", "mean loss", "median loss"), rows)


def void_reason(blind: Measurement) -> str:
    """Why the attacks' numbers mean nothing: the two splits can be told apart without the model; ``""`` where they can't.

    Args:
        blind: The blind baseline's AUC.
    """
    if not splits_differ(blind):
        return ""
    return f"a blind baseline separates members from non-members by their pixels alone (AUC {formatting.number(blind.value, blind.metric)})"


def split_findings(blind: Measurement, duplicates: int) -> Iterator[Finding]:
    """Warnings about the two splits themselves.

    Args:
        blind: The blind baseline's AUC.
        duplicates: Pairs that were left out because the same image is in both splits.
    """
    if splits_differ(blind):
        auc, interval = formatting.number(blind.value, blind.metric), formatting.interval(blind.interval, blind.metric)
        yield Finding(
            "told-by-pixels",
            f"a blind baseline separates members from non-members by their pixels with an AUC of {auc} ({interval}), without the model",
            "the attacks' numbers say nothing about memorisation here: use splits drawn at random from the same source",
        )
    if duplicates:
        yield Finding(
            "shared-images",
            f"{formatting.count(duplicates)} images are in both splits, pixel for pixel, and were left out",
            "the evaluated split contains training images, so its accuracy is inflated too",
        )


def lower_bound_finding() -> Finding:
    """The limit of attacks on one checkpoint."""
    return Finding(
        "lower-bound",
        "all attacks used this one checkpoint only: a low AUC is no evidence of privacy, stronger attacks exist (Carlini et al. 2022)",
        "set shadows to 16 or more, or give shadow_checkpoints",
    )


def shadow_mismatch(shadows: float, target: float) -> Iterator[Finding]:
    """A warning where shadow models generalise much better or worse than the checkpoint.

    Args:
        shadows: Their mean accuracy on images they were not trained on.
        target: The checkpoint's accuracy on images it was not trained on.
    """
    if abs(shadows - target) > 0.1:
        yield Finding(
            "unlike-shadows",
            f"on images they were not trained on, shadow models have an accuracy of {100 * shadows:.0f} %, the checkpoint of {100 * target:.0f} %",
            "shadow models that generalise differently from the checkpoint make weaker attacks: change their epochs or architecture, or give your own",
        )
