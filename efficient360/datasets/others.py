"""Data sets beside the evaluated one: those that a setting names, and the classes of the evaluated one that the checkpoint does not know."""

import dataclasses
from functools import partial
from pathlib import Path

from efficient360.datasets.card import Card
from efficient360.datasets.class_matching import unseen_part
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.identity import stamp
from efficient360.datasets.layouts.catalogue import LAYOUTS
from efficient360.datasets.loader import Dataset, open_whole
from efficient360.datasets.references import card_of
from efficient360.datasets.spec import DatasetSpec
from efficient360.evaluator import UNSEEN, OtherSet
from efficient360.models.checkpoint import Checkpoint


def other_set(reference: str, checkpoint: Checkpoint, seed: int) -> OtherSet:
    """The data set that a setting names; it is opened when somebody wants it.

    Args:
        reference: Name of a card, path to one, ``KIND:PATH``, a plain path; or any of them and ``=DIR`` with a local copy.
        checkpoint: What will see it: tells how it wants its pixels.
        seed: Of all randomness per example.

    Raises:
        DatasetError: Unknown name, or a card that doesn't validate.
    """
    name, _, folder = reference.partition("=")
    card = card_of(DatasetSpec(name))
    data_dir = Path(folder) if folder else None
    files = local_files(card, data_dir)
    # Labels of another data set are its own: nameless ones must not borrow the checkpoint's names.
    nameless = dataclasses.replace(checkpoint, class_names=())
    split = partial(open_whole, card, data_dir=data_dir, checkpoint=nameless, seed=seed)
    return OtherSet(name, card.title, stamp(dataclasses.asdict(card), files), partial(split, card.evaluate), partial(split, "train"))


def local_files(card: Card, data_dir: Path | None) -> list[Path]:
    """The files on this machine that a data set is read from; empty for one from the hub."""
    if data_dir is not None:
        return [data_dir] if data_dir.is_file() else [file for file in data_dir.rglob("*") if file.is_file()]
    return LAYOUTS[card.source.kind].files(card.source.location) if card.source.kind in LAYOUTS else []


def unseen_set(dataset: Dataset, data_dir: Path | None, checkpoint: Checkpoint, seed: int) -> OtherSet:
    """The classes of the evaluated data set that the checkpoint was never trained on, as a data set of their own."""
    split = partial(_unseen, dataset.card, data_dir, checkpoint, seed)
    title = f"{dataset.card.title}, the {len(dataset.unseen)} classes it was not trained on"
    return OtherSet(UNSEEN, title, stamp([dataset.examples.digest, list(dataset.unseen)], ()), partial(split, dataset.split), partial(split, "train"))


def _unseen(card: Card, data_dir: Path | None, checkpoint: Checkpoint, seed: int, split: str) -> ExampleSet:
    return unseen_part(open_whole(card, split, data_dir, checkpoint, seed), checkpoint)
