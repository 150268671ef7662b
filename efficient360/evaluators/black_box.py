"""Robust accuracy from logits or predictions alone: what an attacker without the weights reaches, on a checkpoint or on a deployed artefact."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.figures import Figure
from efficient360.core.settings import AtLeast1, Count, EachOnce, NotEmpty, Positive, Rising
from efficient360.core.statistics import FEWEST_FOR_MEDIAN, median_interval
from efficient360.errors import SettingsError
from efficient360.evaluator import (
    ONE,
    Batch,
    Better,
    Context,
    ExampleEvaluator,
    Examples,
    Failure,
    Measurement,
    Metric,
    Model,
    Need,
    Outcome,
    Scores,
    ScoreTable,
    Status,
)
from efficient360.methods.adversarial.attack import AttackBatch
from efficient360.methods.adversarial.attack_curve import (
    CORRECT,
    EPSILON_INDEX,
    MEDIAN,
    ROBUST,
    AttackCurve,
    accuracy_figure,
    combined,
    median,
    per_attack,
    worst_case,
)
from efficient360.methods.adversarial.catalogue import Budget, attack
from efficient360.methods.adversarial.ensemble import run_query_attack
from efficient360.methods.adversarial.gallery import SuccessfulAttack, gallery
from efficient360.methods.adversarial.query_attack import QueryAttack
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim

MEDIAN_QUERIES = Metric(
    "median_queries",
    ONE,
    Better.NEITHER,
    "Model queries until an attack succeeded, median over the images it succeeded on at the smallest ε.",
    "Ilyas et al. 2018 (median queries of successful attacks)",
    low=0,
)
QUERIES = Metric("queries", ONE, Better.NEITHER, "Model queries until the attack succeeded, at the ε at which it did; 0 if it never did.", low=0)


@final
@dataclass(frozen=True)
class BlackBox(ExampleEvaluator):
    """Robust accuracy under attacks that need no gradient (Square from logits, RayS from the predicted class), at ascending ε.

    Args:
        norm: ``linf`` or ``l2``.
        epsilons: ε, ascending: in 255ths of the pixel range for L∞, with pixels in [0, 1] for L2.
        attacks: ``square``, ``rays``, or a ``file.py`` with a query attack of your own; each runs on every image.
        queries: Model queries at most, for each image, attack and ε; 5000 is usual.
        examples: How many images, ``None`` for all.
        rows: Images in a forward pass; raise it on a GPU.
        shown: How many adversarial examples the report shows.
    """

    name: ClassVar[str] = "black_box"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (ROBUST, MEDIAN, MEDIAN_QUERIES)
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT, EPSILON_INDEX, QUERIES)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    drawing_settings: ClassVar[frozenset[str]] = frozenset({"shown"})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"norm": (), "epsilons": ("median_epsilon",), "examples": (), "rows": ()}
    norm: Norm = Norm.LINF
    epsilons: Annotated[tuple[Positive, ...], NotEmpty, Rising] = (1, 2, 4, 8)
    attacks: Annotated[tuple[str, ...], NotEmpty, EachOnce] = ("square", "rays")
    queries: AtLeast1 = 1000
    examples: AtLeast1 | None = 200
    rows: AtLeast1 = 16
    shown: Count = 4

    def __post_init__(self) -> None:
        self._attacks()

    def sample_size(self) -> int | None:
        return self.examples

    def batch_limit(self) -> int:
        """Four passes at once: enough to refill passes as examples are broken, and little to lose."""
        return 4 * self.rows

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Whether each clean example is correct, at which ε each attack broke it and after how many queries; a misclassified one at ε 0 after none."""
        victim = Victim(model, self.rows)
        correct = (model.logits(batch).cpu().argmax(1) == batch.labels.cpu()).nonzero().flatten()
        yield Scores(CORRECT, torch.zeros(len(batch)).index_fill(0, correct, 1.0))
        for chosen in self._attacks():
            epsilon_index, queries = torch.zeros(len(batch)), torch.zeros(len(batch))
            if len(correct):
                everything = AttackBatch(batch.images.to(victim.device), batch.labels.to(victim.device), batch.ids, batch.seed)
                search = run_query_attack(chosen, victim, self._threats(), everything.take(correct.to(victim.device)))
                epsilon_index[correct], queries[correct] = search.epsilon_index.cpu().float(), search.queries.cpu().float()
            yield Scores(EPSILON_INDEX, epsilon_index, {"norm": self.norm.value, "attack": chosen.name})
            yield Scores(QUERIES, queries, {"norm": self.norm.value, "attack": chosen.name})

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Robust accuracy for each attack and ε and under the worst of them, the median ε, and the median number of queries."""
        curves = [self._curve(table, chosen) for chosen in self._attacks()]
        worst = combined(curves)
        yield from worst_case(worst, (accuracy_figure(worst), *self._gallery(Victim(model, self.rows), worst, table, context)))
        for curve in curves:
            yield from per_attack(curve)
        yield median(worst, context.seed)
        for curve in curves:
            yield _median_queries(curve, table.column(QUERIES, {"norm": self.norm.value, "attack": curve.attacks[0].name}))

    def _threats(self) -> Sequence[ThreatModel]:
        return [ThreatModel(self.norm, epsilon / 255 if self.norm is Norm.LINF else epsilon) for epsilon in self.epsilons]

    def _attacks(self) -> Sequence[QueryAttack]:
        attacks = []
        for chosen in (attack(name, Budget(queries=self.queries)) for name in self.attacks):
            if not isinstance(chosen, QueryAttack):
                raise SettingsError("bad-setting", f"the attack {chosen.name} needs more than answers to queries", "run it in the evaluator adversarial")
            if self.norm not in chosen.norms:
                raise SettingsError(
                    "bad-setting", f"the attack {chosen.name} does not support {self.norm}", f"leave it out, or give the norm {min(chosen.norms)}"
                )
            attacks.append(chosen)
        if len({chosen.name for chosen in attacks}) < len(attacks):
            raise SettingsError("bad-setting", f"the setting attacks of black_box is {list(self.attacks)}", "two of these attacks have the same name")
        return attacks

    def _curve(self, table: ScoreTable, chosen: QueryAttack) -> AttackCurve:
        epsilon_index = table.column(EPSILON_INDEX, {"norm": self.norm.value, "attack": chosen.name}).astype(np.int64)
        attack_index = (epsilon_index == len(self.epsilons)).astype(np.int64)
        return AttackCurve(self._threats(), [chosen], table.column(CORRECT) == 1, epsilon_index, attack_index)

    def _gallery(self, victim: Victim, worst: AttackCurve, table: ScoreTable, context: Context[Examples]) -> Iterator[Figure]:
        broken = np.flatnonzero(worst.correct & (worst.epsilon_index < len(worst.threats)))[: self.shown]
        if not len(broken):
            return
        batches = context.examples.select([table.ids[i] for i in broken]).batches(1)
        cases = [
            SuccessfulAttack(
                AttackBatch(batch.images.to(victim.device), batch.labels.to(victim.device), batch.ids, batch.seed),
                worst.threats[worst.epsilon_index[i]],
                worst.attacks[worst.attack_index[i]],
            )
            for i, batch in zip(broken, batches, strict=True)
        ]
        if (pictures := gallery(victim, cases, context.examples.class_names)) is not None:
            yield pictures


def _median_queries(curve: AttackCurve, queries: NDArray[np.float64]) -> Outcome:
    """The median number of queries at the smallest ε, where every correctly classified example was attacked afresh, or why there is none."""
    spent, conditions = queries[curve.correct & (curve.epsilon_index == 0)], curve.conditions(0, curve.attacks[0].name)
    if len(spent) < FEWEST_FOR_MEDIAN:
        message = f"{curve.attacks[0].title} succeeded on {len(spent)} images at {curve.threats[0].label}: too few for a median"
        return Failure(Status.UNSUPPORTED, "too-few-fell", message, "attack more images, or a larger ε alone", MEDIAN_QUERIES, conditions)
    return Measurement(MEDIAN_QUERIES, float(np.median(spent)), len(spent), median_interval(spent), conditions)
