"""Whether a model is less sure of images that it was not trained for: noise, photographs, other data sets, classes that it never saw."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.findings import Finding, findings_table
from efficient360.errors import DatasetError, Efficient360Error, SettingsError, Unsupported
from efficient360.evaluator import UNSEEN, Conditions, Context, Evaluator, Examples, Failure, Metric, Model, Need, OtherSet, Outcome, Status
from efficient360.methods.uncertainty.detectors import DETECTORS, ON_LOGITS, Outputs, Score, on_features
from efficient360.methods.uncertainty.far_images import GAUSSIAN, PHOTOGRAPHS, UNIFORM
from efficient360.methods.uncertainty.made_examples import MadeExamples
from efficient360.methods.uncertainty.nearness import Kind, sorted_by_openood
from efficient360.methods.uncertainty.passing import joined, outputs_of, parted, said
from efficient360.methods.uncertainty.unlike import UnlikeSet, made_sets, other, short
from efficient360.methods.uncertainty.unlike_metrics import AUPR, AUROC, FPR95
from efficient360.methods.uncertainty.unlike_pictures import scores_figure, sets_table
from efficient360.methods.uncertainty.unlike_scores import Scored, draws, scored
from efficient360.methods.uncertainty.unlike_summary import summaries, surer_outside
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

DIGITS: Final = "digits"
FIXED: Final = {"photographs and noise": (PHOTOGRAPHS, GAUSSIAN, UNIFORM), "noise": (GAUSSIAN, UNIFORM)}
"""Sets that mean the same for every model and data set."""


@final
@dataclass(frozen=True)
class OutOfDistribution(Evaluator):
    """How well a model's scores tell its own images from noise, photographs, digits, unseen classes and data sets of your choice.

    Args:
        detectors: Scores to try: ``msp``, ``energy``, ``max-logit``, ``mahalanobis``, ``knn``.
        datasets: Further data sets: a card's name, a card's path, ``imagefolder:DIR``, or any of them and ``=DIR`` to read a local copy.
        near: Those of ``datasets``, by name, that are near: other classes of the same kind of picture.
        far: Those that are far. What is neither is sorted as OpenOOD does where it knows both data sets.
        images: The most images of each set.
        training_examples: The most training images that Mahalanobis and KNN look at.
        neighbours: Which nearest training image's distance counts for KNN.
        resamples: Resamples behind the intervals, at least 2.
    """

    name: ClassVar[str] = "out_of_distribution"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (AUROC, AUPR, FPR95)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.FEATURES, Need.TRAINING_SPLIT})
    detectors: tuple[str, ...] = DETECTORS
    datasets: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    far: tuple[str, ...] = ()
    images: int = 1000
    training_examples: int = 5000
    neighbours: int = 10
    resamples: int = 300

    def __post_init__(self) -> None:
        unknown = next((name for name in self.detectors if name not in DETECTORS), None)
        if unknown is not None or not self.detectors:
            raise self._refused("detectors", f"choose from {', '.join(DETECTORS)}")
        for setting, least in (("images", 2), ("training_examples", 2), ("neighbours", 1), ("resamples", 2)):
            if getattr(self, setting) < least:
                raise self._refused(setting, f"give at least {least}")
        names = [short(reference) for reference in self.datasets]
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
        """Score the evaluated images and every set with every detector; means over sets first.

        Raises:
            Unsupported: No examples.
            OutOfTime: From ``context.deadline``; what is done is kept.
        """
        if context.examples is None:
            raise Unsupported("no-examples", "out_of_distribution was given no examples", "name a data set with --dataset")
        inside = outputs_of(model, context.predicted(context.examples), context.batch_size)
        found, tried = list(self._sets(model, context)), dict(self._detectors(model, inside, context))
        sets = [one for one in found if isinstance(one, UnlikeSet)]
        results = self._results(tried, inside, [(one, self._outputs(model, inside, one, context)) for one in sets], context)
        if results:
            told = [*(one for one in found if isinstance(one, Finding)), *(finding for one in sets for finding in one.findings)]
            headline = [one for one in results if one.detector == results[0].detector]
            figures = scores_figure(headline), sets_table(results), findings_table([*told, *surer_outside(headline)])
            yield from summaries(results, FIXED, figures)
            for result in results:
                yield from result.measurements()
        yield from (one for one in (*tried.values(), *found) if isinstance(one, Failure))

    def _sets(self, model: Model, context: Context) -> Iterator[UnlikeSet | Finding | Failure]:
        """Every set, what was left out, and what could not be had."""
        assert context.examples is not None  # evaluate has refused
        known = [*dict.fromkeys((*context.examples.class_names, *context.checkpoint.class_names))]
        yield from made_sets(known, model.input_size[1:], self.images, context.seed)
        for reference, other_set in context.others.items():
            try:
                yield other(other_set, self._kind(other_set, context.examples), known, self.images, context.seed)
            except (DatasetError, Unsupported) as error:
                if reference == DIGITS and DIGITS not in self.datasets:
                    yield Finding(error.code, error.message, "nothing: digits are only taken where they are out of distribution")
                else:
                    name = short(other_set.name)
                    yield _missing(error, {"set": name}, f"; in the setting datasets a local copy is {name}=DIR" if isinstance(error, DatasetError) else "")

    def _kind(self, of: OtherSet, examples: Examples) -> Kind:
        name = short(of.name)
        if name in self.near or name == UNSEEN:
            return Kind.NEAR
        if name in self.far or name == DIGITS:
            return Kind.FAR
        return sorted_by_openood(name, examples.class_names)

    def _outputs(self, model: Model, inside: Outputs, of: UnlikeSet, context: Context) -> Outputs:
        """What the model says of a set: from the shared pass, of made images from a pass of its own that is kept."""
        if not isinstance(of.examples, MadeExamples):
            return outputs_of(model, context.predicted(of.examples), context.batch_size)
        log = RowLog(context.scratch / f"{of.name.replace(' ', '-')}.f32", joined(inside).shape[1])
        rows = recorded(log, of.examples, context.batch_size, lambda batch: joined(said(model, batch)), context.deadline, context.progress)
        return parted(rows, model.num_classes)

    def _detectors(self, model: Model, inside: Outputs, context: Context) -> Iterator[tuple[str, Score | Failure]]:
        """Each detector by name, fitted where it wants to be, or why there is none."""
        training: tuple[Floats, NDArray[np.int64]] | Unsupported | None
        try:
            training = self._training(model, inside, context) if set(self.detectors) - set(ON_LOGITS) else None
        except Unsupported as error:
            training = error
        for name in self.detectors:
            context.deadline.check()
            if name in ON_LOGITS:
                yield name, ON_LOGITS[name]
                continue
            try:
                if isinstance(training, Unsupported):
                    raise training
                assert training is not None  # some detector wants it
                yield name, on_features(name, *training, self.neighbours)
            except Unsupported as error:
                yield name, _missing(error, {"detector": name})

    def _training(self, model: Model, inside: Outputs, context: Context) -> tuple[Floats, NDArray[np.int64]]:
        """Features and labels of training images."""
        if inside.features is None:
            raise Unsupported("no-features", "the model offers no features, and this detector looks at them", "evaluate the checkpoint itself, without --as")
        if context.training is None:
            raise Unsupported("no-training-split", "this detector compares with training images, and there are none", "give a data set with a training split")
        chosen = context.predicted(context.training.subset(self.training_examples, context.seed))
        features = outputs_of(model, chosen, context.batch_size).features
        assert features is not None  # the same model offered them of the evaluated images
        return features, chosen.labels

    def _results(self, tried: Mapping[str, Score | Failure], inside: Outputs, sets: Sequence[tuple[UnlikeSet, Outputs]], context: Context) -> list[Scored]:
        """Every detector on every set, detector by detector."""
        on, results = draws(len(inside.logits), self.resamples, context.seed), []
        for name, score in tried.items():
            if isinstance(score, Failure):
                continue
            own = score(inside)
            for one, outputs in sets:
                context.deadline.check()
                results.append(scored(name, one.name, one.kind, own, score(outputs), on))
        return results

    def _refused(self, setting: str, hint: str) -> SettingsError:
        return SettingsError("bad-setting", f"the setting {setting} of {self.name} is {getattr(self, setting)}", hint)


def _missing(error: Efficient360Error, conditions: Conditions, further: str = "") -> Failure:
    status = Status.UNSUPPORTED if isinstance(error, Unsupported) else Status.FAILED
    return Failure(status, error.code, error.message, error.hint + further, AUROC, conditions)
