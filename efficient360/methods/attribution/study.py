"""All that is measured of explanations on one part of the examples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.evaluator import Scores
from efficient360.methods.attribution import metrics
from efficient360.methods.attribution.blanks import BLANKS
from efficient360.methods.attribution.chance import Chance
from efficient360.methods.attribution.completeness import complete, logit_difference
from efficient360.methods.attribution.curves import Ends, area, counts, curves, ranks
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.infidelity import covered, infidelity
from efficient360.methods.attribution.localisation import mass_inside, pointed
from efficient360.methods.attribution.question import Question, probabilities
from efficient360.methods.attribution.regions import Regions, objects
from efficient360.methods.attribution.sparseness import gini
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class Study:
    """Explainers under the same measures, the random one first.

    Args:
        model: What is explained.
        grid: The cells.
        explainers: Those that the model supports.
        blanks: What takes the place of removed cells, names of ``BLANKS``.
        points: Steps of an insertion or deletion curve.
        squares: Covered squares of the infidelity.
        regions: The objects by example id; empty where none are known.
    """

    model: TorchModel
    grid: Grid
    explainers: Sequence[Explainer]
    blanks: Sequence[str]
    points: int
    squares: int
    regions: Regions

    def measure(self, question: Question) -> Iterator[Scores]:
        """Scores of every explainer on every image of the question.

        What no explanation enters, the ends of the curves and the falls under covered squares, is computed once for all of them.
        """
        ends = self._ends(question)
        falls = covered(self.model, self.grid, question, self.squares)
        where = objects(self.regions, self.grid, question.ids) if self.regions else None
        floor = torch.zeros(len(question), dtype=torch.float64, device=question.images.device)
        for explainer in (Chance(), *self.explainers):
            named = {"explainer": explainer.name}
            values = explainer.explain(self.model, self.grid, question)
            gain = torch.zeros_like(floor)
            for scores, part in self._curves(question, explainer, values, ends):
                gain = gain + part / len(ends)
                yield from scores
            if explainer.name == Chance.name:
                floor = gain
            else:
                yield Scores(metrics.FAITHFULNESS, gain - floor, named)
            yield Scores(metrics.INFIDELITY, infidelity(values, falls), named)
            yield Scores(metrics.SPARSENESS, gini(values), named)
            if explainer.completes:
                yield Scores(metrics.COMPLETENESS, complete(values, logit_difference(self.model, question)), named)
            if where is not None:
                yield Scores(metrics.POINTED, pointed(values, where), named)
                yield Scores(metrics.INSIDE, mass_inside(values, where), named)
        if where is not None:
            yield Scores(metrics.MARKED, where.marked)

    def _ends(self, question: Question) -> dict[str, Ends]:
        clean = probabilities(self.model, question)
        blanks = {name: BLANKS[name](question.images) for name in self.blanks}
        return {name: Ends(blank, clean, probabilities(self.model, question.about(blank))) for name, blank in blanks.items()}

    def _curves(self, question: Question, explainer: Explainer, values: Tensor, ends: dict[str, Ends]) -> Iterator[tuple[list[Scores], Tensor]]:
        """For each blank the scores, and insertion less deletion, float64 ``(B,)``."""
        rank = ranks(values, question)
        for name, end in ends.items():
            told = {"explainer": explainer.name, "baseline": name}
            found = curves(self.model, self.grid, question, rank, end, counts(self.grid.cells, self.points))
            insertion, deletion = area(found.insertion, found.shares), area(found.deletion, found.shares)
            scores = [Scores(metrics.INSERTION, insertion, told), Scores(metrics.DELETION, deletion, told)]
            for place, share in enumerate(found.shares):
                scores.append(Scores(metrics.PROBABILITY, found.insertion[:, place], told | {"cells": "inserted", "share": share}))
                scores.append(Scores(metrics.PROBABILITY, found.deletion[:, place], told | {"cells": "deleted", "share": share}))
            yield scores, insertion - deletion
