"""Stability: how often the answer changes when the image hardly does, shifted by a pixel, turned by a degree, or with a little noise."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.figures import Bars, Figure, Picture
from efficient360.core.statistics import bootstrap_mean
from efficient360.errors import SettingsError
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
from efficient360.methods.corruptions.flip_gallery import chosen, gallery, pair
from efficient360.methods.corruptions.flip_protocol import FlipProtocol
from efficient360.methods.corruptions.other_run import other_run
from efficient360.methods.corruptions.sequence_tables import PERTURBATIONS, SEQUENCES, suited
from efficient360.methods.corruptions.sequences import Sequences, answers

_SOURCE = "Hendrycks & Dietterich 2019, section 4.2"
FLIP_RATE = Metric(
    "flip_rate",
    ONE,
    Better.LOWER,
    "Flip probability: share of frames whose most likely class is another than that of the frame before; with noise, than that of the clean image.",
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
    "Mean flip rate (mFR): each perturbation's flip probability divided by the reference model's, then averaged; 1 flips as often as the reference.",
    _SOURCE,
    low=0,
)
Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Stability(ExampleEvaluator):
    """How often the answer flips along the sequences of ImageNet-P, at the model's own input size.

    Args:
        perturbations: Names; the ten of ImageNet-P by default.
        table: Whose strengths: ``imagenet-p`` (meant for 224 pixels), ``cifar-p`` (for 32), or ``auto``: ``cifar-p`` up to 64 pixels.
        frames: The most frames a sequence, at least 2: its middle, so that steps stay as small; empty for all that the table has.
        examples: Size of the stratified subset; empty for all.
        reference: The ``report.json`` of a model measured in the same way, to divide flip rates by.
    """

    name: ClassVar[str] = "stability"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (MEAN_FLIP_RATE, FLIP_RATE, MFR)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    perturbations: tuple[str, ...] = PERTURBATIONS
    table: str = "auto"
    frames: int | None = None
    examples: int | None = 200
    reference: str = ""

    def __post_init__(self) -> None:
        for name in self.perturbations:
            if name not in PERTURBATIONS:
                message = f"the setting perturbations of stability names {name!r}, which does not exist"
                raise SettingsError("bad-setting", message, f"known: {', '.join(PERTURBATIONS)}")
        if not self.perturbations or len(set(self.perturbations)) < len(self.perturbations):
            message = f"the setting perturbations of stability is {list(self.perturbations)}"
            raise SettingsError("bad-setting", message, "name at least one, and each once")
        if self.table not in ("auto", *SEQUENCES):
            raise SettingsError("bad-setting", f"the setting table of stability is {self.table!r}", f"give auto, {' or '.join(SEQUENCES)}")
        if self.frames is not None and self.frames < 2:
            raise SettingsError("bad-setting", f"the setting frames of stability is {self.frames}", "give at least 2, or null for all")
        if self.examples is not None and self.examples < 1:
            raise SettingsError("bad-setting", f"the setting examples of stability is {self.examples}", "give at least 1, or null for all")
        if self.reference and not Path(self.reference).is_file():
            message = f"the setting reference of stability is {self.reference!r}, which is no file"
            raise SettingsError("bad-setting", message, "give the path of another run's report.json")

    def surroundings(self) -> Mapping[str, Any]:
        """Versions that random numbers and resampling depend on, and the reference's report."""
        found = {"numpy": np.__version__}
        if self.reference:
            found["reference"] = hashlib.sha256(Path(self.reference).read_bytes()).hexdigest()
        return found

    def sample_size(self) -> int | None:
        """As set."""
        return self.examples

    def batch_limit(self) -> int | None:
        """Each example goes through the model about three hundred times, so a batch of these is long work."""
        return 8

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Each example's flip probability under every perturbation."""
        shown = self._shown(*model.input_size[1:])
        for name, named in answers(model, batch.images, batch.ids, shown, batch.seed):
            flips = shown.perturbation(name).flips(named)
            yield Scores(FLIP_RATE, torch.from_numpy(flips.mean(axis=1)), _conditions(shown, name))

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """The mean over perturbations, each of them, and the mean divided by a reference's."""
        yield from self._outcomes(table, context, ())

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """As :meth:`finish`, with pictures of frames between which the answer flips."""
        if context.examples is None:
            raise Unsupported("no-examples", "stability was given no examples", "name a data set with --dataset")
        shown = self._shown(*model.input_size[1:])
        pictures: list[Picture] = []
        for name, example in chosen(_rates(table, shown)):
            batch = next(context.examples.select([table.ids[example]]).batches(1))
            pictures += pair(model, batch, name, shown, context.examples.class_names)
        yield from self._outcomes(table, context, (gallery(pictures),) if pictures else ())

    def _outcomes(self, table: ScoreTable, context: Context, figures: tuple[Figure, ...]) -> Iterator[Outcome]:
        protocol = self._protocol(context)
        shown, seed = protocol.shown, context.seed
        rates = _rates(table, shown)
        single = [_mean(FLIP_RATE, values, _conditions(shown, name), seed) for name, values in rates.items()]
        whole = {"over": protocol.over, "table": shown.table}
        yield _mean(MEAN_FLIP_RATE, _over(rates), whole, seed, (_bars(single), *figures, protocol.as_table()))
        yield from single
        if self.reference:
            yield self._divided(rates, protocol, seed)

    def _divided(self, rates: Mapping[str, Floats], protocol: FlipProtocol, seed: int) -> Outcome:
        try:
            run = other_run(Path(self.reference), self.name, FLIP_RATE.name, protocol.as_table())
        except Unsupported as error:
            return Failure.of(Status.UNSUPPORTED, error, MFR)
        theirs = {str(one.conditions["perturbation"]): one.value for one in run.measured}
        conditions = {"reference": run.name, "over": protocol.over, "table": protocol.shown.table}
        if unmoved := [name for name in rates if theirs[name] == 0]:
            message = f"no answer of {run.name} flips under {', '.join(unmoved)}: nothing can be divided by that"
            return Failure(Status.UNSUPPORTED, "flawless-reference", message, "choose another reference, or take more examples of both", MFR, conditions)
        return _mean(MFR, _over({name: values / theirs[name] for name, values in rates.items()}), conditions, seed)

    def _shown(self, height: int, width: int) -> Sequences:
        return Sequences(self.perturbations, suited(self.table, height, width), self.frames)

    def _protocol(self, context: Context) -> FlipProtocol:
        _, height, width = context.checkpoint.preprocessing.input_size
        examples = context.examples
        n, digest = (0, "") if examples is None else (len(examples), examples.digest)
        return FlipProtocol(self._shown(height, width), (height, width), n, digest, context.seed)


