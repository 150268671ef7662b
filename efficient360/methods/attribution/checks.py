"""Whether explanations stay when the image hardly moves, and go when the weights do: on a few examples, as each takes explanations anew."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.core.measurement import Measurement, Metric
from efficient360.core.statistics import bootstrap_mean
from efficient360.evaluator import Batch
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.metrics import SENSITIVITY, SIMILARITY
from efficient360.methods.attribution.question import Question, questions
from efficient360.methods.attribution.randomisation import randomised, rank_correlation
from efficient360.methods.attribution.sensitivity import max_sensitivity
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class Checks:
    """How the checks are done.

    Args:
        model: What is explained.
        grid: The cells.
        explainers: Those that the model supports.
        rows: Images a pass.
        radius: How far a pixel moves for the sensitivity.
        draws: Moved images of each example.
        seed: Of the shuffled weights and the intervals.
    """

    model: TorchModel
    grid: Grid
    explainers: Sequence[Explainer]
    rows: int
    radius: float
    draws: int
    seed: int

    def run(self, batch: Batch, tick: Callable[[], None]) -> Iterator[Measurement]:
        """Sensitivity and similarity under shuffled weights of each explainer, with bootstrap intervals.

        Args:
            batch: The examples.
            tick: Called before each explainer; stops the work by raising.
        """
        asked = list(questions(self.model, batch, self.rows))
        originals = {}
        for explainer in self.explainers:
            tick()
            originals[explainer.name] = [explainer.explain(self.model, self.grid, question) for question, _ in asked]
            pairs = zip(originals[explainer.name], asked, strict=True)
            moved = [self._sensitivity(explainer, values, question) for values, (question, _) in pairs]
            yield self._mean(SENSITIVITY, moved, asked, {"explainer": explainer.name})
        for stage, other in randomised(self.model, self.seed):
            for explainer in self.explainers:
                tick()
                pairs = zip(originals[explainer.name], asked, strict=True)
                alike = [rank_correlation(values, explainer.explain(other, self.grid, question)) for values, (question, _) in pairs]
                yield self._mean(SIMILARITY, alike, asked, {"explainer": explainer.name, "randomised": stage})

    def _sensitivity(self, explainer: Explainer, values: Tensor, question: Question) -> Tensor:
        return max_sensitivity(lambda moved: explainer.explain(self.model, self.grid, moved), values, question, self.radius, self.draws)

    def _mean(self, metric: Metric, parts: Sequence[Tensor], asked: Sequence[tuple[Question, int]], named: dict[str, str]) -> Measurement:
        values = torch.cat([part[:real] for part, (_, real) in zip(parts, asked, strict=True)]).cpu().numpy()
        return Measurement(metric, float(values.mean()), len(values), bootstrap_mean(values, self.seed), named)
