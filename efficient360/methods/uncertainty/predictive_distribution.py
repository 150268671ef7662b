"""Posterior predictive distribution: predictions averaged over ensemble members or weight samples, their entropy and mutual information."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import entr, log_softmax

from efficient360.core.arrays import Floats


@final
@dataclass(frozen=True)
class PredictiveDistribution:
    """Predictions for ``n`` images, averaged over members (weight samples, stochastic forward passes).

    Args:
        probability: Mean class probabilities, ``(n, K)``.
        expected_entropy: Mean entropy of a member's prediction, ``(n,)`` in nat: aleatoric uncertainty.
    """

    probability: Floats
    expected_entropy: Floats

    @property
    def entropy(self) -> Floats:
        """Predictive entropy, ``(n,)`` in nat, from 0 to ``log K``: total uncertainty."""
        entropy: Floats = entr(self.probability).sum(axis=1)
        return entropy

    @property
    def mutual_information(self) -> Floats:
        """Predictive entropy minus expected entropy, ``(n,)`` in nat, at least 0: epistemic uncertainty (BALD, Houlsby et al. 2011)."""
        return np.maximum(0.0, self.entropy - self.expected_entropy)


def average_members(logits: Iterable[Floats]) -> PredictiveDistribution:
    """Average the predictions of members, one after another.

    Args:
        logits: Of each member, ``(n, K)``; at least one member.
    """
    count, probability, expected_entropy = 0, np.zeros(()), np.zeros(())
    for member in logits:
        log = log_softmax(member.astype(np.float64), axis=1)
        p = np.exp(log)
        count, probability, expected_entropy = count + 1, probability + p, expected_entropy - (p * log).sum(axis=1)
    return PredictiveDistribution(probability / count, expected_entropy / count)
