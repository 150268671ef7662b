"""Out-of-distribution detection: AUROC, AUPR and FPR95 of common detectors on noise, photographs, other data sets and unseen classes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.findings import Finding, findings_table
from efficient360.core.paths import file_name
from efficient360.core.seeding import generators
from efficient360.core.settings import AtLeast1, AtLeast2, NotEmpty, among
from efficient360.errors import DatasetError, Efficient360Error, SettingsError, Unsupported
from efficient360.evaluator import UNSEEN, Conditions, Context, Evaluator, Examples, Failure, Metric, Model, Need, OtherSet, Outcome, Status
from efficient360.methods.uncertainty.model_outputs import ModelOutputs, predict_batch, predict_examples
from efficient360.methods.uncertainty.ood_datasets import OodDataset, OodKind, generated_datasets, ood_dataset, openood_kind, short_name
from efficient360.methods.uncertainty.ood_detectors import DETECTORS, LOGIT_DETECTORS, Detector, DetectorScore, feature_detector
from efficient360.methods.uncertainty.ood_generated import GAUSSIAN, PHOTOGRAPHS, UNIFORM, GeneratedExamples
from efficient360.methods.uncertainty.ood_metrics import AUPR, AUROC, FPR95
from efficient360.methods.uncertainty.ood_summary import (
    DetectorResult,
    auroc_table,
    below_chance,
    evaluate_detector,
    score_histogram,
    shared_bootstrap,
    summarize_detectors,
)
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

DIGITS: Final = "digits"
FIXED: Final = {"photographs and noise": (PHOTOGRAPHS, GAUSSIAN, UNIFORM), "noise": (GAUSSIAN, UNIFORM)}
"""Data sets that are the same for every model and every in-distribution data set."""


@final
@dataclass(frozen=True)
class OutOfDistribution(Evaluator):
    """How well detectors separate in-distribution images from noise, photographs, digits, unseen classes and data sets of your choice.

    Args:
        detectors: Any of ``msp``, ``energy``, ``max-logit``, ``mahalanobis``, ``knn``.
        datasets: Further data sets: a card's name, a card's path, ``imagefolder:DIR``, or any of them with ``=DIR`` to read a local copy.
        near: Those of ``datasets``, by name, that are near-OOD: other classes of a similar kind of image.
        far: Those that are far-OOD. The others are classified as OpenOOD does where it knows both data sets.
        images: At most so many images from each data set.
        training_examples: At most so many training images for Mahalanobis and KNN.
        neighbours: k of KNN: the distance to the k-th nearest training image is used.
        resamples: Bootstrap resamples for the intervals.
        refits: Fits of Mahalanobis and KNN on resampled training images, so that the intervals carry their choice; at least 2.
    """

    name: ClassVar[str] = "out_of_distribution"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = (AUROC, AUPR, FPR95)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.FEATURES, Need.TRAINING_SPLIT})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"detectors": (), "resamples": ()}
    detectors: Annotated[tuple[Annotated[str, among(lambda: DETECTORS)], ...], NotEmpty] = DETECTORS
    datasets: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    far: tuple[str, ...] = ()
    images: AtLeast2 = 1000
    training_examples: AtLeast2 = 5000
    neighbours: AtLeast1 = 10
    resamples: AtLeast2 = 300
    refits: AtLeast2 = 20

    def __post_init__(self) -> None:
        names = [short_name(reference) for reference in self.datasets]
        if len(set(names)) < len(names):
            raise self._refused("datasets", "name each data set once")
        for setting in ("near", "far"):
            if any(name not in names for name in getattr(self, setting)):
                raise self._refused(setting, f"name some of the datasets: {', '.join(names) or 'there are none'}")
        if set(self.near) & set(self.far):
            raise self._refused("near", "a data set is either near or far")

    def others(self) -> Sequence[str]:
        """The digits that come with scikit-learn, and the data sets that the settings name."""
        return tuple(dict.fromkeys((DIGITS, *self.datasets)))

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Score the evaluated images and every OOD data set with every detector; means over data sets first.

        Raises:
            Unsupported: No examples.
            OutOfTime: From ``context.deadline``; what is done is kept.
        """
        examples = context.require_examples()
        id_outputs = predict_examples(model, context.predicted(examples), context.batch_size)
        entries, detectors = list(self._datasets(model, examples, context)), dict(self._detectors(model, id_outputs, context))
        datasets = [entry for entry in entries if isinstance(entry, OodDataset)]
        outputs = [(dataset, self._outputs(model, id_outputs, dataset, context)) for dataset in datasets]
        results = self._results(detectors, id_outputs, outputs, context)
        if results:
            findings = [entry for entry in entries if isinstance(entry, Finding)] + [finding for dataset in datasets for finding in dataset.findings]
            headline = [result for result in results if result.detector == results[0].detector]
            figures = score_histogram(headline), auroc_table(results), findings_table([*findings, *below_chance(headline)])
            yield from summarize_detectors(results, FIXED, figures)
            for result in results:
                yield from result.measurements()
        yield from (entry for entry in (*detectors.values(), *entries) if isinstance(entry, Failure))

    def _datasets(self, model: Model, examples: Examples, context: Context) -> Iterator[OodDataset | Finding | Failure]:
        """Every OOD data set, what was excluded, and what is unavailable."""
        known_classes = [*dict.fromkeys((*examples.class_names, *context.checkpoint.class_names))]
        yield from generated_datasets(known_classes, model.input_size[1:], self.images, context.seed)
        for reference, other_set in context.others.items():
            try:
                yield ood_dataset(other_set, self._kind(other_set, examples), known_classes, self.images, context.seed)
            except (DatasetError, Unsupported) as error:
                if reference == DIGITS and DIGITS not in self.datasets:
                    yield Finding(error.code, error.message, "nothing: digits are only used where they are out of distribution")
                else:
                    name = short_name(other_set.name)
                    local_copy = f"; in the setting datasets a local copy is {name}=DIR" if isinstance(error, DatasetError) else ""
                    yield _failure(error, {"set": name}, local_copy)

    def _kind(self, other_set: OtherSet, examples: Examples) -> OodKind:
        name = short_name(other_set.name)
        if name in self.near or name == UNSEEN:
            return OodKind.NEAR
        if name in self.far or name == DIGITS:
            return OodKind.FAR
        return openood_kind(name, examples.class_names)

    def _outputs(self, model: Model, id_outputs: ModelOutputs, dataset: OodDataset, context: Context) -> ModelOutputs:
        """Model outputs on a data set: from the shared pass, or for generated images from a resumable pass of its own."""
        if not isinstance(dataset.examples, GeneratedExamples):
            return predict_examples(model, context.predicted(dataset.examples), context.batch_size)
        log = RowLog(context.scratch / f"{file_name(dataset.name.replace(' ', '-'))}.f32", id_outputs.to_rows().shape[1])
        to_rows = lambda batch: predict_batch(model, batch).to_rows()  # noqa: E731
        rows = recorded(log, dataset.examples, context.batch_size, to_rows, context.deadline, context.progress)
        return ModelOutputs.from_rows(rows, model.num_classes)

    def _detectors(self, model: Model, id_outputs: ModelOutputs, context: Context) -> Iterator[tuple[str, Detector | Failure]]:
        """Each detector by name, fitted if it needs to be, or why there is none."""
        training: tuple[Floats, NDArray[np.int64]] | None = None
        for name in self.detectors:
            context.deadline.check()
            detector: Detector | Failure
            if name in LOGIT_DETECTORS:
                detector = LOGIT_DETECTORS[name]
            else:
                try:
                    training = training or self._training_features(model, id_outputs, context)
                    detector = feature_detector(name, *training, self.neighbours)
                except Unsupported as error:
                    detector = _failure(error, {"detector": name})
            yield name, detector

    def _training_features(self, model: Model, id_outputs: ModelOutputs, context: Context) -> tuple[Floats, NDArray[np.int64]]:
        """Features and labels of training images."""
        id_outputs.require_features()
        subset = context.predicted(context.require_training().subset(self.training_examples, context.seed))
        return predict_examples(model, subset, context.batch_size).require_features(), subset.labels

    def _results(
        self,
        detectors: Mapping[str, Detector | Failure],
        id_outputs: ModelOutputs,
        datasets: Sequence[tuple[OodDataset, ModelOutputs]],
        context: Context,
    ) -> list[DetectorResult]:
        """Every detector on every data set, detector by detector."""
        bootstrap, results = shared_bootstrap(len(id_outputs.logits), self.resamples, context.seed), []
        for name, detector in detectors.items():
            if isinstance(detector, Failure):
                continue
            own, refits = detector.score, self._refits(name, detector, id_outputs, datasets, context)
            id_scores = own(id_outputs)
            for dataset, outputs in datasets:
                context.deadline.check()
                refitted = [(id_refitted, by_dataset[dataset.name]) for id_refitted, by_dataset in refits]
                results.append(evaluate_detector(name, dataset.name, dataset.kind, (id_scores, own(outputs)), refitted, bootstrap))
        return results

    def _refits(
        self, name: str, detector: Detector, id_outputs: ModelOutputs, datasets: Sequence[tuple[OodDataset, ModelOutputs]], context: Context
    ) -> list[tuple[Floats, dict[str, Floats]]]:
        """Scores of the in-distribution images and of each data set by every refit; none for a detector that is not fitted."""
        if detector.refit is None:
            return []
        scored = []
        for rng in generators("refitted", [f"{name} {i}" for i in range(self.refits)], context.seed):
            context.deadline.check()
            try:
                refit: DetectorScore = detector.refit(rng)
            except Unsupported:  # a resample of a few images may be all the same one
                continue
            scored.append((refit(id_outputs), {dataset.name: refit(outputs) for dataset, outputs in datasets}))
        return scored

    def _refused(self, setting: str, hint: str) -> SettingsError:
        return SettingsError("bad-setting", f"the setting {setting} of {self.name} is {getattr(self, setting)}", hint)


def _failure(error: Efficient360Error, conditions: Conditions, further_hint: str = "") -> Failure:
    status = Status.UNSUPPORTED if isinstance(error, Unsupported) else Status.FAILED
    return Failure(status, error.code, error.message, error.hint + further_hint, AUROC, conditions)
