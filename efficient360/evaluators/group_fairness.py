"""Fairness: whether groups of examples are answered equally well, and whether a gap between them is more than chance."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from efficient360.core.groupings import Grouping, crossings, cut, grouped
from efficient360.datasets.derived_groups import PROXIES, luma
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import ONE, Batch, Better, Context, ExampleEvaluator, Examples, Metric, Model, Need, Outcome, Scores, ScoreTable
from efficient360.methods.fairness import metrics
from efficient360.methods.fairness.comparison import Answers
from efficient360.methods.fairness.outcomes import MOST_GROUPS, adjusted, largest, largest_odds, outcomes, too_many
from efficient360.methods.fairness.study import Effort, Study, study

PREDICTION = Metric("prediction", ONE, Better.NEITHER, "Index of the most likely class; of equally likely ones, the first.", low=0)
CONFIDENCE = Metric(
    "confidence", ONE, Better.NEITHER, "Probability given to the predicted class.", "Hendrycks & Gimpel 2017 (maximum softmax probability)", low=0, high=1
)
TRAITS = {
    "brightness": Metric("brightness", ONE, Better.NEITHER, "Mean luma of the image.", "ITU-R BT.601", low=0, high=1),
    "contrast": Metric("contrast", ONE, Better.NEITHER, "Standard deviation of the image's luma.", "Peli 1990 (RMS contrast)", low=0, high=1),
    "object_scale": Metric("object_scale", ONE, Better.NEITHER, "Share of the image that stands out from its border.", "threshold of Otsu 1979", low=0, high=1),
    "stroke_width": Metric(
        "stroke_width", ONE, Better.NEITHER, "Mean width of what stands out from the border, as a share of the shorter side.", "threshold of Otsu 1979", low=0
    ),
}


@final
@dataclass(frozen=True)
class GroupFairness(ExampleEvaluator):
    """Accuracy, error rates, predictions and calibration between groups of examples, each gap against what chance alone gives.

    Groups come from the data set's group columns, crossed with one another, and from proxies: traits of the pixels that any data set has. Proxies say
    how a picture was taken, never who is in it.

    Args:
        derived: Proxies to group by: ``brightness``, ``contrast``, ``object_scale``, ``stroke_width``; none keeps to the data set's columns.
        levels: Groups of equal size that a proxy is cut into.
        crossing: How many of the data set's columns are crossed at most; 1 crosses none.
        minimum: Examples that a group needs to be compared; smaller ones are told.
        minimum_class: Examples of a class that a group needs for that class's rates to be compared.
        permutations: Draws of the permutation null.
        resamples: Draws behind an interval.
    """

    name: ClassVar[str] = "group_fairness"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = metrics.ALL
    columns: ClassVar[tuple[Metric, ...]] = (PREDICTION, CONFIDENCE, *TRAITS.values())
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GROUPS})
    derived: tuple[str, ...] = tuple(PROXIES)
    levels: int = 3
    crossing: int = 2
    minimum: int = 30
    minimum_class: int = 10
    permutations: int = 1000
    resamples: int = 1000

    def __post_init__(self) -> None:
        for name in self.derived:
            if name not in PROXIES:
                raise SettingsError("bad-setting", f"the setting derived of group_fairness names {name!r}", f"choose among {', '.join(PROXIES)}")
        if len(set(self.derived)) < len(self.derived):
            raise SettingsError("bad-setting", f"the setting derived of group_fairness is {list(self.derived)}", "name each proxy once")
        least = {"levels": 2, "crossing": 1, "minimum": 2, "minimum_class": 1, "permutations": 99, "resamples": 99}
        for name, lowest in least.items():
            if (value := getattr(self, name)) < lowest:
                raise SettingsError("bad-setting", f"the setting {name} of group_fairness is {value}", f"give at least {lowest}")

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Prediction, confidence and the proxies of each example."""
        logits = model.logits(batch).cpu().double()  # (B, K)
        yield Scores(PREDICTION, logits.argmax(1))
        yield Scores(CONFIDENCE, logits.softmax(1).amax(1))
        if self.derived:
            grey = luma(batch.images)
            for name in self.derived:
                yield Scores(TRAITS[name], torch.from_numpy(PROXIES[name](grey)))

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Every grouping's gaps against chance, and the largest of them."""
        if context.examples is None:
            raise Unsupported("no-examples", "group_fairness was given no examples", "name a data set with --dataset")
        predicted = table.column(PREDICTION).astype("int64")
        answers = Answers(table.labels, predicted, table.column(CONFIDENCE), predicted, table.num_classes)
        effort = Effort(self.minimum, self.minimum_class, self.permutations, self.resamples, context.deadline.check)
        declared, proxies = self._declared(table), self._proxies(table)
        yield from (too_many(grouping) for grouping in declared if len(grouping.names) > MOST_GROUPS)
        declared = [grouping for grouping in declared if len(grouping.names) <= MOST_GROUPS]
        done: list[Study] = []
        for grouping in (*declared, *proxies):
            context.progress(len(done), len(declared) + len(proxies))
            done.append(study(answers, grouping, effort, [context.seed, *_words(grouping.name)]))
        ours, theirs = done[: len(declared)], done[len(declared) :]
        p_values = {**adjusted(ours), **adjusted(theirs)}
        yield largest(ours, theirs, p_values)
        yield largest_odds(ours, theirs, context.examples.class_names)
        for of in done:
            yield from outcomes(of, p_values, effort)

    def _declared(self, table: ScoreTable) -> list[Grouping]:
        return crossings([grouped(name, values) for name, values in table.groups.items()], self.crossing)

    def _proxies(self, table: ScoreTable) -> list[Grouping]:
        return [cut(f"{name.replace('_', ' ')} (proxy)", table.column(TRAITS[name]), self.levels) for name in self.derived]


def _words(name: str) -> list[int]:
    """Whole numbers that stand for a grouping's name, so that its draws depend on no other grouping."""
    return list(hashlib.sha256(name.encode()).digest()[:8])
