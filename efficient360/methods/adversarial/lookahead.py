"""Searches that ask a model one question after another: where a pass has rows to spare, an example's next questions are asked ahead.

Most answers change nothing, so the next questions are usually known beforehand. Those behind an answer that does change something are thrown away
and asked anew. A search finds exactly what it finds one question at a time; only the rows of a pass that would stay empty are put to use.
"""

import torch
from torch import Tensor


def seats(searching: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Whose question each row of the next passes holds, and how many questions ahead it is.

    Args:
        searching: int64 ``(n,)``, positions of the examples still searched for, at least one.
        rows: Rows of a pass.

    Returns:
        Positions and steps ahead, int64 ``(S,)`` each, ``S`` the smallest multiple of ``rows`` that is at least ``n``. Steps ahead never
        fall from one row to the next; every example's first question comes before anybody's second.
    """
    n = len(searching)
    row = torch.arange(-(-n // rows) * rows, device=searching.device)
    return searching[row % n], row // n


def earliest(hit: Tensor, who: Tensor, examples: int) -> Tensor:
    """The first row of each example that is a hit, int64 ``(examples,)``; ``len(hit)`` where none is.

    Args:
        hit: bool ``(S,)``.
        who: int64 ``(S,)``, position of the example that the row belongs to.
        examples: How many examples there are.
    """
    row = torch.arange(len(hit), device=hit.device)
    none = torch.full((examples,), len(hit), device=hit.device)
    return none.scatter_reduce(0, who[hit], row[hit], "amin")
