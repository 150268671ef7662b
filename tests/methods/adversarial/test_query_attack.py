"""Which queries a pass holds, and which of its answers count."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from efficient360.methods.adversarial.query_attack import first_hits, speculative_queries


def test_speculative_queries_by_hand() -> None:
    example, ahead = speculative_queries(torch.tensor([2, 5, 9]), 4)
    assert example.tolist() == [2, 5, 9, 2]
    assert ahead.tolist() == [0, 0, 0, 1]
    example, ahead = speculative_queries(torch.tensor([2, 5, 9]), 2)
    assert example.tolist() == [2, 5, 9, 2]
    example, ahead = speculative_queries(torch.tensor([7]), 3)
    assert (example.tolist(), ahead.tolist()) == ([7, 7, 7], [0, 1, 2])


@given(st.integers(1, 40), st.integers(1, 20))
def test_passes_are_full_and_every_example_queries_in_order(n: int, rows: int) -> None:
    example, ahead = speculative_queries(torch.arange(n), rows)
    assert len(example) % rows == 0
    assert n <= len(example) < n + rows
    for i in range(n):
        assert ahead[example == i].tolist() == list(range(int((example == i).sum())))


def test_first_hits_by_hand() -> None:
    example = torch.tensor([0, 1, 3, 0, 1, 3])
    hit = torch.tensor([False, True, False, True, True, False])
    assert first_hits(hit, example, 4).tolist() == [3, 1, 6, 6]
    assert first_hits(torch.zeros(6, dtype=torch.bool), example, 4).tolist() == [6, 6, 6, 6]
