"""Which of a checkpoint's outputs answer a data set's labels."""

from collections.abc import Sequence

from efficient360.datasets.card import Card
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
    theirs = list(checkpoint.class_names)
    if theirs and len(set(theirs)) == len(theirs) and set(class_names) <= set(theirs):
        keep = tuple(theirs.index(name) for name in class_names)
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
