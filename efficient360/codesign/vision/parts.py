"""Which images do what: calibrate and train, select, and judge in the end. No image does two of these, but for those of the training split."""

from dataclasses import dataclass
from typing import Any, Final, final

from efficient360.core import canonical
from efficient360.core.formatting import count
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.loader import Dataset
from efficient360.errors import DatasetError
from efficient360.execution.training_split import TrainingSplit

CALIBRATION: Final = 128
QUICK: Final = 256
SELECTION: Final = 2000
FINAL: Final = 5000
FEWEST: Final = 60
"""Images of the evaluated split without which neither part could tell anything."""


@final
@dataclass(frozen=True)
class Parts:
    """The images of a search.

    Args:
        calibration: Calibrate quantizers and rank what is cut.
        training: Train variants; ``None`` where there is no training split.
        selection: Judge candidates during the search; those that judge first stand first.
        quick: How many of ``selection`` judge first.
        final: Judge what is handed over; nobody has used them before.
        calibrated_with: Where ``calibration`` is from.
        no_training: Why there is no training split, ``""`` where there is one.
    """

    calibration: ExampleSet
    training: ExampleSet | None
    selection: ExampleSet
    quick: int
    final: ExampleSet
    calibrated_with: str
    no_training: str = ""

    def identity(self) -> str:
        """Digest of which images are in which part, and of their content as far as it is sampled."""
        return canonical.digest([part.fingerprint for part in (self.calibration, self.selection, self.final)], "the images")

    def describe(self) -> dict[str, Any]:
        """Sizes, plain JSON."""
        return {
            "calibration": len(self.calibration),
            "calibrated_with": self.calibrated_with,
            "training": 0 if self.training is None else len(self.training),
            "selection": len(self.selection),
            "quick": self.quick,
            "final": len(self.final),
        }

    def sentence(self) -> str:
        """The same in words."""
        return (
            f"{count(len(self.selection))} images select, {count(len(self.final))} others judge the end, "
            f"{count(len(self.calibration))} of {self.calibrated_with} calibrate"
        )


def divide(dataset: Dataset, training: TrainingSplit, seed: int) -> Parts:
    """Divide the images of a data set, stratified by class and seeded.

    A third of the evaluated split selects, at most :data:`SELECTION` images; the others judge the end, at most :data:`FINAL`. Calibration takes the training
    split; where there is none, images of the evaluated split that are in no other part.

    Raises:
        DatasetError: Too few images (``too-few-images``).
    """
    rest = dataset.examples
    if len(rest) < FEWEST:
        message = f"{len(rest)} images can't be divided into those that select a variant and those that judge it"
        raise DatasetError("too-few-images", message, f"give at least {FEWEST}, better some thousands")
    if training.examples is not None:
        calibration, told = training.examples.subset(CALIBRATION, seed), "the training split"
    elif dataset.spare is not None and len(dataset.spare) >= CALIBRATION:
        calibration, told = dataset.spare.subset(CALIBRATION, seed), "the evaluated split's other images"
    else:
        calibration, told = rest.subset(max(16, min(CALIBRATION, len(rest) // 8)), seed), "the evaluated split, held back"
        rest = without(rest, calibration)
    selection = rest.subset(max(1, min(SELECTION, len(rest) // 3)), seed)
    final = without(rest, selection).subset(FINAL, seed)
    first = selection.subset(QUICK, seed)
    ordered = selection.select([*first.ids, *without(selection, first).ids])
    return Parts(calibration, training.examples, ordered, len(first), final, told, training.missing)


def without(examples: ExampleSet, taken: ExampleSet) -> ExampleSet:
    """The examples that are not among others."""
    names = set(taken.ids)
    return examples.select([name for name in examples.ids if name not in names])
