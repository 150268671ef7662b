"""Many answers to one image: how unsure they are together, and how far they disagree."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import entr, log_softmax

from efficient360.core.arrays import Floats


@final
@dataclass(frozen=True)
class Answers:
    """What several members say of images, averaged over the members.

    Args:
        probability: Mean probability of the classes, ``(n, K)``.
        within: Mean entropy of a member's own answer, ``(n,)`` in nat.
    """

    probability: Floats
    within: Floats

    @property
    def entropy(self) -> Floats:
        """Entropy of the mean answer, ``(n,)`` in nat, from 0 to ``log K``: all uncertainty together."""
        found: Floats = entr(self.probability).sum(axis=1)
        return found

    @property
    def mutual_information(self) -> Floats:
        """Entropy of the mean answer less the mean entropy of the answers, ``(n,)`` in nat, at least 0: what members disagree on (Houlsby et al. 2011)."""
        return np.maximum(0.0, self.entropy - self.within)


def answers(logits: Iterable[Floats]) -> Answers:
    """The answers of members, one after the other.

    Args:
        logits: Of each member, ``(n, K)``; at least one.
    """
    count, probability, within = 0, np.zeros(()), np.zeros(())
    for one in logits:
        log = log_softmax(one.astype(np.float64), axis=1)
        p = np.exp(log)
        count, probability, within = count + 1, probability + p, within - (p * log).sum(axis=1)
    return Answers(probability / count, within / count)
