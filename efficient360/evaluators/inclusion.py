"""Inclusiveness: the classes and groups that the mean leaves out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Figure
from efficient360.core.formatting import class_name, count
from efficient360.core.groupings import Grouping, group_by, intersections
from efficient360.errors import SettingsError, Unsupported
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
from efficient360.methods.fairness.group_accuracy import GroupCounts, count_hits
from efficient360.methods.fairness.worst_groups import sorted_accuracy_curve, worst_k, worst_table

TENTH = 10
FEWEST_CLASSES = 20
"""With fewer classes the lowest tenth is a single one."""
NULL = "mean over permutations"

CORRECT = Metric("correct", ONE, Better.HIGHER, "Whether the predicted class is the true one.", low=0, high=1)
WORST_CLASS = Metric(
    "worst_class_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy of the class that fares worst, among those with enough examples.",
    "Sagawa et al. 2020, over classes",
    low=0,
    high=1,
)
WORST_CLASS_NULL = Metric(
    "worst_class_accuracy_null",
    ONE,
    Better.NEITHER,
    "Accuracy that the worst class would show by chance if all were equally hard; its interval holds 95 % of such cases.",
    NULL,
    low=0,
    high=1,
)
LOWEST_TENTH = Metric(
    "lowest_tenth_accuracy", ONE, Better.HIGHER, "Mean accuracy of the tenth of the classes that fare worst.", "lower tail mean over classes", low=0, high=1
)
LOWEST_TENTH_NULL = Metric(
    "lowest_tenth_accuracy_null",
    ONE,
    Better.NEITHER,
    "Mean accuracy that the lowest tenth of the classes would show by chance if all were equally hard; its interval holds 95 % of such cases.",
    NULL,
    low=0,
    high=1,
)
WORST_GROUP = Metric(
    "worst_group_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy of the group that fares worst, over the data set's group columns and where they cross.",
    "Sagawa et al. 2020",
    low=0,
    high=1,
)
WORST_GROUP_NULL = Metric(
    "worst_group_accuracy_null",
    ONE,
    Better.NEITHER,
    "Accuracy that the worst group of that grouping would show by chance if all were alike; its interval holds 95 % of such cases.",
    NULL,
    low=0,
    high=1,
)


@final
@dataclass(frozen=True)
class Inclusion(ExampleEvaluator):
    """Accuracy of the worst class, of the lowest tenth of the classes and of the worst group, each beside what chance alone would show.

    Args:
        minimum_class: Examples that a class needs to be looked at; the others are told.
        minimum_group: Examples that a group needs to be looked at.
        crossing: How many of the data set's group columns are crossed at most; 1 crosses none.
        permutations: Draws behind what chance gives.
    """

    name: ClassVar[str] = "inclusion"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (WORST_CLASS, WORST_CLASS_NULL, LOWEST_TENTH, LOWEST_TENTH_NULL, WORST_GROUP, WORST_GROUP_NULL)
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GROUPS})
    minimum_class: int = 10
    minimum_group: int = 30
    crossing: int = 2
    permutations: int = 1000

    def __post_init__(self) -> None:
        for name, least in {"minimum_class": 1, "minimum_group": 1, "crossing": 1, "permutations": 99}.items():
            if (value := getattr(self, name)) < least:
                raise SettingsError("bad-setting", f"the setting {name} of inclusion is {value}", f"give at least {least}")

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Right or wrong."""
        yield Scores(CORRECT, model.logits(batch).cpu().argmax(1) == batch.labels.cpu())

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """The worst class, the lowest tenth of the classes and the worst group."""
        if context.examples is None:
            raise Unsupported("no-examples", "inclusion was given no examples", "name a data set with --dataset")
        correct, names = table.column(CORRECT), context.examples.class_names
        present, codes = np.unique(table.labels, return_inverse=True)
        classes = Grouping("class", tuple(class_name(int(i), names) for i in present), codes.astype(np.int64))
        yield from self._classes(classes, correct, [context.seed, 1])
        yield from self._groups(table, correct, [context.seed, 2])

    def _classes(self, classes: Grouping, correct: NDArray[np.float64], seed: list[int]) -> Iterator[Outcome]:
        kept, of = _told(classes, correct, self.minimum_class)
        if len(kept) < 2:
            message = f"{len(kept)} of {count(len(classes.names))} classes have at least {self.minimum_class} examples, and the worst is one of two at least"
            yield Failure(Status.UNSUPPORTED, "sparse-classes", message, "evaluate more examples", WORST_CLASS)
            return
        if len(kept) < len(classes.names):
            left = len(classes.names) - len(kept)
            message = f"{count(left)} of {count(len(classes.names))} classes have fewer than {self.minimum_class} examples and are not looked at"
            yield Failure(Status.UNSUPPORTED, "small-classes", message, "evaluate more examples", WORST_CLASS, {"examples": f"fewer than {self.minimum_class}"})
        worst = worst_k(of, 1, self.permutations, seed)
        shown: tuple[Figure, ...] = (sorted_accuracy_curve(of, self.permutations, seed, "class"), worst_table(of, kept, "class"))
        yield Measurement(WORST_CLASS, worst.value, worst.n, worst.interval, extra=shown)
        yield Measurement(WORST_CLASS_NULL, worst.null_mean, of.n, worst.null_interval)
        if len(kept) < FEWEST_CLASSES:
            message = f"the lowest tenth of {len(kept)} classes is the worst one itself"
            yield Failure(Status.UNSUPPORTED, "too-few-classes", message, "read worst_class_accuracy instead", LOWEST_TENTH)
            return
        tenth = worst_k(of, -(-len(kept) // TENTH), self.permutations, seed)
        yield Measurement(LOWEST_TENTH, tenth.value, tenth.n, tenth.interval)
        yield Measurement(LOWEST_TENTH_NULL, tenth.null_mean, of.n, tenth.null_interval)

    def _groups(self, table: ScoreTable, correct: NDArray[np.float64], seed: list[int]) -> Iterator[Outcome]:
        if not table.groups:
            hint = "choose a column with --group-column; group_fairness compares groups by proxies"
            yield Failure(Status.UNSUPPORTED, "no-groups", "the data set names no groups", hint, WORST_GROUP)
            return
        columns = [group_by(name, values) for name, values in table.groups.items()]
        told = [(grouping.name, *_told(grouping, correct, self.minimum_group)) for grouping in intersections(columns, self.crossing)]
        found = [(of.rates.min(), name, kept, of) for name, kept, of in told if len(kept) >= 2]
        if not found:
            message = f"no group column has two groups of at least {self.minimum_group} examples"
            yield Failure(Status.UNSUPPORTED, "no-comparable-groups", message, "evaluate more examples, or set inclusion.minimum_group lower", WORST_GROUP)
            return
        _, name, kept, of = min(found, key=lambda one: float(one[0]))
        worst = worst_k(of, 1, self.permutations, seed)
        given = {"groups": name, "group": kept[of.worst]}
        yield Measurement(WORST_GROUP, worst.value, worst.n, worst.interval, given)
        yield Measurement(WORST_GROUP_NULL, worst.null_mean, of.n, worst.null_interval, {"groups": name})


def _told(grouping: Grouping, correct: NDArray[np.float64], least: int) -> tuple[tuple[str, ...], GroupCounts]:
    """Names of the groups of at least ``least`` examples, and their right answers."""
    positions, among = grouping.select(grouping.sizes >= least)
    return among.names, count_hits(among.codes, correct[positions], len(among.names))
