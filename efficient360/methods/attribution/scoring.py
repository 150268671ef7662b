"""Scores of attribution methods on every image, and the score of the best method without selection bias."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.evaluator import Scores
from efficient360.methods.attribution import metrics
from efficient360.methods.attribution.gradients import is_complete, logit_difference
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.infidelity_and_sensitivity import infidelity, masked_logits
from efficient360.methods.attribution.insertion_deletion import CurveEndpoints, area_under_curve, cell_counts, insertion_deletion_curves, rank_cells
from efficient360.methods.attribution.localisation import annotated_objects, pointing_hits, relevance_mass_accuracy
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod, RandomAttribution, target_probabilities
from efficient360.methods.attribution.occlusion import BASELINES
from efficient360.methods.attribution.regions import Regions
from efficient360.models.model import TorchModel


def gini_index(attributions: Tensor) -> Tensor:
    """Sparseness: Gini index of the absolute values of each row, float64 ``(B,)`` in [0, 1 − 1/cells]; 0 if all are equal, zeros included.

    Hurley & Rickard 2009: 1 − 2 Σ (c(k) / Σ c) (N − k + ½) / N, ``c(k)`` ascending.
    """
    ascending = attributions.double().abs().sort(1).values
    n, total = ascending.shape[1], ascending.sum(1)
    weights = (n - torch.arange(1, n + 1, device=attributions.device, dtype=torch.float64) + 0.5) / n
    index = 1 - 2 * (ascending * weights).sum(1) / torch.where(total > 0, total, torch.ones_like(total))
    return torch.where(total > 0, index, torch.zeros_like(total)).clamp(0, 1)


@final
@dataclass(frozen=True)
class AttributionScorer:
    """The same measures for every attribution method, random attributions first.

    Args:
        model: The model.
        grid: The cells.
        methods: Attribution methods that the model supports.
        baselines: Baseline images of insertion and deletion, names of ``BASELINES``.
        points: Steps of an insertion or deletion curve.
        squares: Masked squares of the infidelity.
        regions: The annotated objects by example id; empty if there are none.
    """

    model: TorchModel
    grid: Grid
    methods: Sequence[AttributionMethod]
    baselines: Sequence[str]
    points: int
    squares: int
    regions: Regions

    def score(self, batch: AttributionBatch) -> Iterator[Scores]:
        """Scores of every method on every image of the batch.

        What does not depend on the method, endpoints of the curves and logits under masked squares, is computed once.
        """
        endpoints = self._endpoints(batch)
        masked = masked_logits(self.model, self.grid, batch, self.squares)
        objects = annotated_objects(self.regions, self.grid, batch.ids) if self.regions else None
        random_gain = torch.zeros(len(batch), dtype=torch.float64, device=batch.images.device)
        for method in (RandomAttribution(), *self.methods):
            conditions = {"explainer": method.name}
            attributions = method.attribute(self.model, self.grid, batch)
            gain = torch.zeros_like(random_gain)
            for scores, difference in self._curves(batch, method, attributions, endpoints):
                gain = gain + difference / len(endpoints)
                yield from scores
            if method.name == RandomAttribution.name:
                random_gain = gain
            else:
                yield Scores(metrics.FAITHFULNESS, gain - random_gain, conditions)
            yield Scores(metrics.INFIDELITY, infidelity(attributions, masked), conditions)
            yield Scores(metrics.SPARSENESS, gini_index(attributions), conditions)
            if method.satisfies_completeness:
                yield Scores(metrics.COMPLETENESS, is_complete(attributions, logit_difference(self.model, batch)), conditions)
            if objects is not None:
                yield Scores(metrics.POINTED, pointing_hits(attributions, objects), conditions)
                yield Scores(metrics.INSIDE, relevance_mass_accuracy(attributions, objects), conditions)
        if objects is not None:
            yield Scores(metrics.MARKED, objects.annotated)

    def _endpoints(self, batch: AttributionBatch) -> dict[str, CurveEndpoints]:
        image_probability = target_probabilities(self.model, batch)
        baselines = {name: BASELINES[name](batch.images) for name in self.baselines}
        return {
            name: CurveEndpoints(baseline, image_probability, target_probabilities(self.model, batch.with_images(baseline)))
            for name, baseline in baselines.items()
        }

    def _curves(
        self, batch: AttributionBatch, method: AttributionMethod, attributions: Tensor, endpoints: dict[str, CurveEndpoints]
    ) -> Iterator[tuple[list[Scores], Tensor]]:
        """For each baseline the scores, and insertion minus deletion area, float64 ``(B,)``."""
        ranks = rank_cells(attributions, batch)
        for name, ends in endpoints.items():
            conditions = {"explainer": method.name, "baseline": name}
            curves = insertion_deletion_curves(self.model, self.grid, batch, ranks, ends, cell_counts(self.grid.cells, self.points))
            insertion, deletion = area_under_curve(curves.insertion, curves.fractions), area_under_curve(curves.deletion, curves.fractions)
            scores = [Scores(metrics.INSERTION, insertion, conditions), Scores(metrics.DELETION, deletion, conditions)]
            for i, fraction in enumerate(curves.fractions):
                scores.append(Scores(metrics.PROBABILITY, curves.insertion[:, i], conditions | {"cells": "inserted", "share": fraction}))
                scores.append(Scores(metrics.PROBABILITY, curves.deletion[:, i], conditions | {"cells": "deleted", "share": fraction}))
            yield scores, insertion - deletion


@final
@dataclass(frozen=True)
class CrossFittedBest:
    """The best of several methods, selected and evaluated on different examples.

    Args:
        names: The method selected on each half of the examples; the same name twice if they agree.
        values: Each example's score for the method selected on the other half, float64 ``(n,)``.
    """

    names: tuple[str, str]
    values: NDArray[np.float64]


def cross_fitted_best(scores: Mapping[str, NDArray[Any]]) -> CrossFittedBest:
    """Select the method with the highest mean on every other example and evaluate it on the rest, both ways round.

    The highest of several means over the same examples is biased upwards by its selection. A single example is both halves.

    Args:
        scores: Scores by method, ``(n,)`` each, at least one method and one example.
    """
    names, table = list(scores), np.stack([np.asarray(values, dtype=np.float64) for values in scores.values()])
    n = table.shape[1]
    even = np.arange(n) % 2 == 0
    first = int(table[:, even].mean(1).argmax())
    second = int(table[:, ~even].mean(1).argmax()) if n > 1 else first
    return CrossFittedBest((names[first], names[second]), np.where(even, table[second], table[first]))
