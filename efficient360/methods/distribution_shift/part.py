"""Which examples of a shifted set are run, and whether they are versions of clean ones."""

from dataclasses import dataclass
from typing import final

from efficient360.evaluator import Examples, ShiftedSet


@final
@dataclass(frozen=True)
class Part:
    """The examples of a shifted set that are run.

    Args:
        shift: Which set.
        examples: Those of it.
        paired: Whether each is a version of the clean example of its id.
    """

    shift: ShiftedSet
    examples: Examples
    paired: bool


def part_of(shift: ShiftedSet, clean: Examples, limit: int, seed: int) -> Part:
    """A stratified, seeded part of a shifted set; of versions of clean examples, only of those that are evaluated.

    Args:
        shift: The set, which this opens.
        clean: The evaluated examples.
        limit: The most examples.
        seed: Of the choice.

    Raises:
        DatasetError: It can't be had.
    """
    opened = shift.open()
    shared = shared_ids(clean, opened)
    kept = opened.select(shared) if shared else opened
    return Part(shift, kept.subset(limit, seed), bool(shared))


def shared_ids(clean: Examples, shifted: Examples) -> list[str]:
    """Ids of the examples that stand on both sides, in the order of the shifted ones; none unless the two plainly are versions of one another.

    They are where at least half of the smaller side's ids are found on the other and every one of these has the same label on both: a running number that
    both happen to use as an id doesn't do that.
    """
    labels = dict(zip(clean.ids, clean.labels.tolist(), strict=True))
    shared = [(name, label) for name, label in zip(shifted.ids, shifted.labels.tolist(), strict=True) if name in labels]
    if 2 * len(shared) < min(len(clean), len(shifted)) or any(labels[name] != label for name, label in shared):
        return []
    return [name for name, _ in shared]
