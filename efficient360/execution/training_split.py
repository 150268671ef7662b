"""The split a checkpoint was trained on, never the evaluated images under another name; and the images that integer precisions are calibrated with."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.core.findings import Finding
from efficient360.datasets.class_matching import with_classes
from efficient360.datasets.data_findings import overlap
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.loader import Dataset
from efficient360.deployment.artefact import CalibrationImages
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.calibration_images import CALIBRATION
from efficient360.errors import DatasetError, RunError, TrainingDataError

FEWEST: Final = 16
"""Images that a precision is calibrated with at least where they must be held back from the evaluated split."""
SAME: Final = 0.5
"""A training split of which so large a share is among the evaluated images is none."""
NO_SPLIT: Final = "the data set has no training split beside the evaluated one"
HINT: Final = "give a data set with one: a folder train/ beside the evaluated one, or a card that names it"


@final
@dataclass(frozen=True)
class TrainingSplit:
    """The training split, or why there is none.

    Args:
        examples: The split, labelled as the evaluated one is.
        missing: Why there is none.
        hint: What to do about it.
        findings: Reasons to trust numbers that rest on it less.
    """

    examples: ExampleSet | None
    missing: str = ""
    hint: str = ""
    findings: tuple[Finding, ...] = ()


def training_split(dataset: Dataset | None, names: Sequence[str]) -> TrainingSplit:
    """Open the training split of a data set.

    Args:
        dataset: The data set; ``None`` where there is none.
        names: Class names of its evaluated split as the data have them.

    Raises:
        DatasetError: A program handed over a training split that is no good.
    """
    if dataset is None:
        return TrainingSplit(None, "no data set was given", "add --dataset")
    if dataset.training is None:
        return TrainingSplit(None, NO_SPLIT, HINT)
    try:
        whole = dataset.training()
        found, looked = overlap(whole, set(dataset.examples.hashes))
    except DatasetError as error:
        if dataset.card.source.kind == "memory":
            raise
        return TrainingSplit(None, f"the training split can't be had: {error.message}", error.hint)
    if looked and found >= SAME * looked:
        return TrainingSplit(None, f"the training split is the evaluated images: {found} of {looked} of its images are among them", HINT)
    examples = with_classes(whole, names, dataset.examples.class_names)
    if examples is None:
        return TrainingSplit(None, "the training split has none of the evaluated classes", HINT)
    examples = dataclasses.replace(examples, trouble=TrainingDataError)
    return TrainingSplit(examples, findings=(_leak(found, looked),) if found else ())


def calibration_images(dataset: Dataset, training: Callable[[], TrainingSplit], target: str, seed: int) -> tuple[Dataset, CalibrationImages | None]:
    """Images to calibrate a precision with, and the data set without those that were held back from it for that.

    The training split where there is one; else images of the evaluated split that are not evaluated: those beyond the subset asked for, or a
    stratified part that is taken out of it.

    Args:
        dataset: The data set.
        training: Opens its training split.
        target: ``runtime[:precision]``.
        seed: Of the choice.

    Raises:
        RunError: Too few images to hold some back.
    """
    if not (precision := catalogue.target(target)[1]).calibrated:
        return dataset, None
    if (split := training().examples) is not None:
        return dataset, CalibrationImages(split, "the training split")
    if dataset.spare is not None and len(dataset.spare) >= CALIBRATION:
        return dataset, CalibrationImages(dataset.spare, "the evaluated split's images that are not evaluated")
    examples = dataset.examples
    size = min(CALIBRATION, len(examples) // 4)
    if size < FEWEST:
        message = f"{precision} wants images to calibrate with; there is no training split, and {len(examples)} evaluated images are too few to hold some back"
        raise RunError("no-calibration", message, HINT)
    held = examples.subset(size, seed)
    taken = set(held.ids)
    rest = examples.select([name for name in examples.ids if name not in taken])
    told = f"{size} images of the evaluated split calibrate {precision}, as there is no training split, and are not evaluated"
    finding = Finding("calibration-held-back", told, HINT)
    return dataclasses.replace(dataset, examples=rest, findings=(*dataset.findings, finding)), CalibrationImages(held, "the evaluated split, held back from it")


def _leak(found: int, looked: int) -> Finding:
    told = f"{found} of {looked} training images looked at are among the evaluated ones"
    return Finding("training-images-evaluated", told, "remove them from one of the two splits: what compares the two is biased")
