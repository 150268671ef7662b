"""Group fairness: accuracy, error rates, selection rates and calibration between groups, each difference tested against chance."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field

from efficient360.core.groupings import Grouping, group_by, intersections, quantile_groups
from efficient360.core.settings import AtLeast1, AtLeast2, EachOnce, among
from efficient360.datasets.derived_groups import PROXIES, luma
from efficient360.evaluator import ONE, Batch, Better, Context, ExampleEvaluator, Examples, Metric, Model, Need, Outcome, Scores, ScoreTable
from efficient360.methods.fairness import metrics
from efficient360.methods.fairness.analysis import FairnessOptions, GroupingAnalysis, analyse_grouping
from efficient360.methods.fairness.disparity import GroupedPredictions
from efficient360.methods.fairness.outcomes import MAX_GROUPS, grouping_outcomes, holm_adjusted, largest_accuracy_gap, largest_odds_gap, too_many_groups

PREDICTION = Metric("prediction", ONE, Better.NEITHER, "Index of the most likely class; of equally likely ones, the first.", low=0)
CONFIDENCE = Metric(
    "confidence", ONE, Better.NEITHER, "Probability given to the predicted class.", "Hendrycks & Gimpel 2017 (maximum softmax probability)", low=0, high=1
)
TRAITS = {
    "brightness": Metric("brightness", ONE, Better.NEITHER, "Mean luma of the image.", "ITU-R BT.601", low=0, high=1),
    "contrast": Metric("contrast", ONE, Better.NEITHER, "Standard deviation of the image's luma.", "Peli 1990 (RMS contrast)", low=0, high=1),
    "object_scale": Metric("object_scale", ONE, Better.NEITHER, "Share of the image that is foreground.", "threshold of Otsu 1979", low=0, high=1),
    "stroke_width": Metric(
        "stroke_width", ONE, Better.NEITHER, "Mean stroke width of the foreground, as a share of the shorter side.", "threshold of Otsu 1979", low=0
    ),
}


@final
@dataclass(frozen=True)
class GroupFairness(ExampleEvaluator):
    """Accuracy, error rates, selection rates and calibration between groups of examples, each difference against its permutation null.

    Groups come from the data set's group columns and their intersections, and from proxies: properties of the pixels, available for any data set.
    Proxies describe how a picture was taken, never who is in it.

    Args:
        derived: Proxies to group by: ``brightness``, ``contrast``, ``object_scale``, ``stroke_width``; none for the data set's columns only.
        levels: Groups of equal size that a proxy is split into.
        crossing: The most columns of the data set that are crossed; 1 for none.
        minimum: Examples that a group needs to be compared; smaller groups are listed.
        minimum_class: Examples of a class that a group needs for that class's rates to be compared.
        permutations: Draws of the permutation null.
        resamples: Bootstrap resamples behind an interval.
    """

    name: ClassVar[str] = "group_fairness"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = metrics.ALL
    columns: ClassVar[tuple[Metric, ...]] = (PREDICTION, CONFIDENCE, *TRAITS.values())
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GROUPS})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {
        "derived": ("largest_gap_excess", "largest_odds_excess"),
        "crossing": ("largest_gap_excess", "largest_odds_excess"),
        "permutations": (),
        "resamples": (),
    }
    derived: Annotated[tuple[Annotated[str, among(lambda: tuple(PROXIES))], ...], EachOnce] = tuple(PROXIES)
    levels: AtLeast2 = 3
    crossing: AtLeast1 = 2
    minimum: AtLeast2 = 30
    minimum_class: AtLeast1 = 10
    permutations: Annotated[int, Field(ge=99)] = 1000
    resamples: Annotated[int, Field(ge=99)] = 1000

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
        """The largest differences beyond chance, then every grouping's own."""
        predicted = table.column(PREDICTION).astype("int64")
        predictions = GroupedPredictions(table.labels, predicted, table.column(CONFIDENCE), predicted, table.num_classes)
        options = FairnessOptions(self.minimum, self.minimum_class, self.permutations, self.resamples, context.deadline.check)
        columns, proxies = self._columns(table), self._proxies(table)
        yield from (too_many_groups(grouping) for grouping in columns if len(grouping.names) > MAX_GROUPS)
        columns = [grouping for grouping in columns if len(grouping.names) <= MAX_GROUPS]
        analyses: list[GroupingAnalysis] = []
        for grouping in (*columns, *proxies):
            context.progress(len(analyses), len(columns) + len(proxies))
            analyses.append(analyse_grouping(predictions, grouping, options, [context.seed, *_name_seed(grouping.name)]))
        by_column, by_proxy = analyses[: len(columns)], analyses[len(columns) :]
        p_values = {**holm_adjusted(by_column), **holm_adjusted(by_proxy)}
        yield largest_accuracy_gap(by_column, by_proxy, p_values)
        yield largest_odds_gap(by_column, by_proxy, context.examples.class_names)
        for analysis in analyses:
            yield from grouping_outcomes(analysis, p_values, options)

    def _columns(self, table: ScoreTable) -> list[Grouping]:
        return intersections([group_by(name, values) for name, values in table.groups.items()], self.crossing)

    def _proxies(self, table: ScoreTable) -> list[Grouping]:
        return [quantile_groups(f"{name.replace('_', ' ')} (proxy)", table.column(TRAITS[name]), self.levels) for name in self.derived]


def _name_seed(name: str) -> list[int]:
    """Seed words from a grouping's name, so that its draws do not depend on the other groupings."""
    return list(hashlib.sha256(name.encode()).digest()[:8])
