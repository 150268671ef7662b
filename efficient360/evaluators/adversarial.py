"""Robust accuracy under gradient attacks: the share still right when every pixel may be moved a little, by the worst of several attacks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch

from efficient360.core.figures import Figure
from efficient360.core.findings import Finding, findings_table
from efficient360.errors import SettingsError
from efficient360.evaluator import Batch, Context, ExampleEvaluator, Examples, Metric, Model, Need, Outcome, Scores, ScoreTable
from efficient360.methods.adversarial.attack import Attack, Subjects
from efficient360.methods.adversarial.catalogue import Budget, attack
from efficient360.methods.adversarial.ensemble import strike
from efficient360.methods.adversarial.findings import preflight
from efficient360.methods.adversarial.front import Front, after_each, alone, blind_spots, combined, median, scouts, worst_case
from efficient360.methods.adversarial.gallery import Case, gallery
from efficient360.methods.adversarial.metrics import AT, BY, MEDIAN, RIGHT, ROBUST, WORST
from efficient360.methods.adversarial.radius import accuracy_curve
from efficient360.methods.adversarial.surrogate import transfer
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Victim

CHECKED = 16
"""Clean images that the checks before the attacks look at."""
TRANSFERRED = 128
"""The most standing images that a surrogate is tried on."""


@final
@dataclass(frozen=True)
class Adversarial(ExampleEvaluator):
    """Robust accuracy in L∞ and L2 under AutoAttack's attacks (APGD-CE, APGD-T, FAB-T, Square) or any others, at rising ε.

    Args:
        linf: ε of L∞ in 255ths of the pixel range, rising.
        l2: ε of L2 with pixels in [0, 1], rising.
        scout_linf: Smaller ε of L∞, rising, where only the first attack is tried: the start of the curve.
        scout_l2: The same for L2.
        attacks: In order, each on what the earlier ones left: names of built-in attacks, or a ``file.py`` with one of your own.
        separately: Each attack on every image, for a robust accuracy of its own.
        steps: Gradient steps of each run of an attack; AutoAttack takes 100.
        targets: Classes that targeted attacks try; AutoAttack takes 9.
        queries: Forward passes of black-box attacks; AutoAttack takes 5000.
        examples: How many images, ``None`` for all.
        surrogate: A checkpoint to make images on as well, where the model's own gradients may lie; ``""`` for none.
        rows: Images a pass; raise it on a GPU.
        shown: How many fallen images the report shows.
    """

    name: ClassVar[str] = "adversarial"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (ROBUST, MEDIAN)
    columns: ClassVar[tuple[Metric, ...]] = (RIGHT, AT, BY)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.GRADIENTS})
    linf: tuple[float, ...] = (4, 8)
    l2: tuple[float, ...] = ()
    scout_linf: tuple[float, ...] = (0.25, 0.5, 1, 2)
    scout_l2: tuple[float, ...] = ()
    attacks: tuple[str, ...] = ("apgd-ce", "apgd-t", "fab-t", "square")
    separately: bool = False
    steps: int = 100
    targets: int = 9
    queries: int = 5000
    examples: int | None = None
    surrogate: str = ""
    rows: int = 8
    shown: int = 4

    def __post_init__(self) -> None:
        for setting, epsilons, smaller in (("linf", self.linf, self.scout_linf), ("l2", self.l2, self.scout_l2)):
            rising = (*smaller, *epsilons) if epsilons else ()
            if sorted(set(rising)) != list(rising) or any(epsilon <= 0 for epsilon in rising):
                message = f"the setting {setting} of adversarial is {list(epsilons)}" + (f" after scout_{setting} {list(smaller)}" if smaller else "")
                raise SettingsError("bad-setting", message, "give ε above 0, all in rising order: [1, 2, 4, 8]")
        if not self.linf and not self.l2:
            raise SettingsError("bad-setting", "adversarial was given no ε", "set linf, in 255ths of the pixel range, or l2")
        lows = {"steps": 1, "targets": 1, "queries": 1, "rows": 1, "shown": 0}
        for setting, low in lows.items():
            if getattr(self, setting) < low:
                raise SettingsError("bad-setting", f"the setting {setting} of adversarial is {getattr(self, setting)}", f"give {low} or more")
        if self.examples is not None and self.examples < 1:
            raise SettingsError("bad-setting", f"the setting examples of adversarial is {self.examples}", "give 1 or more, or null for all")
        for norm, _, _ in self._fronts():
            self._rounds(norm)

    def sample_size(self) -> int | None:
        return self.examples

    def batch_limit(self) -> int:
        """Four passes at once: enough to close the ranks as examples fall, and little to lose."""
        return 4 * self.rows

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Right or wrong when clean, and when and to what each right one fell; a wrong one falls to nothing at ε 0."""
        victim = Victim(model, self.rows)
        labels = batch.labels.to(victim.device)
        right = (model.logits(batch).to(victim.device).argmax(1) == labels).nonzero()[:, 0]
        yield Scores(RIGHT, torch.zeros(len(batch)).index_fill(0, right.cpu(), 1.0))
        everyone = Subjects(batch.images.to(victim.device), labels, batch.ids, batch.seed)
        for norm, threats, scouted in self._fronts():
            for number, (told, attacks) in enumerate(self._rounds(norm)):
                left_out = scouted if number else 0  # only the first attack scouts
                at, by = torch.zeros(len(batch)), torch.full((len(batch),), float(len(attacks)))
                if len(right):
                    fallen = strike(victim, threats[left_out:], attacks, everyone.take(right), scouted - left_out)
                    at[right.cpu()], by[right.cpu()] = fallen.at.cpu().float() + left_out, fallen.by.cpu().float()
                yield Scores(AT, at, {"norm": norm.value, "attack": told})
                yield Scores(BY, by, {"norm": norm.value, "attack": told})

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Robust accuracy for each norm, ε and attack, the median ε, and what makes them less sure."""
        victim = Victim(model, self.rows)
        warned: Sequence[Finding] = list(self._preflight(victim, context))
        for norm, threats, scouted in self._fronts():
            fronts = [self._front(table, threats, told, attacks, scouted) for told, attacks in self._rounds(norm)]
            worst = combined(fronts)
            found = [*warned, *blind_spots(worst), *self._transfer(victim, worst, table, context)]
            pictures = self._pictures(victim, worst, table, context)
            curve = accuracy_curve(threats, worst.clean, [worst.worst(i) for i in range(len(threats))])
            yield from worst_case(worst, (curve, *pictures, findings_table(found)))
            yield from (outcome for front in fronts for outcome in (alone(front) if self.separately else after_each(front)))
            yield from scouts(fronts[0])
            yield median(worst, context.seed)

    def _fronts(self) -> Iterator[tuple[Norm, Sequence[Threat], int]]:
        """Each norm with its threat models and how many of them are only scouted."""
        if self.linf:
            yield Norm.LINF, [Threat(Norm.LINF, epsilon / 255) for epsilon in (*self.scout_linf, *self.linf)], len(self.scout_linf)
        if self.l2:
            yield Norm.L2, [Threat(Norm.L2, epsilon) for epsilon in (*self.scout_l2, *self.l2)], len(self.scout_l2)

    def _rounds(self, norm: Norm) -> Sequence[tuple[str, Sequence[Attack]]]:
        """What is run apart, with the name its columns carry."""
        budget = Budget(self.steps, self.targets, self.queries)
        attacks = [attack(name, budget) for name in self.attacks]
        for one in attacks:
            if norm not in one.norms:
                raise SettingsError("bad-setting", f"the attack {one.name} knows no {norm.value}", f"leave it out, or leave out {norm.value}")
        if not attacks or len({one.name for one in attacks}) < len(attacks):
            raise SettingsError("bad-setting", f"the setting attacks of adversarial is {list(self.attacks)}", "name at least one attack, each once")
        return [(one.name, [one]) for one in attacks] if self.separately else [(WORST, attacks)]

    def _front(self, table: ScoreTable, threats: Sequence[Threat], told: str, attacks: Sequence[Attack], scouted: int) -> Front:
        at, by = (table.column(metric, {"norm": threats[0].norm.value, "attack": told}).astype(np.int64) for metric in (AT, BY))
        return Front(threats, attacks, table.column(RIGHT) == 1, at, by, scouted)

    def _preflight(self, victim: Victim, context: Context) -> Iterator[Finding]:
        assert context.examples is not None  # the runner gives an ExampleEvaluator its examples
        for batch in context.examples.subset(CHECKED, context.seed).batches(CHECKED):
            yield from preflight(victim, batch.images.to(victim.device), batch.labels.to(victim.device))

    def _transfer(self, victim: Victim, worst: Front, table: ScoreTable, context: Context) -> Sequence[Finding]:
        standing = np.flatnonzero(worst.worst(len(worst.threats) - 1))[:TRANSFERRED]
        if not self.surrogate or not len(standing):
            return ()
        return transfer(victim, self.surrogate, worst.threats[-1], _subjects([table.ids[i] for i in standing], victim, context), self.steps)

    def _pictures(self, victim: Victim, worst: Front, table: ScoreTable, context: Context) -> Iterator[Figure]:
        assert context.examples is not None
        chosen = np.flatnonzero(worst.clean & (worst.at < len(worst.threats)))[: self.shown]
        cases = [Case(_subjects([table.ids[i]], victim, context), worst.threats[worst.at[i]], worst.attacks[worst.by[i]]) for i in chosen]
        if (drawn := gallery(victim, cases, context.examples.class_names)) is not None:
            yield drawn


def _subjects(ids: Sequence[str], victim: Victim, context: Context) -> Subjects:
    assert context.examples is not None
    (batch,) = context.examples.select(ids).batches(len(ids))
    return Subjects(batch.images.to(victim.device), batch.labels.to(victim.device), batch.ids, batch.seed)