def _conditions(shown: Sequences, name: str) -> Conditions:
    cut = len(shown.steps(name)) < shown.perturbation(name).length
    return {"perturbation": name, "table": shown.table} | ({"frames": len(shown.steps(name))} if cut else {})


def _rates(table: ScoreTable, shown: Sequences) -> dict[str, Floats]:
    return {name: table.column(FLIP_RATE, _conditions(shown, name)) for name in shown.perturbations}


def _over(rates: Mapping[str, Floats]) -> Floats:
    mean: Floats = np.mean(list(rates.values()), axis=0)
    return mean


def _mean(metric: Metric, values: Floats, conditions: Conditions, seed: int, figures: tuple[Figure, ...] = ()) -> Measurement:
    """The mean over examples; resampling whole examples keeps together what one example did in all its frames."""
    return Measurement(metric, float(values.mean()), len(values), bootstrap_mean(values, seed), conditions, extra=figures)


def _bars(single: list[Measurement]) -> Bars:
    labels = tuple(str(one.conditions["perturbation"]).replace("_", " ") for one in single)
    ends = [(one.interval.low, one.interval.high) for one in single if one.interval is not None]
    low, high = tuple(low for low, _ in ends), tuple(high for _, high in ends)
    return Bars("Answers that flip, by perturbation", "perturbation", "flip rate", labels, tuple(one.value for one in single), low, high)
