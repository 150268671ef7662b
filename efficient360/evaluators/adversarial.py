"""Robust accuracy under gradient attacks: the share classified correctly in the worst case over several attacks within an ε-ball."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np
import torch

from efficient360.core.figures import Figure
from efficient360.core.findings import Finding, findings_table
from efficient360.core.settings import AtLeast1, Count, EachOnce, NotEmpty, Positive, Rising
from efficient360.errors import SettingsError
from efficient360.evaluator import Batch, Context, ExampleEvaluator, Examples, Metric, Model, Need, Outcome, Scores, ScoreTable
from efficient360.methods.adversarial.attack import Attack, AttackBatch
from efficient360.methods.adversarial.attack_curve import (
    ATTACK_INDEX,
    CORRECT,
    EPSILON_INDEX,
    MEDIAN,
    ROBUST,
    WORST,
    AttackCurve,
    accuracy_figure,
    combined,
    cumulative,
    first_attack_only,
    median,
    per_attack,
    worst_case,
)
from efficient360.methods.adversarial.catalogue import Budget, attack
from efficient360.methods.adversarial.ensemble import run_ensemble
from efficient360.methods.adversarial.gallery import SuccessfulAttack, gallery
from efficient360.methods.adversarial.gradient_masking import black_box_findings, clean_image_findings, transfer_findings
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim

CHECKED = 16
"""Clean images that the checks before the attacks look at."""
TRANSFERRED = 128
"""The most robust images that a surrogate is tried on."""

Epsilons = Annotated[tuple[Positive, ...], Rising]


@final
@dataclass(frozen=True)
class Adversarial(ExampleEvaluator):
    """Robust accuracy in L∞ and L2 under AutoAttack's attacks (APGD-CE, APGD-T, FAB-T, Square) or any others, at ascending ε.

    Args:
        linf: ε of L∞ in 255ths of the pixel range, ascending.
        l2: ε of L2 with pixels in [0, 1], ascending.
        scout_linf: Smaller ε of L∞, ascending, where only the first attack is run: the start of the curve.
        scout_l2: The same for L2.
        attacks: In order, each on the images robust to the earlier ones: names of our attacks or of torchattacks', or a ``file.py`` with your own.
        separately: Each attack on every image, for a robust accuracy of its own.
        steps: Gradient steps of each run of an attack; AutoAttack takes 100.
        targets: Classes that targeted attacks try; AutoAttack takes 9.
        queries: Forward passes of black-box attacks; AutoAttack takes 5000.
        examples: How many images, ``None`` for all.
        surrogate: A checkpoint for a transfer attack, where the model's own gradients may be masked; ``""`` for none.
        rows: Images in a forward pass; raise it on a GPU.
        shown: How many adversarial examples the report shows.
    """

    name: ClassVar[str] = "adversarial"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (ROBUST, MEDIAN)
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT, EPSILON_INDEX, ATTACK_INDEX)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.GRADIENTS})
    drawing_settings: ClassVar[frozenset[str]] = frozenset({"shown"})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {
        "linf": ("median_epsilon",),
        "l2": ("median_epsilon",),
        "scout_linf": ("median_epsilon",),
        "scout_l2": ("median_epsilon",),
        "examples": (),
        "surrogate": (),
        "rows": (),
    }
    linf: Epsilons = (4, 8)
    l2: Epsilons = ()
    scout_linf: Epsilons = (0.25, 0.5, 1, 2)
    scout_l2: Epsilons = ()
    attacks: Annotated[tuple[str, ...], NotEmpty, EachOnce] = ("apgd-ce", "apgd-t", "fab-t", "square")
    separately: bool = False
    steps: AtLeast1 = 100
    targets: AtLeast1 = 9
    queries: AtLeast1 = 5000
    examples: AtLeast1 | None = None
    surrogate: str = ""
    rows: AtLeast1 = 8
    shown: Count = 4

    def __post_init__(self) -> None:
        for setting, epsilons, scouted in (("linf", self.linf, self.scout_linf), ("l2", self.l2, self.scout_l2)):
            if epsilons and scouted and scouted[-1] >= epsilons[0]:
                message = f"the setting {setting} of adversarial is {list(epsilons)} after scout_{setting} {list(scouted)}"
                raise SettingsError("bad-setting", message, "let every scouted ε be smaller than the others")
        if not self.linf and not self.l2:
            raise SettingsError("bad-setting", "adversarial was given no ε", "set linf, in 255ths of the pixel range, or l2")
        for norm, _, _ in self._threats():
            self._series(norm)

    def sample_size(self) -> int | None:
        return self.examples

    def batch_limit(self) -> int:
        """Four passes at once: enough to refill passes as examples are broken, and little to lose."""
        return 4 * self.rows

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Whether each clean example is classified correctly, at which ε it was broken and by which attack; a misclassified one at ε 0, by none."""
        victim = Victim(model, self.rows)
        labels = batch.labels.to(victim.device)
        correct = (model.logits(batch).to(victim.device).argmax(1) == labels).nonzero()[:, 0]
        yield Scores(CORRECT, torch.zeros(len(batch)).index_fill(0, correct.cpu(), 1.0))
        everything = AttackBatch(batch.images.to(victim.device), labels, batch.ids, batch.seed)
        for norm, threats, num_scouted in self._threats():
            for number, (series, attacks) in enumerate(self._series(norm)):
                skipped = num_scouted if number else 0  # only the first attack scouts
                epsilon_index, attack_index = torch.zeros(len(batch)), torch.full((len(batch),), float(len(attacks)))
                if len(correct):
                    result = run_ensemble(victim, threats[skipped:], attacks, everything.take(correct), num_scouted - skipped)
                    epsilon_index[correct.cpu()] = result.epsilon_index.cpu().float() + skipped
                    attack_index[correct.cpu()] = result.attack_index.cpu().float()
                yield Scores(EPSILON_INDEX, epsilon_index, {"norm": norm.value, "attack": series})
                yield Scores(ATTACK_INDEX, attack_index, {"norm": norm.value, "attack": series})

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Robust accuracy for each norm, ε and attack, the median ε, and findings that cast doubt on them."""
        victim = Victim(model, self.rows)
        clean_findings: Sequence[Finding] = list(self._clean_image_findings(victim, context))
        for norm, threats, num_scouted in self._threats():
            curves = [self._curve(table, threats, series, attacks, num_scouted) for series, attacks in self._series(norm)]
            worst = combined(curves)
            findings = [*clean_findings, *black_box_findings(worst), *self._transfer_findings(victim, worst, table, context)]
            figures = self._gallery(victim, worst, table, context)
            yield from worst_case(worst, (accuracy_figure(worst), *figures, findings_table(findings)))
            yield from (outcome for curve in curves for outcome in (per_attack(curve) if self.separately else cumulative(curve)))
            yield from first_attack_only(curves[0])
            yield median(worst, context.seed)

    def _threats(self) -> Iterator[tuple[Norm, Sequence[ThreatModel], int]]:
        """Each norm with its threat models and how many of them are only scouted."""
        if self.linf:
            yield Norm.LINF, [ThreatModel(Norm.LINF, epsilon / 255) for epsilon in (*self.scout_linf, *self.linf)], len(self.scout_linf)
        if self.l2:
            yield Norm.L2, [ThreatModel(Norm.L2, epsilon) for epsilon in (*self.scout_l2, *self.l2)], len(self.scout_l2)

    def _series(self, norm: Norm) -> Sequence[tuple[str, Sequence[Attack]]]:
        """The series of attacks that start on every image, each with the condition ``attack`` of its columns."""
        budget = Budget(self.steps, self.targets, self.queries)
        attacks = [attack(name, budget) for name in self.attacks]
        for chosen in attacks:
            if norm not in chosen.norms:
                raise SettingsError("bad-setting", f"the attack {chosen.name} does not support {norm.value}", f"leave it out, or leave out {norm.value}")
        if len({chosen.name for chosen in attacks}) < len(attacks):
            raise SettingsError("bad-setting", f"the setting attacks of adversarial is {list(self.attacks)}", "two of these attacks have the same name")
        return [(chosen.name, [chosen]) for chosen in attacks] if self.separately else [(WORST, attacks)]

    def _curve(self, table: ScoreTable, threats: Sequence[ThreatModel], series: str, attacks: Sequence[Attack], num_scouted: int) -> AttackCurve:
        conditions = {"norm": threats[0].norm.value, "attack": series}
        epsilon_index, attack_index = (table.column(metric, conditions).astype(np.int64) for metric in (EPSILON_INDEX, ATTACK_INDEX))
        return AttackCurve(threats, attacks, table.column(CORRECT) == 1, epsilon_index, attack_index, num_scouted)

    def _clean_image_findings(self, victim: Victim, context: Context[Examples]) -> Iterator[Finding]:
        for batch in context.examples.subset(CHECKED, context.seed).batches(CHECKED):
            yield from clean_image_findings(victim, batch.images.to(victim.device), batch.labels.to(victim.device))

    def _transfer_findings(self, victim: Victim, worst: AttackCurve, table: ScoreTable, context: Context[Examples]) -> Sequence[Finding]:
        robust = np.flatnonzero(worst.robust(len(worst.threats) - 1))[:TRANSFERRED]
        if not self.surrogate or not len(robust):
            return ()
        batch = _attack_batch([table.ids[i] for i in robust], victim, context)
        return list(transfer_findings(victim, self.surrogate, worst.threats[-1], batch, self.steps))

    def _gallery(self, victim: Victim, worst: AttackCurve, table: ScoreTable, context: Context[Examples]) -> Iterator[Figure]:
        broken = np.flatnonzero(worst.correct & (worst.epsilon_index < len(worst.threats)))[: self.shown]
        cases = [
            SuccessfulAttack(_attack_batch([table.ids[i]], victim, context), worst.threats[worst.epsilon_index[i]], worst.attacks[worst.attack_index[i]])
            for i in broken
        ]
        if (pictures := gallery(victim, cases, context.examples.class_names)) is not None:
            yield pictures


def _attack_batch(ids: Sequence[str], victim: Victim, context: Context[Examples]) -> AttackBatch:
    (batch,) = context.examples.select(ids).batches(len(ids))
    return AttackBatch(batch.images.to(victim.device), batch.labels.to(victim.device), batch.ids, batch.seed)
