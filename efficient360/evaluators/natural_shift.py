"""Natural distribution shift: accuracy on shifted versions of the test set, and the gap to the clean one."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

from efficient360.core.close_names import did_you_mean
from efficient360.core.figures import Figure
from efficient360.core.settings import AtLeast1, Count
from efficient360.core.statistics import wilson
from efficient360.errors import Efficient360Error, OutOfTime, SettingsError
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
    ShiftedSet,
    Status,
    Unsupported,
)
from efficient360.methods.distribution_shift import shift_figures
from efficient360.methods.distribution_shift.shift_comparison import ShiftComparison, ShiftSample, clean_correctness, compare_with_clean, draw_sample

SHIFT_ACCURACY = Metric(
    "shift_accuracy",
    ONE,
    Better.HIGHER,
    "Top-1 accuracy on a shifted test set, among the classes that it covers.",
    "Taori et al. 2020, section 2; among fewer classes as Hendrycks et al. 2021 (ImageNet-A, ImageNet-R)",
    low=0,
    high=1,
)
SHIFT_BASELINE = Metric(
    "shift_baseline",
    ONE,
    Better.HIGHER,
    "Top-1 accuracy on the clean images of the same classes, among these classes.",
    "Hendrycks et al. 2021 (ImageNet-R)",
    low=0,
    high=1,
)
SHIFT_GAP = Metric(
    "shift_gap",
    ONE,
    Better.LOWER,
    "Accuracy on clean images less accuracy on shifted ones, both among the same classes.",
    "Recht et al. 2019; Hendrycks et al. 2021 (ImageNet-R)",
    low=-1,
    high=1,
)
CORRECT = Metric("correct", ONE, Better.HIGHER, "Whether the predicted class of the clean image is correct.", low=0, high=1)
CONFIDENCE = Metric("confidence", ONE, Better.NEITHER, "Probability of the predicted class.", low=0, high=1)


@final
@dataclass(frozen=True)
class NaturalShift(ExampleEvaluator):
    """Accuracy on the shifted versions of the test set that its card names, and the gap to clean images of the same classes.

    A shifted set whose examples share their ids and labels with clean ones is compared with these pair by pair, any other as an independent sample.

    Args:
        shifts: Names of the shifted sets; empty for all that the card names.
        examples: Size of the stratified, seeded subset of each shifted set; ``None`` for as many as there are clean examples.
        mistakes: How many of the most confident errors to show for each set; 0 keeps the images out of the report.
    """

    name: ClassVar[str] = "natural_shift"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (SHIFT_ACCURACY, SHIFT_BASELINE, SHIFT_GAP)
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.SHIFTS})
    drawing_settings: ClassVar[frozenset[str]] = frozenset({"mistakes"})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"shifts": ()}
    shifts: tuple[str, ...] = ()
    examples: AtLeast1 | None = None
    mistakes: Count = 6

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Whether the clean image is classified correctly."""
        yield Scores(CORRECT, model.logits(batch).cpu().argmax(1) == batch.labels.cpu())

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """The accuracy on each shifted set, its baseline and the gap; a set that is not available is a failure of its own."""
        selected = self._selected(context.shifts)
        if not selected:
            hint = "name some under shifts: in a data set card of your own"
            yield Failure(Status.UNSUPPORTED, "no-shifts", "the data set's card names no shifted versions of its test set", hint)
            return
        comparisons, errors = self._compare(selected, model, context)
        figures: tuple[Figure, ...] = ()
        if comparisons:
            figures = (shift_figures.accuracy_bars(list(comparisons.values())), shift_figures.comparison_table(list(comparisons.values())))
        for shift in selected:
            if shift.name in errors:
                yield _failure(shift, errors[shift.name])
                continue
            yield from self._measurements(comparisons[shift.name], figures)
            figures = ()  # they show all sets, so only the first set carries them

    def _selected(self, known: Sequence[ShiftedSet]) -> list[ShiftedSet]:
        by_name = {shift.name: shift for shift in known}
        for name in self.shifts:
            if name not in by_name:
                raise SettingsError(
                    "unknown-shift",
                    f"the data set has no shifted version called {name!r}",
                    did_you_mean(name, by_name, "all of the data set's: leave out natural_shift.shifts"),
                )
        return [by_name[name] for name in dict.fromkeys(self.shifts)] if self.shifts else list(known)

    def _compare(
        self, selected: Sequence[ShiftedSet], model: Model, context: Context[Examples]
    ) -> tuple[dict[str, ShiftComparison], dict[str, Efficient360Error]]:
        """Comparisons and errors by name of the set. All sets are opened before the first is run, so that progress covers them all."""
        clean = context.examples
        samples: list[ShiftSample] = []
        comparisons: dict[str, ShiftComparison] = {}
        errors: dict[str, Efficient360Error] = {}
        for shift in selected:
            context.deadline.check()
            try:
                samples.append(draw_sample(shift, clean, self.examples or len(clean), context.seed))
            except Efficient360Error as error:
                errors[shift.name] = error
        clean_correct = clean_correctness({sample.shift.classes for sample in samples}, model, clean, context)
        total, done = sum(len(sample.examples) for sample in samples), 0
        for sample in samples:
            shift, on_progress = sample.shift, partial(_report_progress, context, done, total)
            try:
                comparisons[shift.name] = compare_with_clean(sample, clean_correct[shift.classes], model, clean, context, on_progress)
            except OutOfTime:
                raise
            except Efficient360Error as error:
                errors[shift.name] = error
            done += len(sample.examples)
        return comparisons, errors

    def _measurements(self, comparison: ShiftComparison, figures: tuple[Figure, ...]) -> Iterator[Outcome]:
        shift = comparison.sample.shift
        conditions: Conditions = {"shift": shift.name}
        shifted, clean = comparison.shifted_correct, comparison.clean_correct
        errors = tuple(shift_figures.most_confident_errors(comparison, self.mistakes, CONFIDENCE))
        interval = wilson(int(shifted.sum()), len(shifted))
        yield Measurement(SHIFT_ACCURACY, float(shifted.mean()), len(shifted), interval, conditions, extra=(*figures, *errors))
        if not len(clean):
            message = f"none of the evaluated clean images is of a class that {shift.title} covers"
            for metric in (SHIFT_BASELINE, SHIFT_GAP):
                yield Failure(Status.UNSUPPORTED, "no-clean-examples", message, "evaluate more images (--max-examples)", metric, conditions)
            return
        yield Measurement(SHIFT_BASELINE, float(clean.mean()), len(clean), wilson(int(clean.sum()), len(clean)), conditions)
        gap, interval = comparison.gap()
        yield Measurement(SHIFT_GAP, gap, len(shifted), interval, conditions)


def _report_progress(context: Context, before: int, total: int, n: int) -> None:
    context.progress(before + n, total)


def _failure(shift: ShiftedSet, error: Efficient360Error) -> Failure:
    status = Status.UNSUPPORTED if isinstance(error, Unsupported) else Status.FAILED
    return Failure(status, error.code, error.message, error.hint, conditions={"shift": shift.name})
