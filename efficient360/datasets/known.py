"""Which of a data set's classes a checkpoint knows. Names tell; where they don't, it is taken to know them all."""

import dataclasses

import numpy as np

from efficient360.datasets.examples import ExampleSet
from efficient360.models.checkpoint import Checkpoint


def unseen_classes(examples: ExampleSet, checkpoint: Checkpoint) -> tuple[int, ...]:
    """The data set's classes that a checkpoint was never trained on, ascending.

    Empty unless every class of the checkpoint is, by name, one of the data set's: a checkpoint of other classes altogether is no case of this.
    """
    theirs, names = set(checkpoint.class_names), list(examples.class_names)
    comparable = len(theirs) == checkpoint.num_classes and len(set(names)) == len(names)
    if not comparable or not theirs < set(names):
        return ()
    return tuple(i for i, name in enumerate(names) if name not in theirs)


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
