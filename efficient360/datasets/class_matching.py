"""Classes of a data set and of a checkpoint: which outputs answer which labels, and which classes a checkpoint was never trained on."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from efficient360.datasets.card import Card
from efficient360.datasets.examples import ExampleSet
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Checkpoint

IMAGENET_CLASSES = 1000


def kept_outputs(checkpoint: Checkpoint, card: Card, class_names: Sequence[str]) -> tuple[int, ...] | None:
    """Indices of the checkpoint's outputs in the order of the data set's labels; ``None`` when they already agree.

    Class names are trusted over positions: where both sides name their classes and the data set's are among the checkpoint's, they are matched by
    name. A data set of ImageNet classes is matched to a 1000-class checkpoint by its card.

    Raises:
        DatasetError: The numbers of classes differ and nothing tells how to match them.
    """
    outputs = list(checkpoint.class_names)
    if outputs and len(set(outputs)) == len(outputs) and set(class_names) <= set(outputs):
        keep = tuple(outputs.index(name) for name in class_names)
        return None if keep == tuple(range(checkpoint.num_classes)) else keep
    if checkpoint.num_classes == len(class_names):
        return None
    if card.imagenet_classes and checkpoint.num_classes == IMAGENET_CLASSES:
        return card.imagenet_classes
    raise DatasetError(
        "class-count-mismatch",
        f"the checkpoint answers with {checkpoint.num_classes} classes, {card.name} has {len(class_names)}",
        "evaluate it on the data set it was trained for, or give its class_names in the sidecar so that they can be matched by name",
    )


def unseen_classes(examples: ExampleSet, checkpoint: Checkpoint) -> tuple[int, ...]:
    """The data set's classes that a checkpoint was never trained on, ascending.

    Empty unless every class of the checkpoint is, by name, one of the data set's: a checkpoint of other classes altogether is no case of this.
    """
    known, names = set(checkpoint.class_names), list(examples.class_names)
    comparable = len(known) == checkpoint.num_classes and len(set(names)) == len(names)
    if not comparable or not known < set(names):
        return ()
    return tuple(i for i, name in enumerate(names) if name not in known)


def of_classes(examples: ExampleSet, classes: tuple[int, ...]) -> ExampleSet:
    """The examples of some classes, which are renumbered from 0 in their order.

    Args:
        examples: All examples.
        classes: Classes to keep, ascending.
    """
    place = {old: new for new, old in enumerate(classes)}
    kept = np.flatnonzero(np.isin(examples.labels, classes)).tolist()
    part = examples.select([examples.ids[i] for i in kept])
    labels = np.array([place[int(label)] for label in part.labels], dtype=np.int64)
    return dataclasses.replace(part, labels=labels, class_names=[examples.class_names[i] for i in classes])


def known_part(examples: ExampleSet, checkpoint: Checkpoint) -> ExampleSet:
    """The examples of the classes that a checkpoint knows."""
    unseen = unseen_classes(examples, checkpoint)
    return of_classes(examples, tuple(i for i in range(len(examples.class_names)) if i not in unseen)) if unseen else examples


def unseen_part(examples: ExampleSet, checkpoint: Checkpoint) -> ExampleSet:
    """The examples of the classes that it was never trained on."""
    return of_classes(examples, unseen_classes(examples, checkpoint))
