"""Stability: how often the prediction flips along the perturbation sequences of ImageNet-P (mFR)."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, final

import numpy as np
import torch

from efficient360.core.arrays import Floats
from efficient360.core.figures import Bars, Figure, Picture
from efficient360.core.settings import AtLeast1, AtLeast2, EachOnce, FileOrNone, NotEmpty, among
from efficient360.core.statistics import bootstrap_mean
from efficient360.evaluator import (
    ONE,
    Batch,
    Better,
    Conditions,
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
    Unsupported,
)
from efficient360.methods.corruptions.flip_rates import StabilityProtocol, flip_gallery, flip_pair, most_unstable, predict_sequences
from efficient360.methods.corruptions.imagenet_p import PERTURBATIONS, TABLES, SequenceSelection, resolve_table
from efficient360.methods.corruptions.reference_run import read_reference_run

_SOURCE = "Hendrycks & Dietterich 2019, section 4.2"
FLIP_RATE = Metric(
    "flip_rate",
    ONE,
    Better.LOWER,
    "Flip probability: share of frames whose predicted class differs from that of the previous frame, or, under noise, of the clean image.",
    _SOURCE,
    low=0,
    high=1,
)
MEAN_FLIP_RATE = Metric(
    "mean_flip_rate", ONE, Better.LOWER, "Flip probability, mean over perturbations, not divided by a reference model's.", _SOURCE, low=0, high=1
)
MFR = Metric(
    "mfr",
    ONE,
    Better.LOWER,
    "Mean flip rate (mFR): each perturbation's flip probability divided by the reference model's, then averaged; 1 equals the reference.",
    _SOURCE,
    low=0,
)


@final
@dataclass(frozen=True)
class Stability(ExampleEvaluator):
    """How often the prediction flips along the sequences of ImageNet-P, at the model's own input size.

    Args:
        perturbations: Names; the ten of ImageNet-P by default.
        table: Table of perturbations: ``imagenet-p`` (meant for 224 pixels), ``cifar-p`` (for 32), or ``auto``: ``cifar-p`` up to 64 pixels.
        frames: Most frames per sequence, at least 2, taken from its middle so that steps stay the same; empty for all that the table has.
        examples: Size of the stratified subset; empty for all.
        reference: The ``report.json`` of a model measured under the same protocol, to divide flip rates by; empty for none.
    """

    name: ClassVar[str] = "stability"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = (MEAN_FLIP_RATE, FLIP_RATE, MFR)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"perturbations": (), "frames": (), "table": (), "examples": (), "reference": ()}
    perturbations: Annotated[tuple[Annotated[str, among(lambda: PERTURBATIONS)], ...], NotEmpty, EachOnce] = PERTURBATIONS
    table: Annotated[str, among(lambda: ("auto", *TABLES))] = "auto"
    frames: AtLeast2 | None = None
    examples: AtLeast1 | None = 200
    reference: FileOrNone = ""

    def sample_size(self) -> int | None:
        """As set."""
        return self.examples

    def batch_limit(self) -> int | None:
        """Small: each example goes through the model about three hundred times."""
        return 8

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Each example's flip probability under every perturbation."""
        selection = self._selection(*model.input_size[1:])
        for name, predictions in predict_sequences(model, batch.images, batch.ids, selection, batch.seed):
            flips = selection.perturbation(name).flips(predictions)
            yield Scores(FLIP_RATE, torch.from_numpy(flips.mean(axis=1)), _conditions(selection, name))

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """The flip rates of all perturbations, their mean, and the mFR over a reference."""
        yield from self._outcomes(table, context, ())

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """As :meth:`finish`, with pairs of frames between which the prediction flips."""
        selection = self._selection(*model.input_size[1:])
        pictures: list[Picture] = []
        for name, example in most_unstable(_rates(table, selection)):
            batch = next(context.examples.select([table.ids[example]]).batches(1))
            pictures += flip_pair(model, batch, name, selection, context.examples.class_names)
        yield from self._outcomes(table, context, (flip_gallery(pictures),) if pictures else ())

    def _outcomes(self, table: ScoreTable, context: Context[Examples], figures: tuple[Figure, ...]) -> Iterator[Outcome]:
        protocol = self._protocol(context)
        selection, seed = protocol.selection, context.seed
        rates = _rates(table, selection)
        per_perturbation = [_mean(FLIP_RATE, values, _conditions(selection, name), seed) for name, values in rates.items()]
        overall = {"over": protocol.averaged_over, "table": selection.table}
        yield _mean(MEAN_FLIP_RATE, _average(rates), overall, seed, (_bars(per_perturbation), *figures, protocol.as_table()))
        yield from per_perturbation
        if self.reference:
            yield self._mfr(rates, protocol, seed)

    def _mfr(self, rates: Mapping[str, Floats], protocol: StabilityProtocol, seed: int) -> Outcome:
        try:
            run = read_reference_run(Path(self.reference), self.name, FLIP_RATE.name, protocol.as_table())
        except Unsupported as error:
            return Failure.of(Status.UNSUPPORTED, error, MFR)
        reference_rates = {str(flip_rate.conditions["perturbation"]): flip_rate.value for flip_rate in run.values}
        conditions = {"reference": run.name, "over": protocol.averaged_over, "table": protocol.selection.table}
        if never_flips := [name for name in rates if reference_rates[name] == 0]:
            message = f"no prediction of {run.name} flips under {', '.join(never_flips)}, so the ratio is undefined"
            return Failure(Status.UNSUPPORTED, "flawless-reference", message, "choose another reference, or take more examples of both", MFR, conditions)
        return _mean(MFR, _average({name: values / reference_rates[name] for name, values in rates.items()}), conditions, seed)

    def _selection(self, height: int, width: int) -> SequenceSelection:
        return SequenceSelection(self.perturbations, resolve_table(self.table, height, width), self.frames)

    def _protocol(self, context: Context[Examples]) -> StabilityProtocol:
        _, height, width = context.checkpoint.preprocessing.input_size
        examples = context.examples
        return StabilityProtocol(self._selection(height, width), (height, width), len(examples), examples.digest, context.seed)


def _conditions(selection: SequenceSelection, name: str) -> Conditions:
    frames = {"frames": len(selection.steps(name))} if selection.is_shortened(name) else {}
    return {"perturbation": name, "table": selection.table} | frames


def _rates(table: ScoreTable, selection: SequenceSelection) -> dict[str, Floats]:
    return {name: table.column(FLIP_RATE, _conditions(selection, name)) for name in selection.perturbations}


def _average(rates: Mapping[str, Floats]) -> Floats:
    mean: Floats = np.mean(list(rates.values()), axis=0)
    return mean


def _mean(metric: Metric, values: Floats, conditions: Conditions, seed: int, figures: tuple[Figure, ...] = ()) -> Measurement:
    """The mean over examples, whose bootstrap keeps all frames of an example together."""
    return Measurement(metric, float(values.mean()), len(values), bootstrap_mean(values, seed), conditions, extra=figures)


def _bars(flip_rates: list[Measurement]) -> Bars:
    labels = tuple(str(rate.conditions["perturbation"]).replace("_", " ") for rate in flip_rates)
    ends = [(rate.interval.low, rate.interval.high) for rate in flip_rates if rate.interval is not None]
    low, high = tuple(low for low, _ in ends), tuple(high for _, high in ends)
    return Bars("Flip rate by perturbation", "perturbation", "flip rate", labels, tuple(rate.value for rate in flip_rates), low, high)
