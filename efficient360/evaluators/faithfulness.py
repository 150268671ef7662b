"""Faithfulness of attribution methods: whether the regions they highlight are those that the model's prediction depends on."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, final

import torch

from efficient360.core.figures import Figure
from efficient360.core.settings import AtLeast1, Count, EachOnce, NotEmpty, Share, among
from efficient360.core.statistics import bootstrap_mean, wilson
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import (
    Batch,
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
    TorchModel,
)
from efficient360.methods.attribution.catalogue import attribution_method
from efficient360.methods.attribution.figures import attribution_gallery, mean_curves, randomisation_heatmap, results_table
from efficient360.methods.attribution.grid import grid_of
from efficient360.methods.attribution.method import AttributionMethod, RandomAttribution, attribution_batches
from efficient360.methods.attribution.metrics import (
    BEST,
    COMPLETENESS,
    DELETION,
    FAITHFULNESS,
    INFIDELITY,
    INSERTION,
    INSIDE,
    LOCALISATION,
    MARKED,
    POINTED,
    POINTING,
    PROBABILITY,
    SENSITIVITY,
    SIMILARITY,
    SPARSENESS,
)
from efficient360.methods.attribution.occlusion import BASELINES
from efficient360.methods.attribution.regions import Regions, read_regions
from efficient360.methods.attribution.sanity_checks import SanityChecks
from efficient360.methods.attribution.scoring import AttributionScorer, cross_fitted_best

DOUBLINGS = 2
"""How many times Integrated Gradients doubles the steps of an image whose attributions are not complete."""


@final
@dataclass(frozen=True)
class Faithfulness(ExampleEvaluator):
    """Insertion and deletion, infidelity, sensitivity, sparseness and parameter randomisation test of attribution methods for the predicted class.

    Args:
        explainers: Attribution methods: integrated-gradients, gradient-x-input, gradcam, attention-rollout, chefer, occlusion, or a ``file.py`` with your own.
        baselines: Baseline images that replace deleted cells: mean (the image's mean colour), blur.
        examples: Number of images, ``None`` for all.
        points: Steps of an insertion or deletion curve; a forward pass each.
        steps: Gradients of Integrated Gradients; up to four times as many for images whose completeness error is over 5 %.
        squares: Masked squares of the infidelity, a forward pass each.
        checked: Number of images for the sanity checks: max-sensitivity and randomised parameters, 3 + ``draws`` attributions each.
        radius: Largest change of a pixel for max-sensitivity, with pixels in [0, 1].
        draws: Perturbed images of each example for max-sensitivity.
        regions: Annotated objects: a CSV file of boxes (id, left, top, right, bottom) or a folder of PNG masks; ``""`` for none.
        rows: Images a forward pass; raise it on a GPU.
        shown: Number of images in the report.
    """

    name: ClassVar[str] = "faithfulness"
    version: ClassVar[int] = 3
    metrics: ClassVar[tuple[Metric, ...]] = (
        BEST,
        FAITHFULNESS,
        INSERTION,
        DELETION,
        INFIDELITY,
        SENSITIVITY,
        SPARSENESS,
        SIMILARITY,
        COMPLETENESS,
        POINTING,
        LOCALISATION,
    )
    columns: ClassVar[tuple[Metric, ...]] = (PROBABILITY, MARKED, POINTED, INSIDE)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.GRADIENTS})
    drawing_settings: ClassVar[frozenset[str]] = frozenset({"shown"})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {
        "explainers": ("best_faithfulness",),
        "examples": (),
        "squares": ("infidelity",),
        "checked": ("max_sensitivity", "randomised_similarity"),
        "radius": ("max_sensitivity",),
        "draws": ("max_sensitivity",),
        "regions": ("pointing_accuracy", "localisation"),
        "rows": (),
    }
    explainers: Annotated[tuple[str, ...], NotEmpty, EachOnce] = (
        "integrated-gradients",
        "gradient-x-input",
        "gradcam",
        "attention-rollout",
        "chefer",
        "occlusion",
    )
    baselines: Annotated[tuple[Annotated[str, among(lambda: BASELINES)], ...], NotEmpty, EachOnce] = ("mean", "blur")
    examples: AtLeast1 | None = 64
    points: AtLeast1 = 10
    steps: AtLeast1 = 50
    squares: AtLeast1 = 20
    checked: AtLeast1 = 8
    radius: Share = 0.02
    draws: AtLeast1 = 4
    regions: str = ""
    rows: AtLeast1 = 8
    shown: Count = 3

    def __post_init__(self) -> None:
        names = [method.name for method in self._methods()]  # an unknown one is refused now
        if len(set(names)) < len(names):
            hint = "give the method of your own file another name"
            raise SettingsError("bad-setting", f"the setting explainers of faithfulness has two methods of the same name: {', '.join(names)}", hint)
        _ = self._regions  # refused now if they can't be read

    def sample_size(self) -> int | None:
        return self.examples

    def batch_limit(self) -> int:
        """One forward pass."""
        return self.rows

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Curves, areas, infidelity and sparseness of every attribution method that the model supports, and of random attributions."""
        assert isinstance(model, TorchModel)  # GRADIENTS is among the needs
        scorer = AttributionScorer(model, grid_of(model), self._supported(model)[0], self.baselines, self.points, self.squares, self._regions)
        parts = [(list(scorer.score(part)), real) for part, real in attribution_batches(model, batch, self.rows)]
        for column in zip(*(scores for scores, _ in parts), strict=True):
            values = [scores.values[:real].cpu() for scores, (_, real) in zip(column, parts, strict=True)]
            yield replace(column[0], values=torch.cat(values))

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """The best method with all figures, the sanity checks, localisation if objects are annotated, and the methods that are not supported."""
        assert isinstance(model, TorchModel)
        methods, failures = self._supported(model)
        # With randomised parameters an integral rarely converges, so neither those attributions nor the ones they are compared with get more steps.
        undoubled = [method for method in self._methods(doublings=0) if method.name in {other.name for other in methods}]
        batch_size = min(self.rows, self.checked)
        checks = SanityChecks(model, grid_of(model), (*undoubled, RandomAttribution()), batch_size, self.radius, self.draws, context.seed)
        (batch,) = context.examples.subset(self.checked, context.seed).batches(self.checked)
        measurements = list(checks.run(batch, context.deadline.check))
        measurements += self._localisation(table, methods, context.seed)
        yield self._best(table, methods, context, [*self._figures(model, table, methods, measurements, context)])
        yield from measurements
        yield from self._without_annotation(table)
        yield from failures

    def _methods(self, doublings: int = DOUBLINGS) -> Sequence[AttributionMethod]:
        return [attribution_method(name, self.steps, doublings) for name in self.explainers]

    @cached_property
    def _regions(self) -> Regions:
        return read_regions(Path(self.regions)) if self.regions else {}

    def _supported(self, model: TorchModel) -> tuple[Sequence[AttributionMethod], Sequence[Failure]]:
        supported: list[AttributionMethod] = []
        failures: list[Failure] = []
        for method in self._methods():
            try:
                method.require(model)
                supported.append(method)
            except Unsupported as error:
                failures.append(replace(Failure.of(Status.UNSUPPORTED, error, FAITHFULNESS), conditions={"explainer": method.name}))
        return supported, failures

    def _best(self, table: ScoreTable, methods: Sequence[AttributionMethod], context: Context[Examples], figures: Sequence[Figure]) -> Outcome:
        if not methods:
            hint = "add gradient-x-input, integrated-gradients or occlusion, which support any network"
            return Failure(Status.UNSUPPORTED, "no-explainer", "the model supports none of the attribution methods in explainers", hint, BEST)
        values = cross_fitted_best({method.name: table.column(FAITHFULNESS, {"explainer": method.name}) for method in methods}).values
        return Measurement(BEST, float(values.mean()), len(values), bootstrap_mean(values, context.seed), extra=tuple(figures))

    def _figures(
        self,
        model: TorchModel,
        table: ScoreTable,
        methods: Sequence[AttributionMethod],
        measurements: Sequence[Measurement],
        context: Context[Examples],
    ) -> Iterator[Figure]:
        yield results_table(table, methods, self.baselines, measurements)
        if self.shown:
            (batch,) = context.examples.subset(self.shown, context.seed).batches(self.shown)
            batches = list(attribution_batches(model, batch, self.rows))
            gallery = attribution_gallery(model, grid_of(model), methods, batches, context.examples.class_names)
            if gallery is not None:
                yield gallery
        yield from mean_curves(table, methods, self.baselines)
        yield randomisation_heatmap((*methods, RandomAttribution()), measurements)

    def _localisation(self, table: ScoreTable, methods: Sequence[AttributionMethod], seed: int) -> Iterator[Measurement]:
        if not self._has_annotation(table):
            return
        annotated = table.column(MARKED) == 1
        for method in (*methods, RandomAttribution()):
            conditions = {"explainer": method.name}
            hits, inside = table.column(POINTED, conditions)[annotated], table.column(INSIDE, conditions)[annotated]
            yield Measurement(POINTING, float(hits.mean()), len(hits), wilson(int(hits.sum()), len(hits)), conditions)
            yield Measurement(LOCALISATION, float(inside.mean()), len(inside), bootstrap_mean(inside, seed), conditions)

    def _without_annotation(self, table: ScoreTable) -> Iterator[Failure]:
        if not self._has_annotation(table):
            message = f"{self.regions} annotates no object of any example" if self.regions else "the data set has no annotated objects"
            hint = "give boxes or masks, --set faithfulness.regions=PATH, by the ids in examples.parquet; see the documentation page faithfulness"
            yield Failure(Status.UNSUPPORTED, "no-regions", f"{message}, so localisation could not be measured", hint, POINTING)

    def _has_annotation(self, table: ScoreTable) -> bool:
        return bool(self.regions) and bool((table.column(MARKED) == 1).any())
