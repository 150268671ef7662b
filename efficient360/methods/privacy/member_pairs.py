"""Members and non-members for membership inference: balanced in number and in classes, without images that occur in both splits."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.errors import Unsupported
from efficient360.evaluator import Examples

Labels = NDArray[np.integer[Any]]
Indices = NDArray[np.int64]
MIN_MEMBERS = 10
"""With fewer members even a perfect attack could not be distinguished from guessing."""


@final
@dataclass(frozen=True)
class MemberPairs:
    """As many members as non-members, with equal class counts.

    Args:
        members: Examples of the training split.
        nonmembers: Examples that the checkpoint was not trained on.
    """

    members: Examples
    nonmembers: Examples

    def __len__(self) -> int:
        """Number of members, equal to the number of non-members."""
        return len(self.members)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Labels of both, members first, int64 ``(2n,)``."""
        return np.concatenate([self.members.labels, self.nonmembers.labels])

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of both, members first."""
        return (*self.members.ids, *self.nonmembers.ids)

    def take(self, members: Indices, nonmembers: Indices) -> "MemberPairs":
        """The members and non-members at these indices."""
        return MemberPairs(_take(self.members, members), _take(self.nonmembers, nonmembers))

    def subset(self, n: int, seed: int) -> "MemberPairs":
        """At most ``n`` members and as many non-members, still class-balanced; the subset for a smaller ``n`` is part of that for a larger."""
        return self.take(*class_balanced(self.members.labels, self.nonmembers.labels, n, seed))


def pair_members(training: Examples, evaluated: Examples, limit: int | None, seed: int) -> MemberPairs:
    """Members from the training split and non-members from the evaluated one.

    Args:
        training: What the checkpoint was trained on.
        evaluated: What it was not trained on.
        limit: The most members, ``None`` for as many as possible.
        seed: Of the selection.

    Raises:
        Unsupported: Fewer than 10 members.
    """
    largest = min(len(training), len(evaluated)) if limit is None else limit
    pairs = MemberPairs(training, evaluated).subset(largest, seed)
    if len(pairs) < MIN_MEMBERS:
        raise Unsupported(
            "too-few-members",
            f"only {len(pairs)} training images can be paired with non-members of the same classes; at least {MIN_MEMBERS} are needed",
            "evaluate more examples of classes that the training split has",
        )
    return pairs


def class_balanced(first: Labels, second: Labels, n: int, seed: int) -> tuple[Indices, Indices]:
    """Indices of at most ``n`` examples of either split such that both have the same class counts, each ascending.

    A difference in class frequencies would separate the splits without any help of the model.

    Args:
        first: Labels ``(a,)``.
        second: Labels ``(b,)``.
        n: The most examples per split.
        seed: Same seed, same selection; that for a smaller ``n`` is nested in that for a larger.
    """
    rng = np.random.default_rng(seed)
    first_indices, second_indices, rank = [], [], []
    for label in np.union1d(first, second):
        in_first, in_second = np.flatnonzero(first == label), np.flatnonzero(second == label)
        both = min(len(in_first), len(in_second))
        first_indices.append(rng.permutation(in_first)[:both])
        second_indices.append(rng.permutation(in_second)[:both])
        # Evenly spread ranks in [0, 1): taking the smallest takes each class's share.
        rank.append((np.arange(both) + rng.random()) / max(both, 1))
    chosen = np.argsort(np.concatenate(rank), kind="stable")[:n]
    return np.sort(np.concatenate(first_indices)[chosen]).astype(np.int64), np.sort(np.concatenate(second_indices)[chosen]).astype(np.int64)


def drop_duplicates(members: NDArray[Any], nonmembers: NDArray[Any]) -> tuple[Indices, Indices]:
    """Indices of images present in one split only, as many of either split.

    An image in both splits is member and non-member at once; each such pair is left out.

    Args:
        members: Fingerprints ``(n,)``.
        nonmembers: Fingerprints ``(n,)``.
    """
    unique_members, unique_nonmembers = np.flatnonzero(~np.isin(members, nonmembers)), np.flatnonzero(~np.isin(nonmembers, members))
    n = min(len(unique_members), len(unique_nonmembers))
    return unique_members[:n].astype(np.int64), unique_nonmembers[:n].astype(np.int64)


def other_training_examples(training: Examples, members: Examples, n: int, seed: int) -> Examples | None:
    """At most ``n`` training examples that are not among the members, seeded; ``None`` where there are none."""
    taken = set(members.ids)
    rest = [name for name in training.ids if name not in taken]
    chosen = np.sort(np.random.default_rng([seed, 3]).permutation(len(rest))[:n])
    return training.select([rest[i] for i in chosen]) if len(chosen) else None


def _take(examples: Examples, indices: Indices) -> Examples:
    if len(indices) == len(examples):
        return examples
    ids = examples.ids
    return examples.select([ids[i] for i in indices])
