"""Corruption: how often it stays right when the image is noisy, blurred, snowed on, foggy, pixelated or badly compressed."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch

from efficient360.core.figures import Figure
from efficient360.core.statistics import bootstrap_mean, wilson
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
from efficient360.methods.corruptions import frost
from efficient360.methods.corruptions.batches import Cell, corrupted_batches
from efficient360.methods.corruptions.gallery import gallery
from efficient360.methods.corruptions.protocol import Protocol
from efficient360.methods.corruptions.reference import ALEXNET, reference_for, require_known
from efficient360.methods.corruptions.results import Floats, Results
from efficient360.methods.corruptions.tables import COMMON, EXTRA, SEVERITIES, TABLES, suited

_SOURCE = "Hendrycks & Dietterich 2019"
CORRUPTION_ACCURACY = Metric(
    "corruption_accuracy",
    ONE,
    Better.HIGHER,
    "Share of corrupted images whose most likely class is the right one: a mean over corruptions and severities; severity 0 is the clean images.",
    _SOURCE,
    low=0,
    high=1,
)
MEAN_CORRUPTION_ERROR = Metric(
    "mean_corruption_error", ONE, Better.LOWER, "Share of corrupted images named wrongly, not divided by a reference model's.", _SOURCE, low=0, high=1
)
RELATIVE_CORRUPTION_ERROR = Metric(
    "relative_corruption_error",
    ONE,
    Better.LOWER,
    "Mean corruption error less the error on the same images clean: what corruption costs.",
    _SOURCE,
    low=-1,
    high=1,
)
MCE = Metric(
    "mce",
    ONE,
    Better.LOWER,
    "Mean corruption error (mCE): each corruption's error divided by the reference model's, then averaged; 1 is as bad as the reference.",
    _SOURCE,
    low=0,
)
RELATIVE_MCE = Metric(
    "relative_mce", ONE, Better.LOWER, "As mCE, of errors beyond the clean error: 1 loses as much to corruption as the reference does.", _SOURCE
)
CORRECT = Metric("correct", ONE, Better.HIGHER, "Whether the most likely class is the right one; severity 0 is the clean image.", low=0, high=1)
SHOWN = 3


@final
@dataclass(frozen=True)
class Corruption(ExampleEvaluator):
    """Accuracy under the corruptions of ImageNet-C, at the model's own input size.

    Args:
        corruptions: Names; the fifteen of ImageNet-C by default, ``speckle_noise``, ``gaussian_blur``, ``spatter`` and ``saturate`` besides.
        severities: 1, the mildest, to 5.
        table: Whose strengths: ``imagenet-c`` (meant for 224 pixels), ``cifar-c`` (for 32), or ``auto``: ``cifar-c`` up to 64 pixels.
        examples: Size of the stratified subset; empty for all.
        reference: ``alexnet``, or the ``report.json`` of a model measured in the same way, to divide errors by.
    """

    name: ClassVar[str] = "corruption"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (CORRUPTION_ACCURACY, MEAN_CORRUPTION_ERROR, RELATIVE_CORRUPTION_ERROR, MCE, RELATIVE_MCE)
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    corruptions: tuple[str, ...] = COMMON
    severities: tuple[int, ...] = SEVERITIES
    table: str = "auto"
    examples: int | None = 1000
    reference: str = ""

    def __post_init__(self) -> None:
        known = (*COMMON, *EXTRA)
        for name in self.corruptions:
            if name not in known:
                raise SettingsError("bad-setting", f"the setting corruptions of corruption names {name!r}, which does not exist", f"known: {', '.join(known)}")
        _require_distinct("corruptions", self.corruptions)
        _require_distinct("severities", self.severities)
        if not set(self.severities) <= set(SEVERITIES):
            raise SettingsError("bad-setting", f"the setting severities of corruption is {list(self.severities)}", "give some of 1, 2, 3, 4, 5")
        if self.table not in ("auto", *TABLES):
            raise SettingsError("bad-setting", f"the setting table of corruption is {self.table!r}", f"give auto, {' or '.join(TABLES)}")
        if self.examples is not None and self.examples < 1:
            raise SettingsError("bad-setting", f"the setting examples of corruption is {self.examples}", "give at least 1, or null for all")
        require_known(self.reference)

    def surroundings(self) -> Mapping[str, Any]:
        """Versions that random numbers and resampling depend on, whether there is frost, and the reference's report."""
        import scipy

        found = {"numpy": np.__version__, "scipy": scipy.__version__, "frost": frost.photographs() is not None}
        if self.reference not in ("", ALEXNET.name):
            found["reference"] = hashlib.sha256(Path(self.reference).read_bytes()).hexdigest()
        return found

    def sample_size(self) -> int | None:
        """As set."""
        return self.examples

    def batch_limit(self) -> int | None:
        """Each example goes through the model once a cell, so a batch of these is long work."""
        return 32

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Right or wrong of each example, clean and in every cell.

        Raises:
            Unsupported: Frost alone is asked for, and its photographs are not installed.
        """
        labels, table = batch.labels.cpu(), suited(self.table, *model.input_size[1:])
        cells = [Cell(name, severity, table) for name in self._possible() for severity in self.severities]
        yield Scores(CORRECT, model.logits(batch).argmax(1).cpu() == labels, {"severity": 0})
        for cell, images in corrupted_batches(batch.images, batch.ids, cells, batch.seed):
            with torch.inference_mode():
                predicted = model(images).argmax(1).cpu()
            yield Scores(CORRECT, predicted == labels, {"corruption": cell.corruption, "severity": cell.severity})

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Accuracy over all, by corruption and by severity; the corruption errors; and why there is no frost where there is none."""
        yield from self._outcomes(table, context, ())

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """As :meth:`finish`, with pictures of the first example that is right when clean."""
        if context.examples is None:
            raise Unsupported("no-examples", "corruption was given no examples", "name a data set with --dataset")
        first = int(table.column(CORRECT, {"severity": 0}).argmax())
        batch = next(context.examples.select([table.ids[first]]).batches(1))
        severity = min(self.severities, key=lambda s: (abs(s - SHOWN), s))
        pictures = gallery(model, batch, self._possible(), severity, suited(self.table, *model.input_size[1:]), context.examples.class_names)
        yield from self._outcomes(table, context, (pictures,))

    def _outcomes(self, table: ScoreTable, context: Context, figures: tuple[Figure, ...]) -> Iterator[Outcome]:
        results, protocol, seed = self._results(table), self._protocol(context), context.seed
        whole = {"over": protocol.over, "table": protocol.table}
        accuracy = results.accuracy()
        yield _mean(CORRUPTION_ACCURACY, accuracy, whole, seed, (results.heatmap(), *figures, protocol.as_table()))
        yield Measurement(CORRUPTION_ACCURACY, float(results.clean.mean()), len(accuracy), wilson(int(results.clean.sum()), len(accuracy)), {"severity": 0})
        for index, severity in enumerate(results.severities):
            values = np.mean([cells[index] for cells in results.right.values()], axis=0)
            yield _mean(CORRUPTION_ACCURACY, values, {"severity": severity, "over": protocol.over_corruptions}, seed)
        for name, cells in results.right.items():
            yield _mean(CORRUPTION_ACCURACY, cells.mean(axis=0), {"corruption": name, "over": protocol.over_severities}, seed)
        if "frost" not in results.right and "frost" in self.corruptions:
            yield _no_frost(protocol.over)
        yield _mean(MEAN_CORRUPTION_ERROR, 1 - accuracy, whole, seed)
        yield _mean(RELATIVE_CORRUPTION_ERROR, results.relative_error(), whole, seed)
        if self.reference:
            yield from self._divided(results, protocol, context)

    def _divided(self, results: Results, protocol: Protocol, context: Context) -> Iterator[Outcome]:
        names = () if context.examples is None else context.examples.class_names
        try:
            of = reference_for(self.reference, protocol, names)
        except Unsupported as error:
            yield from (Failure.of(Status.UNSUPPORTED, error, metric) for metric in (MCE, RELATIVE_MCE))
            return
        counted = replace(results, right={name: cells for name, cells in results.right.items() if name in of.errors})
        conditions = {"reference": of.name, "over": replace(protocol, corruptions=tuple(counted.right)).over, "table": protocol.table}
        for metric, lowest, divided in (
            (MCE, min(of.errors[name] for name in counted.right), counted.mce),
            (RELATIVE_MCE, min(of.errors[name] - of.clean for name in counted.right), counted.relative_mce),
        ):
            if lowest > 0:
                yield _mean(metric, divided(of), conditions, context.seed)
            else:
                message = f"{of.name} loses nothing under one of the corruptions, and nothing can be divided by that"
                yield Failure(Status.UNSUPPORTED, "flawless-reference", message, "choose another reference", metric, conditions)

    def _possible(self) -> tuple[str, ...]:
        possible = tuple(name for name in self.corruptions if name != "frost" or frost.photographs() is not None)
        if not possible:
            raise Unsupported("no-frost", "frost is laid over photographs that are not installed", "pip install 'efficient360[robustness]'")
        return possible

    def _results(self, table: ScoreTable) -> Results:
        right = {
            name: np.stack([table.column(CORRECT, {"corruption": name, "severity": severity}) for severity in self.severities]) for name in self._possible()
        }
        return Results(table.column(CORRECT, {"severity": 0}), right, self.severities)

    def _protocol(self, context: Context) -> Protocol:
        _, height, width = context.checkpoint.preprocessing.input_size
        examples = context.examples
        n, digest = (0, "") if examples is None else (len(examples), examples.digest)
        return Protocol(self._possible(), self.severities, suited(self.table, height, width), (height, width), n, digest, context.seed)


def _mean(metric: Metric, values: Floats, conditions: Conditions, seed: int, figures: tuple[Figure, ...] = ()) -> Measurement:
    """The mean over examples; resampling whole examples keeps together what one example did in all its cells."""
    return Measurement(metric, float(values.mean()), len(values), bootstrap_mean(values, seed), conditions, extra=figures)


def _no_frost(over: str) -> Failure:
    return Failure(
        Status.UNSUPPORTED,
        "no-frost",
        f"frost is laid over photographs that are not installed; the means are over {over}",
        "install the extra: pip install 'efficient360[robustness]', and run again",
        CORRUPTION_ACCURACY,
        {"corruption": "frost"},
    )


def _require_distinct(setting: str, values: tuple[Any, ...]) -> None:
    if not values or len(set(values)) < len(values):
        raise SettingsError("bad-setting", f"the setting {setting} of corruption is {list(values)}", "name at least one, and each once")
