"""Corruption robustness: accuracy and corruption errors under the corruptions of ImageNet-C."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, final

import numpy as np
import torch
from pydantic import AfterValidator, Field

from efficient360.core.arrays import Floats
from efficient360.core.code_digest import version
from efficient360.core.figures import Figure
from efficient360.core.settings import AtLeast1, EachOnce, NotEmpty, among
from efficient360.core.statistics import bootstrap_mean, wilson
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
from efficient360.methods.corruptions.corruption_error import CorruptionProtocol, CorruptionResults, known_reference, load_reference
from efficient360.methods.corruptions.imagenet_c import (
    COMMON,
    EXTRA,
    SEVERITIES,
    TABLES,
    CorruptionSetting,
    corrupted_batches,
    corruption_gallery,
    resolve_table,
)

_SOURCE = "Hendrycks & Dietterich 2019"
CORRUPTION_ACCURACY = Metric(
    "corruption_accuracy",
    ONE,
    Better.HIGHER,
    "Top-1 accuracy on corrupted images, mean over corruptions and severities; severity 0 is the clean images.",
    _SOURCE,
    low=0,
    high=1,
)
MEAN_CORRUPTION_ERROR = Metric(
    "mean_corruption_error",
    ONE,
    Better.LOWER,
    "Top-1 error on corrupted images, mean over corruptions and severities, not divided by a reference model's.",
    _SOURCE,
    low=0,
    high=1,
)
RELATIVE_CORRUPTION_ERROR = Metric(
    "relative_corruption_error",
    ONE,
    Better.LOWER,
    "Mean corruption error less the error on the same images without corruption.",
    _SOURCE,
    low=-1,
    high=1,
)
MCE = Metric(
    "mce",
    ONE,
    Better.LOWER,
    "Mean corruption error (mCE): each corruption's error divided by the reference model's, then averaged; 1 equals the reference.",
    _SOURCE,
    low=0,
)
RELATIVE_MCE = Metric(
    "relative_mce", ONE, Better.LOWER, "Relative mCE: as mCE, from errors beyond the clean error; 1 loses as much to corruption as the reference does.", _SOURCE
)
CORRECT = Metric("correct", ONE, Better.HIGHER, "Whether the predicted class is correct; severity 0 is the clean image.", low=0, high=1)
GALLERY_SEVERITY = 3
"""The gallery shows the evaluated severity nearest to this one."""


@final
@dataclass(frozen=True)
class Corruption(ExampleEvaluator):
    """Accuracy under the corruptions of ImageNet-C, at the model's own input size.

    Args:
        corruptions: Names; the fifteen of ImageNet-C by default. ``speckle_noise``, ``gaussian_blur``, ``spatter`` and ``saturate`` are available too.
        severities: 1, the mildest, to 5.
        table: Table of severities: ``imagenet-c`` (meant for 224 pixels), ``cifar-c`` (for 32), or ``auto``: ``cifar-c`` up to 64 pixels.
        examples: Size of the stratified subset; empty for all.
        reference: ``alexnet``, or the ``report.json`` of a model measured under the same protocol, to divide errors by; empty for none.
    """

    name: ClassVar[str] = "corruption"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = (CORRUPTION_ACCURACY, MEAN_CORRUPTION_ERROR, RELATIVE_CORRUPTION_ERROR, MCE, RELATIVE_MCE)
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"corruptions": (), "severities": (), "examples": (), "reference": ()}
    corruptions: Annotated[tuple[Annotated[str, among(lambda: (*COMMON, *EXTRA))], ...], NotEmpty, EachOnce] = COMMON
    severities: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], NotEmpty, EachOnce] = SEVERITIES
    table: Annotated[str, among(lambda: ("auto", *TABLES))] = "auto"
    examples: AtLeast1 | None = 1000
    reference: Annotated[str, AfterValidator(known_reference)] = ""

    def cache_dependencies(self) -> Mapping[str, Any]:
        """Which version of the photographs of frost is installed."""
        return {"frost": version(frost.PACKAGE) if frost.photograph_folder() is not None else None}

    def sample_size(self) -> int | None:
        """As set."""
        return self.examples

    def batch_limit(self) -> int | None:
        """Small: each example goes through the model once per corruption and severity."""
        return 32

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Correctness of each example, clean and under every corruption and severity.

        Raises:
            Unsupported: Frost alone is requested, and its photographs are not installed.
        """
        labels, table = batch.labels.cpu(), resolve_table(self.table, *model.input_size[1:])
        settings = [CorruptionSetting(name, severity, table) for name in self._available() for severity in self.severities]
        yield Scores(CORRECT, model.logits(batch).argmax(1).cpu() == labels, {"severity": 0})
        for setting, images in corrupted_batches(batch.images, batch.ids, settings, batch.seed):
            with torch.inference_mode():
                predicted = model(images).argmax(1).cpu()
            yield Scores(CORRECT, predicted == labels, {"corruption": setting.corruption, "severity": setting.severity})

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Accuracy overall, by corruption and by severity; the corruption errors; and a failure where frost is not installed."""
        yield from self._outcomes(table, context, ())

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """As :meth:`finish`, with a gallery of the first example that is classified correctly when clean."""
        first = int(table.column(CORRECT, {"severity": 0}).argmax())
        batch = next(context.examples.select([table.ids[first]]).batches(1))
        severity = min(self.severities, key=lambda s: (abs(s - GALLERY_SEVERITY), s))
        table_name = resolve_table(self.table, *model.input_size[1:])
        gallery = corruption_gallery(model, batch, self._available(), severity, table_name, context.examples.class_names)
        yield from self._outcomes(table, context, (gallery,))

    def _outcomes(self, table: ScoreTable, context: Context[Examples], figures: tuple[Figure, ...]) -> Iterator[Outcome]:
        results, protocol, seed = self._results(table), self._protocol(context), context.seed
        overall = {"over": protocol.averaged_over, "table": protocol.table}
        accuracy = results.accuracy()
        yield _mean(CORRUPTION_ACCURACY, accuracy, overall, seed, (results.heatmap(), *figures, protocol.as_table()))
        yield Measurement(CORRUPTION_ACCURACY, float(results.clean.mean()), len(accuracy), wilson(int(results.clean.sum()), len(accuracy)), {"severity": 0})
        for index, severity in enumerate(results.severities):
            values = np.mean([correct[index] for correct in results.correct.values()], axis=0)
            yield _mean(CORRUPTION_ACCURACY, values, {"severity": severity, "over": protocol.corruptions_in_words}, seed)
        for name, correct in results.correct.items():
            yield _mean(CORRUPTION_ACCURACY, correct.mean(axis=0), {"corruption": name, "over": protocol.severities_in_words}, seed)
        if "frost" not in results.correct and "frost" in self.corruptions:
            yield _no_frost(protocol.averaged_over)
        yield _mean(MEAN_CORRUPTION_ERROR, 1 - accuracy, overall, seed)
        yield _mean(RELATIVE_CORRUPTION_ERROR, results.relative_error(), overall, seed)
        if self.reference:
            yield from self._relative_to_reference(results, protocol, context)

    def _relative_to_reference(self, results: CorruptionResults, protocol: CorruptionProtocol, context: Context[Examples]) -> Iterator[Outcome]:
        try:
            reference = load_reference(self.reference, protocol, context.examples.class_names)
        except Unsupported as error:
            yield from (Failure.of(Status.UNSUPPORTED, error, metric) for metric in (MCE, RELATIVE_MCE))
            return
        shared = replace(results, correct={name: correct for name, correct in results.correct.items() if name in reference.errors})
        averaged_over = replace(protocol, corruptions=tuple(shared.correct)).averaged_over
        conditions = {"reference": reference.name, "over": averaged_over, "table": protocol.table}
        for metric, smallest_divisor, ratio in (
            (MCE, min(reference.errors[name] for name in shared.correct), shared.mce),
            (RELATIVE_MCE, min(reference.errors[name] - reference.clean for name in shared.correct), shared.relative_mce),
        ):
            if smallest_divisor > 0:
                yield _mean(metric, ratio(reference), conditions, context.seed)
            else:
                message = f"{reference.name} loses nothing under one of the corruptions, so the ratio is undefined"
                yield Failure(Status.UNSUPPORTED, "flawless-reference", message, "choose another reference", metric, conditions)

    def _available(self) -> tuple[str, ...]:
        available = tuple(name for name in self.corruptions if name != "frost" or frost.photograph_folder() is not None)
        if not available:
            raise Unsupported("no-frost", "frost needs photographs that are not installed", "install the extra: pip install 'efficient360[robustness]'")
        return available

    def _results(self, table: ScoreTable) -> CorruptionResults:
        correct = {
            name: np.stack([table.column(CORRECT, {"corruption": name, "severity": severity}) for severity in self.severities]) for name in self._available()
        }
        return CorruptionResults(table.column(CORRECT, {"severity": 0}), correct, self.severities)

    def _protocol(self, context: Context[Examples]) -> CorruptionProtocol:
        _, height, width = context.checkpoint.preprocessing.input_size
        table, examples = resolve_table(self.table, height, width), context.examples
        return CorruptionProtocol(self._available(), self.severities, table, (height, width), len(examples), examples.digest, context.seed)


def _mean(metric: Metric, values: Floats, conditions: Conditions, seed: int, figures: tuple[Figure, ...] = ()) -> Measurement:
    """The mean over examples, whose bootstrap keeps all corruptions and severities of an example together."""
    return Measurement(metric, float(values.mean()), len(values), bootstrap_mean(values, seed), conditions, extra=figures)


def _no_frost(averaged_over: str) -> Failure:
    return Failure(
        Status.UNSUPPORTED,
        "no-frost",
        f"frost needs photographs that are not installed; the means are over {averaged_over}",
        "install the extra: pip install 'efficient360[robustness]', and run again",
        CORRUPTION_ACCURACY,
        {"corruption": "frost"},
    )
