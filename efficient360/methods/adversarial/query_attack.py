"""The contract of black-box attacks, which only query the model, and speculative batching of their queries."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.methods.adversarial.attack import Attack, AttackBatch, AttackResult
from efficient360.methods.adversarial.threat_model import ThreatModel
from efficient360.methods.adversarial.victim import Victim


@final
@dataclass(frozen=True)
class QueryResult:
    """The result of a search within one threat model, and its cost.

    Args:
        result: The images. An example broken within a smaller ε is broken within this one too, by an image within this ε.
        queries: int64 ``(B,)``, model queries until success, 0 without success. An attack that restarts at each ε counts from the ε
            at which it succeeded.
    """

    result: AttackResult
    queries: Tensor


class QueryAttack(Attack):
    """An attack that sees logits or predictions alone."""

    @abstractmethod
    def search(self, victim: Victim, threats: Sequence[ThreatModel], batch: AttackBatch) -> tuple[QueryResult, ...]:
        """Attack every example within each threat model.

        Args:
            victim: The model under attack.
            threats: Of one norm, ε ascending.
            batch: Correctly classified examples, at least one.

        Returns:
            One for each threat model.
        """


# Speculative batching. A search asks one query after another, but most answers change nothing, so an example's next queries are usually known
# in advance. Where a pass has rows to spare they are asked ahead; those behind an answer that does change something are discarded and asked anew.
# A search finds exactly what it finds one query at a time.


def speculative_queries(searching: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Which example each row of the next passes queries for, and how many queries ahead.

    Args:
        searching: int64 ``(n,)``, positions of the examples still under attack, at least one.
        rows: Rows of a pass.

    Returns:
        Positions and queries ahead, int64 ``(S,)`` each, ``S`` the smallest multiple of ``rows`` that is at least ``n``. Queries ahead never
        decrease from one row to the next; every example's first query comes before any second one.
    """
    n = len(searching)
    row = torch.arange(-(-n // rows) * rows, device=searching.device)
    return searching[row % n], row // n


def first_hits(hit: Tensor, example: Tensor, count: int) -> Tensor:
    """The first row of each example that is a hit, int64 ``(count,)``; ``len(hit)`` where there is none.

    Args:
        hit: bool ``(S,)``.
        example: int64 ``(S,)``, position of the example that the row belongs to.
        count: Number of examples.
    """
    row = torch.arange(len(hit), device=hit.device)
    none = torch.full((count,), len(hit), device=hit.device)
    return none.scatter_reduce(0, example[hit], row[hit], "amin")
