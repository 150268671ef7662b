"""Natural distribution shift: how often it is right on other pictures of the same classes, and how much that is less than on the clean test set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

from efficient360.core.figures import Figure
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
from efficient360.methods.distribution_shift import pictures
from efficient360.methods.distribution_shift.comparison import Comparison, clean_rights, compare
from efficient360.methods.distribution_shift.part import Part, part_of

SHIFT_ACCURACY = Metric(
    "shift_accuracy",
    ONE,
    Better.HIGHER,
    "Share of the images of a shifted test set whose most likely class, of those the set covers, is the right one.",
    "Taori et al. 2020, section 2; among fewer classes as Hendrycks et al. 2021 (ImageNet-A, ImageNet-R)",
    low=0,
    high=1,
)
SHIFT_BASELINE = Metric(
    "shift_baseline", ONE, Better.HIGHER, "The same share of the clean images of the same classes.", "Hendrycks et al. 2021 (ImageNet-R)", low=0, high=1
)
SHIFT_GAP = Metric(
    "shift_gap",
    ONE,
    Better.LOWER,
    "Accuracy on clean images less accuracy on shifted ones, the same classes to choose from on both: what the shift costs.",
    "Recht et al. 2019; Hendrycks et al. 2021 (ImageNet-R)",
    low=-1,
    high=1,
)
CORRECT = Metric("correct", ONE, Better.HIGHER, "Whether the predicted class of the clean image is the true one.", low=0, high=1)
CONFIDENCE = Metric("confidence", ONE, Better.NEITHER, "Probability given to the predicted class.", low=0, high=1)


@final
@dataclass(frozen=True)
class NaturalShift(ExampleEvaluator):
    """Accuracy on the shifted versions of the test set that its card names, and the gap to clean images of the same classes.

    A shifted set whose examples share their ids and labels with clean ones is compared with these pair by pair, any other as an independent sample.

    Args:
        shifts: Names of the shifted sets; none given takes all that the card names.
        examples: The most images of each shifted set, a stratified, seeded part of it; ``None`` takes as many as there are clean ones.
        mistakes: How many of the most confident mistakes to show for each set; 0 keeps the images out of the report.
    """

    name: ClassVar[str] = "natural_shift"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (SHIFT_ACCURACY, SHIFT_BASELINE, SHIFT_GAP)
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.SHIFTS})
    shifts: tuple[str, ...] = ()
    examples: int | None = None
    mistakes: int = 6

    def __post_init__(self) -> None:
        if self.examples is not None and self.examples < 1:
            raise SettingsError("bad-setting", f"the setting examples of natural_shift is {self.examples}", "give at least 1, or leave it out")
        if self.mistakes < 0:
            raise SettingsError("bad-setting", f"the setting mistakes of natural_shift is {self.mistakes}", "give 0 or more; 6 is usual")

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Whether the clean image is answered rightly."""
        yield Scores(CORRECT, model.logits(batch).cpu().argmax(1) == batch.labels.cpu())

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """The accuracy on each shifted set, its baseline and the gap; a set that can't be had is a failure of its own."""
        if context.examples is None:
            raise Unsupported("no-examples", "natural_shift was given no examples", "name a data set with --dataset")
        chosen = self._chosen(context.shifts)
        if not chosen:
            hint = "name some under shifts: in a data set card of your own"
            yield Failure(Status.UNSUPPORTED, "no-shifts", "the data set's card names no shifted versions of its test set", hint)
            return
        found, errors = self._compared(chosen, model, context.examples, context)
        figures: tuple[Figure, ...] = (pictures.bars(list(found.values())), pictures.table(list(found.values()))) if found else ()
        for shift in chosen:
            if shift.name in errors:
                yield _failure(shift, errors[shift.name])
                continue
            yield from self._measured(found[shift.name], figures)
            figures = ()  # they are of all sets: the first one carries them

    def _chosen(self, known: Sequence[ShiftedSet]) -> list[ShiftedSet]:
        by_name = {shift.name: shift for shift in known}
        for name in self.shifts:
            if name not in by_name:
                raise SettingsError("unknown-shift", f"the data set has no shifted version called {name!r}", f"it has: {', '.join(by_name) or 'none'}")
        return [by_name[name] for name in dict.fromkeys(self.shifts)] if self.shifts else list(known)

    def _compared(
        self, chosen: Sequence[ShiftedSet], model: Model, clean: Examples, context: Context
    ) -> tuple[dict[str, Comparison], dict[str, Efficient360Error]]:
        """Comparisons and errors by name of the set. All are opened before the first is run, so that progress is told of the whole."""
        parts: list[Part] = []
        found: dict[str, Comparison] = {}
        errors: dict[str, Efficient360Error] = {}
        for shift in chosen:
            context.deadline.check()
            try:
                parts.append(part_of(shift, clean, self.examples or len(clean), context.seed))
            except Efficient360Error as error:
                errors[shift.name] = error
        rights = clean_rights({part.shift.classes for part in parts}, model, clean, context)
        total, done = sum(len(part.examples) for part in parts), 0
        for part in parts:
            try:
                found[part.shift.name] = compare(part, rights[part.shift.classes], model, clean, context, partial(_tell, context, done, total))
            except OutOfTime:
                raise
            except Efficient360Error as error:
                errors[part.shift.name] = error
            done += len(part.examples)
        return found, errors

    def _measured(self, one: Comparison, figures: tuple[Figure, ...]) -> Iterator[Outcome]:
        conditions: Conditions = {"shift": one.part.shift.name}
        right, clean = one.right, one.baseline
        gallery = tuple(pictures.mistakes(one, self.mistakes, CONFIDENCE))
        yield Measurement(SHIFT_ACCURACY, float(right.mean()), len(right), wilson(int(right.sum()), len(right)), conditions, extra=(*figures, *gallery))
        if not len(clean):
            message = f"none of the evaluated clean images is of a class that {one.part.shift.title} covers"
            for metric in (SHIFT_BASELINE, SHIFT_GAP):
                yield Failure(Status.UNSUPPORTED, "no-clean-examples", message, "evaluate more images (--max-examples)", metric, conditions)
            return
        yield Measurement(SHIFT_BASELINE, float(clean.mean()), len(clean), wilson(int(clean.sum()), len(clean)), conditions)
        gap, interval = one.gap()
        yield Measurement(SHIFT_GAP, gap, len(right), interval, conditions)


def _tell(context: Context, before: int, total: int, n: int) -> None:
    context.progress(before + n, total)


def _failure(shift: ShiftedSet, error: Efficient360Error) -> Failure:
    status = Status.UNSUPPORTED if isinstance(error, Unsupported) else Status.FAILED
    return Failure(status, error.code, error.message, error.hint, conditions={"shift": shift.name})
