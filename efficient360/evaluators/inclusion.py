"""Worst-class and worst-group accuracy, compared with what chance alone would give."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from efficient360.core.figures import Figure
from efficient360.core.formatting import class_name, count
from efficient360.core.groupings import Grouping, group_by, intersections
from efficient360.core.settings import AtLeast1
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
from efficient360.methods.fairness.group_accuracy import GroupCounts, count_hits, lowest_interval
from efficient360.methods.fairness.worst_groups import sorted_accuracy_curve, worst_k, worst_table

MIN_CLASSES = 20
"""With fewer classes the lowest tenth is a single class."""
NULL = "mean over permutations"

CORRECT = Metric("correct", ONE, Better.HIGHER, "Whether the predicted class is correct.", low=0, high=1)
WORST_CLASS = Metric(
    "worst_class_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy of the class with the lowest accuracy, among those with enough examples.",
    "Sagawa et al. 2020, over classes",
    low=0,
    high=1,
)
WORST_CLASS_NULL = Metric(
    "worst_class_accuracy_null",
    ONE,
    Better.NEITHER,
    "Accuracy of the worst class under the null hypothesis that all classes are equally hard; the interval covers 95 % of the null distribution.",
    NULL,
    low=0,
    high=1,
)
LOWEST_TENTH = Metric(
    "lowest_tenth_accuracy",
    ONE,
    Better.HIGHER,
    "Mean accuracy of the tenth of the classes with the lowest accuracy.",
    "lower tail mean over classes",
    low=0,
    high=1,
)
LOWEST_TENTH_NULL = Metric(
    "lowest_tenth_accuracy_null",
    ONE,
    Better.NEITHER,
    "Mean accuracy of the lowest tenth of the classes under the null hypothesis that all are equally hard; the interval covers 95 % of the null distribution.",
    NULL,
    low=0,
    high=1,
)
WORST_GROUP = Metric(
    "worst_group_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy of the group with the lowest accuracy, over the data set's group columns and their intersections.",
    "Sagawa et al. 2020",
    low=0,
    high=1,
)
WORST_GROUP_NULL = Metric(
    "worst_group_accuracy_null",
    ONE,
    Better.NEITHER,
    "Accuracy of the worst group under the null hypothesis that all groups are equally hard; the interval covers 95 % of the null distribution.",
    NULL,
    low=0,
    high=1,
)


@final
@dataclass(frozen=True)
class Inclusion(ExampleEvaluator):
    """Accuracy of the worst class, of the lowest tenth of the classes and of the worst group, each with its null distribution.

    Args:
        minimum_class: Examples that a class needs to be included; smaller classes are reported as a failure.
        minimum_group: Examples that a group needs to be included.
        crossing: Most group columns whose intersections are evaluated; 1 for none.
        permutations: Draws of the null distribution, at least 99.
    """

    name: ClassVar[str] = "inclusion"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = (WORST_CLASS, WORST_CLASS_NULL, LOWEST_TENTH, LOWEST_TENTH_NULL, WORST_GROUP, WORST_GROUP_NULL)
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GROUPS})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"permutations": ()}
    minimum_class: AtLeast1 = 10
    minimum_group: AtLeast1 = 30
    crossing: AtLeast1 = 2
    permutations: Annotated[int, Field(ge=99)] = 1000

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Correctness of each example."""
        yield Scores(CORRECT, model.logits(batch).cpu().argmax(1) == batch.labels.cpu())

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """The worst class, the lowest tenth of the classes and the worst group."""
        correct, names = table.column(CORRECT), context.examples.class_names
        present, codes = np.unique(table.labels, return_inverse=True)
        classes = Grouping("class", tuple(class_name(int(i), names) for i in present), codes.astype(np.int64))
        yield from self._classes(classes, correct, [context.seed, 1])
        yield from self._groups(table, correct, [context.seed, 2])

    def _classes(self, classes: Grouping, correct: NDArray[np.float64], seed: list[int]) -> Iterator[Outcome]:
        names, accuracies = _count_large(classes, correct, self.minimum_class)
        total = count(len(classes.names))
        if len(names) < 2:
            message = f"{len(names)} of {total} classes have at least {self.minimum_class} examples, but a worst class needs two of them"
            yield Failure(Status.UNSUPPORTED, "sparse-classes", message, "evaluate more examples", WORST_CLASS)
            return
        if len(names) < len(classes.names):
            message = f"{count(len(classes.names) - len(names))} of {total} classes have fewer than {self.minimum_class} examples and are left out"
            yield Failure(Status.UNSUPPORTED, "small-classes", message, "evaluate more examples", WORST_CLASS, {"examples": f"fewer than {self.minimum_class}"})
        worst = worst_k(accuracies, 1, self.permutations, seed)
        figures: tuple[Figure, ...] = (sorted_accuracy_curve(accuracies, self.permutations, seed, "class"), worst_table(accuracies, names, "class"))
        yield Measurement(WORST_CLASS, worst.value, worst.n, worst.interval, extra=figures)
        yield Measurement(WORST_CLASS_NULL, worst.null_mean, accuracies.n, worst.null_interval)
        if len(names) < MIN_CLASSES:
            message = f"the lowest tenth of {len(names)} classes is the worst class itself"
            yield Failure(Status.UNSUPPORTED, "too-few-classes", message, "read worst_class_accuracy instead", LOWEST_TENTH)
            return
        tenth = worst_k(accuracies, math.ceil(len(names) / 10), self.permutations, seed)
        yield Measurement(LOWEST_TENTH, tenth.value, tenth.n, tenth.interval)
        yield Measurement(LOWEST_TENTH_NULL, tenth.null_mean, accuracies.n, tenth.null_interval)

    def _groups(self, table: ScoreTable, correct: NDArray[np.float64], seed: list[int]) -> Iterator[Outcome]:
        if not table.groups:
            hint = "choose a column with --group-column; group_fairness compares groups by proxies"
            yield Failure(Status.UNSUPPORTED, "no-groups", "the data set has no group columns", hint, WORST_GROUP)
            return
        columns = [group_by(name, values) for name, values in table.groups.items()]
        tallies = [(grouping.name, *_count_large(grouping, correct, self.minimum_group)) for grouping in intersections(columns, self.crossing)]
        comparable = [(column, names, accuracies) for column, names, accuracies in tallies if len(names) >= 2]
        if not comparable:
            message = f"no group column has two groups of at least {self.minimum_group} examples"
            yield Failure(Status.UNSUPPORTED, "no-comparable-groups", message, "evaluate more examples, or set inclusion.minimum_group lower", WORST_GROUP)
            return
        column, names, accuracies = min(comparable, key=lambda entry: float(entry[2].rates.min()))
        worst = worst_k(accuracies, 1, self.permutations, seed)
        interval = lowest_interval(*(entry[2] for entry in comparable))
        yield Measurement(WORST_GROUP, worst.value, worst.n, interval, {"groups": column, "group": names[accuracies.worst]})
        yield Measurement(WORST_GROUP_NULL, worst.null_mean, accuracies.n, worst.null_interval, {"groups": column})


def _count_large(grouping: Grouping, correct: NDArray[np.float64], minimum: int) -> tuple[tuple[str, ...], GroupCounts]:
    """Names and correct predictions of the groups of at least ``minimum`` examples."""
    positions, large = grouping.select(grouping.sizes >= minimum)
    return large.names, count_hits(large.codes, correct[positions], len(large.names))
