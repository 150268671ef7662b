"""Robust accuracy from logits or predictions alone: what an attacker without the weights reaches, on a checkpoint or on a deployed artefact."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.figures import Figure
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
from efficient360.methods.adversarial.attack import Subjects
from efficient360.methods.adversarial.catalogue import Budget, attack
from efficient360.methods.adversarial.front import Front, alone, combined, median, worst_case
from efficient360.methods.adversarial.gallery import Case, gallery
from efficient360.methods.adversarial.metrics import AT, MEDIAN, RIGHT, ROBUST
from efficient360.methods.adversarial.querying import QueryAttack, felled
from efficient360.methods.adversarial.radius import accuracy_curve
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Victim

MEDIAN_QUERIES = Metric(
    "median_queries",
    ONE,
    Better.NEITHER,
    "Images shown to the model until it was fooled, median over the images that fell at the smallest ε.",
    "Ilyas et al. 2018 (median queries of successful attacks)",
    low=0,
)
QUERIES = Metric("queries", ONE, Better.NEITHER, "Images shown to the model until it was fooled, at the ε at which it was; 0 where it was not.", low=0)


@final
@dataclass(frozen=True)
class BlackBox(ExampleEvaluator):
    """Robust accuracy under attacks that need no gradient (Square from logits, RayS from the predicted class), at rising ε.

    Args:
        norm: ``linf`` or ``l2``.
        epsilons: ε, rising: in 255ths of the pixel range for L∞, with pixels in [0, 1] for L2.
        attacks: ``square``, ``rays``, or a ``file.py`` with a query attack of your own; each meets every image.
        queries: Images shown to the model at most, for each image, attack and ε; 5000 is usual.
        examples: How many images, ``None`` for all.
        rows: Images a pass; raise it on a GPU.
        shown: How many fallen images the report shows.
    """

    name: ClassVar[str] = "black_box"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (ROBUST, MEDIAN, MEDIAN_QUERIES)
    columns: ClassVar[tuple[Metric, ...]] = (RIGHT, AT, QUERIES)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    norm: Norm = Norm.LINF
    epsilons: tuple[float, ...] = (1, 2, 4, 8)
    attacks: tuple[str, ...] = ("square", "rays")
    queries: int = 1000
    examples: int | None = 200
    rows: int = 16
    shown: int = 4

    def __post_init__(self) -> None:
        if not self.epsilons or sorted(set(self.epsilons)) != list(self.epsilons) or self.epsilons[0] <= 0:
            raise SettingsError("bad-setting", f"the setting epsilons of black_box is {list(self.epsilons)}", "give ε above 0 in rising order: [1, 2, 4, 8]")
        for setting, low in {"queries": 1, "rows": 1, "shown": 0}.items():
            if getattr(self, setting) < low:
                raise SettingsError("bad-setting", f"the setting {setting} of black_box is {getattr(self, setting)}", f"give {low} or more")
        if self.examples is not None and self.examples < 1:
            raise SettingsError("bad-setting", f"the setting examples of black_box is {self.examples}", "give 1 or more, or null for all")
        self._attacks()

    def sample_size(self) -> int | None:
        return self.examples

    def batch_limit(self) -> int:
        """Four passes at once: enough to close the ranks as examples fall, and little to lose."""
        return 4 * self.rows

    def surroundings(self) -> Mapping[str, object]:
        """What the files of your own attacks say."""
        return {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in self.attacks if name.endswith(".py")}

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Right or wrong when clean, and for each attack where each right one fell and after how many queries; a wrong one falls at place 0 after none."""
        victim = Victim(model, self.rows)
        right = (model.logits(batch).cpu().argmax(1) == batch.labels.cpu()).nonzero().flatten()
        yield Scores(RIGHT, torch.zeros(len(batch)).index_fill(0, right, 1.0))
        for one in self._attacks():
            at, queries = torch.zeros(len(batch)), torch.zeros(len(batch))
            if len(right):
                everyone = Subjects(batch.images.to(victim.device), batch.labels.to(victim.device), batch.ids, batch.seed)
                found = felled(one, victim, self._threats(), everyone.take(right.to(victim.device)))
                at[right], queries[right] = found.at.cpu().float(), found.queries.cpu().float()
            yield Scores(AT, at, {"norm": self.norm.value, "attack": one.name})
            yield Scores(QUERIES, queries, {"norm": self.norm.value, "attack": one.name})

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Robust accuracy for each attack and ε and under the worst of them, the median ε, and the median number of queries."""
        fronts = [self._front(table, one) for one in self._attacks()]
        worst = combined(fronts)
        curve = accuracy_curve(worst.threats, worst.clean, [worst.worst(i) for i in range(len(worst.threats))])
        yield from worst_case(worst, (curve, *self._pictures(Victim(model, self.rows), worst, table, context)))
        for front in fronts:
            yield from alone(front)
        yield median(worst, context.seed)
        for front in fronts:
            yield _median_queries(front, table.column(QUERIES, {"norm": self.norm.value, "attack": front.attacks[0].name}))

    def _threats(self) -> Sequence[Threat]:
        return [Threat(self.norm, epsilon / 255 if self.norm is Norm.LINF else epsilon) for epsilon in self.epsilons]

    def _attacks(self) -> Sequence[QueryAttack]:
        found = []
        for one in (attack(name, Budget(queries=self.queries)) for name in self.attacks):
            if not isinstance(one, QueryAttack):
                raise SettingsError("bad-setting", f"the attack {one.name} wants more than answers to queries", "run it in the evaluator adversarial")
            if self.norm not in one.norms:
                raise SettingsError("bad-setting", f"the attack {one.name} knows no {self.norm}", f"leave it out, or give the norm {min(one.norms)}")
            found.append(one)
        if not found or len({one.name for one in found}) < len(found):
            raise SettingsError("bad-setting", f"the setting attacks of black_box is {list(self.attacks)}", "name at least one attack, each once")
        return found

    def _front(self, table: ScoreTable, one: QueryAttack) -> Front:
        at = table.column(AT, {"norm": self.norm.value, "attack": one.name}).astype(np.int64)
        return Front(self._threats(), [one], table.column(RIGHT) == 1, at, (at == len(self.epsilons)).astype(np.int64))

    def _pictures(self, victim: Victim, worst: Front, table: ScoreTable, context: Context) -> Iterator[Figure]:
        assert context.examples is not None  # the runner gives an ExampleEvaluator its examples
        chosen = np.flatnonzero(worst.clean & (worst.at < len(worst.threats)))[: self.shown]
        if not len(chosen):
            return
        batches = context.examples.select([table.ids[i] for i in chosen]).batches(1)
        cases = [
            Case(Subjects(b.images.to(victim.device), b.labels.to(victim.device), b.ids, b.seed), worst.threats[worst.at[i]], worst.attacks[worst.by[i]])
            for i, b in zip(chosen, batches, strict=True)
        ]
        if (drawn := gallery(victim, cases, context.examples.class_names)) is not None:
            yield drawn


def _median_queries(front: Front, queries: NDArray[np.float64]) -> Outcome:
    """The median number of queries at the smallest ε, where every right example was attacked afresh, or why there is none."""
    spent, conditions = queries[front.clean & (front.at == 0)], front.conditions(0, front.attacks[0].name)
    if len(spent) < FEWEST_FOR_MEDIAN:
        message = f"{len(spent)} images fell to {front.attacks[0].title} at {front.threats[0].label}: too few for a median"
        return Failure(Status.UNSUPPORTED, "too-few-fell", message, "attack more images, or a larger ε alone", MEDIAN_QUERIES, conditions)
    return Measurement(MEDIAN_QUERIES, float(np.median(spent)), len(spent), median_interval(spent), conditions)
