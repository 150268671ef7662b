"""Who is compared: training examples on one side, as many others on the other, class by class."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.errors import Unsupported
from efficient360.evaluator import Examples

Labels = NDArray[np.integer[Any]]
Places = NDArray[np.int64]
FEWEST = 10
"""With fewer on a side not even a coin could be told from a perfect attack."""


@final
@dataclass(frozen=True)
class Sides:
    """Members and others, as many of each class on one side as on the other.

    Args:
        members: Examples of the training split.
        others: Examples that the checkpoint was not trained on.
    """

    members: Examples
    others: Examples

    def __len__(self) -> int:
        """How many are on each side."""
        return len(self.members)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Labels of both, members first, int64 ``(2n,)``."""
        return np.concatenate([self.members.labels, self.others.labels])

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of both, members first."""
        return (*self.members.ids, *self.others.ids)

    def at(self, members: Places, others: Places) -> "Sides":
        """The examples at these places of either side."""
        return Sides(_at(self.members, members), _at(self.others, others))

    def part(self, n: int, seed: int) -> "Sides":
        """At most ``n`` a side, the class mixes still equal; the part of a smaller ``n`` belongs to that of a larger."""
        return self.at(*matched(self.members.labels, self.others.labels, n, seed))


def sides(training: Examples, evaluated: Examples, limit: int | None, seed: int) -> Sides:
    """Members from the training split and others from the evaluated one.

    Args:
        training: What the checkpoint was trained on.
        evaluated: What it was not trained on.
        limit: The most on a side, ``None`` for as many as there are.
        seed: Of the choice.

    Raises:
        Unsupported: Fewer than 10 a side.
    """
    most = min(len(training), len(evaluated)) if limit is None else limit
    found = Sides(training, evaluated).part(most, seed)
    if len(found) < FEWEST:
        raise Unsupported(
            "too-few-members",
            f"only {len(found)} training images can be set against others of the same classes; at least {FEWEST} are needed",
            "evaluate more examples of classes that the training split has",
        )
    return found


def matched(first: Labels, second: Labels, n: int, seed: int) -> tuple[Places, Places]:
    """Places of at most ``n`` examples of either side such that both have the same classes equally often, each ascending.

    A difference in how often a class occurs would tell the sides apart without any help of the model.

    Args:
        first: Labels ``(a,)``.
        second: Labels ``(b,)``.
        n: The most a side.
        seed: Same seed, same choice; smaller ``n`` are nested in larger ones.
    """
    rng = np.random.default_rng(seed)
    ours, theirs, place = [], [], []
    for label in np.union1d(first, second):
        mine, yours = np.flatnonzero(first == label), np.flatnonzero(second == label)
        both = min(len(mine), len(yours))
        ours.append(rng.permutation(mine)[:both])
        theirs.append(rng.permutation(yours)[:both])
        # Evenly spread places in [0, 1): taking the smallest takes each class's share.
        place.append((np.arange(both) + rng.random()) / max(both, 1))
    chosen = np.argsort(np.concatenate(place), kind="stable")[:n]
    return np.sort(np.concatenate(ours)[chosen]).astype(np.int64), np.sort(np.concatenate(theirs)[chosen]).astype(np.int64)


def _at(examples: Examples, places: Places) -> Examples:
    if len(places) == len(examples):
        return examples
    ids = examples.ids
    return examples.select([ids[i] for i in places])


def spare(training: Examples, members: Examples, n: int, seed: int) -> Examples | None:
    """At most ``n`` training examples beside the members, seeded; ``None`` where there are none."""
    taken = set(members.ids)
    left = [name for name in training.ids if name not in taken]
    chosen = np.sort(np.random.default_rng([seed, 3]).permutation(len(left))[:n])
    return training.select([left[i] for i in chosen]) if len(chosen) else None
