"""Faithfulness of explanations: whether what they point at is what the model's answer hangs on."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import ClassVar, final

import torch

from efficient360.core.figures import Figure
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
from efficient360.methods.attribution import summary
from efficient360.methods.attribution.blanks import BLANKS
from efficient360.methods.attribution.catalogue import explainer
from efficient360.methods.attribution.chance import Chance
from efficient360.methods.attribution.checks import Checks
from efficient360.methods.attribution.choice import choose
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.gallery import gallery
from efficient360.methods.attribution.grid import grid_of
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
from efficient360.methods.attribution.question import questions
from efficient360.methods.attribution.regions import Regions, fingerprint, read_regions
from efficient360.methods.attribution.study import Study

DOUBLINGS = 2
"""How often Integrated Gradients doubles the steps of an image that is not complete."""


@final
@dataclass(frozen=True)
class Faithfulness(ExampleEvaluator):
    """Insertion and deletion, infidelity, sensitivity, sparseness and the randomisation check of six explainers of the predicted class.

    Args:
        explainers: integrated-gradients, gradient-x-input, gradcam, attention-rollout, chefer, occlusion, or a ``file.py`` with one of your own; each once.
        baselines: What takes the place of removed cells: mean (the image's mean colour), blur.
        examples: How many images, ``None`` for all.
        points: Steps of an insertion or deletion curve; a pass each.
        steps: Gradients of Integrated Gradients; up to four times as many where the sum misses the difference of logits by over 5 %.
        squares: Covered squares of the infidelity, a pass each.
        checked: How many of the images the checks take: sensitivity and shuffled weights, 3 + ``draws`` explanations each.
        radius: How far a pixel moves for the sensitivity, with pixels in [0, 1].
        draws: Moved images of each example for the sensitivity.
        regions: Where the objects are: a CSV file of boxes (id, left, top, right, bottom) or a folder of PNG masks; ``""`` for none.
        rows: Images a pass; raise it on a GPU.
        shown: How many images the report shows.
    """

    name: ClassVar[str] = "faithfulness"
    version: ClassVar[int] = 2
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
    explainers: tuple[str, ...] = ("integrated-gradients", "gradient-x-input", "gradcam", "attention-rollout", "chefer", "occlusion")
    baselines: tuple[str, ...] = ("mean", "blur")
    examples: int | None = 64
    points: int = 10
    steps: int = 50
    squares: int = 20
    checked: int = 8
    radius: float = 0.02
    draws: int = 4
    regions: str = ""
    rows: int = 8
    shown: int = 3

    def __post_init__(self) -> None:
        lows = {"points": 1, "steps": 1, "squares": 1, "checked": 1, "draws": 1, "rows": 1, "shown": 0}
        for setting, low in lows.items():
            if getattr(self, setting) < low:
                raise _bad(setting, getattr(self, setting), f"give {low} or more")
        if self.examples is not None and self.examples < 1:
            raise _bad("examples", self.examples, "give 1 or more, or null for all")
        if not 0 < self.radius <= 1:
            raise _bad("radius", self.radius, "give a part of the pixel range: above 0, at most 1")
        if not self.baselines or len(set(self.baselines)) < len(self.baselines) or not set(self.baselines) <= set(BLANKS):
            raise _bad("baselines", list(self.baselines), f"name at least one of {', '.join(BLANKS)}, each once")
        if not self.explainers or len({one.name for one in self._known()}) < len(self.explainers):
            raise _bad("explainers", list(self.explainers), "name at least one explainer, each once")
        _ = self._regions  # refused now if it is no good

    def sample_size(self) -> int | None:
        return self.examples

    def batch_limit(self) -> int:
        """One pass."""
        return self.rows

    def surroundings(self) -> Mapping[str, object]:
        """The version of captum, which integrates gradients, and what the regions and the files of explainers hold."""
        held = {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in self.explainers if name.endswith(".py")}
        if self.regions:
            held[self.regions] = fingerprint(Path(self.regions))
        return {"captum": metadata.version("captum"), "files": held}

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Curves, areas, infidelity and sparseness of every explainer that the model supports, and of the random one."""
        assert isinstance(model, TorchModel)  # GRADIENTS is among the needs
        study = Study(model, grid_of(model), self._supported(model)[0], self.baselines, self.points, self.squares, self._regions)
        parts = [(list(study.measure(question)), real) for question, real in questions(model, batch, self.rows)]
        for column in zip(*(scores for scores, _ in parts), strict=True):
            values = [one.values[:real].cpu() for one, (_, real) in zip(column, parts, strict=True)]
            yield replace(column[0], values=torch.cat(values))

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """The best explainer with all pictures, the two checks, pointing and localisation where objects are marked, and who was not supported."""
        assert isinstance(model, TorchModel)
        assert context.examples is not None  # the runner gives an ExampleEvaluator its examples
        explainers, failures = self._supported(model)
        # A network of shuffled weights seldom lets an integral converge: no more steps are spent on it, nor on what is held against it.
        plain = [one for one in self._known(doublings=0) if one.name in {other.name for other in explainers}]
        rows = min(self.rows, self.checked)
        work = Checks(model, grid_of(model), (*plain, Chance()), rows, self.radius, self.draws, context.seed)
        (batch,) = context.examples.subset(self.checked, context.seed).batches(self.checked)
        found = list(work.run(batch, context.deadline.check))
        found += self._pointing(table, explainers, context.seed)
        yield self._best(table, explainers, context, [*self._figures(model, table, explainers, found, context)])
        yield from found
        yield from self._unmarked(table)
        yield from failures

    def _known(self, doublings: int = DOUBLINGS) -> Sequence[Explainer]:
        return [explainer(name, self.steps, doublings) for name in self.explainers]

    @cached_property
    def _regions(self) -> Regions:
        return read_regions(Path(self.regions)) if self.regions else {}

    def _supported(self, model: TorchModel) -> tuple[Sequence[Explainer], Sequence[Failure]]:
        found: list[Explainer] = []
        failures: list[Failure] = []
        for one in self._known():
            try:
                one.require(model)
                found.append(one)
            except Unsupported as error:
                failures.append(replace(Failure.of(Status.UNSUPPORTED, error, FAITHFULNESS), conditions={"explainer": one.name}))
        return found, failures

    def _best(self, table: ScoreTable, explainers: Sequence[Explainer], context: Context, figures: Sequence[Figure]) -> Outcome:
        if not explainers:
            hint = "add gradient-x-input, integrated-gradients or occlusion, which any network allows"
            return Failure(Status.UNSUPPORTED, "no-explainer", "the model supports none of the explainers asked for", hint, BEST)
        best = choose({one.name: table.column(FAITHFULNESS, {"explainer": one.name}) for one in explainers})
        values = best.values
        return Measurement(BEST, float(values.mean()), len(values), bootstrap_mean(values, context.seed), extra=tuple(figures))

    def _figures(
        self, model: TorchModel, table: ScoreTable, explainers: Sequence[Explainer], found: Sequence[Measurement], context: Context
    ) -> Iterator[Figure]:
        assert context.examples is not None
        yield summary.overview(table, explainers, self.baselines, found)
        if self.shown:
            (batch,) = context.examples.subset(self.shown, context.seed).batches(self.shown)
            drawn = gallery(model, grid_of(model), explainers, list(questions(model, batch, self.rows)), context.examples.class_names)
            if drawn is not None:
                yield drawn
        yield from summary.curves(table, explainers, self.baselines)
        yield summary.similarities((*explainers, Chance()), found)

    def _pointing(self, table: ScoreTable, explainers: Sequence[Explainer], seed: int) -> Iterator[Measurement]:
        if not self._marks(table):
            return
        marked = table.column(MARKED) == 1
        for one in (*explainers, Chance()):
            named = {"explainer": one.name}
            hits, inside = table.column(POINTED, named)[marked], table.column(INSIDE, named)[marked]
            yield Measurement(POINTING, float(hits.mean()), len(hits), wilson(int(hits.sum()), len(hits)), named)
            yield Measurement(LOCALISATION, float(inside.mean()), len(inside), bootstrap_mean(inside, seed), named)

    def _unmarked(self, table: ScoreTable) -> Iterator[Failure]:
        if not self._marks(table):
            message = f"{self.regions} marks no object of any example" if self.regions else "nothing marks the objects of the data set"
            hint = "give boxes or masks, --set faithfulness.regions=PATH, by the ids of examples.parquet: the page faithfulness of the documentation says how"
            yield Failure(Status.UNSUPPORTED, "no-regions", f"{message}, so neither pointing nor localisation could be measured", hint, POINTING)

    def _marks(self, table: ScoreTable) -> bool:
        return bool(self.regions) and bool((table.column(MARKED) == 1).any())


def _bad(setting: str, value: object, hint: str) -> SettingsError:
    return SettingsError("bad-setting", f"the setting {setting} of faithfulness is {value}", hint)
