"""Which questions a pass holds, and which of its answers count."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from efficient360.methods.adversarial.lookahead import earliest, seats


def test_seats_by_hand() -> None:
    who, ahead = seats(torch.tensor([2, 5, 9]), 4)
    assert who.tolist() == [2, 5, 9, 2]
    assert ahead.tolist() == [0, 0, 0, 1]
    who, ahead = seats(torch.tensor([2, 5, 9]), 2)
    assert who.tolist() == [2, 5, 9, 2]
    who, ahead = seats(torch.tensor([7]), 3)
    assert (who.tolist(), ahead.tolist()) == ([7, 7, 7], [0, 1, 2])


@given(st.integers(1, 40), st.integers(1, 20))
def test_passes_are_full_and_everybody_asks_in_order(n: int, rows: int) -> None:
    who, ahead = seats(torch.arange(n), rows)
    assert len(who) % rows == 0
    assert n <= len(who) < n + rows
    for i in range(n):
        assert ahead[who == i].tolist() == list(range(int((who == i).sum())))


def test_the_earliest_hit_by_hand() -> None:
    who = torch.tensor([0, 1, 3, 0, 1, 3])
    hit = torch.tensor([False, True, False, True, True, False])
    assert earliest(hit, who, 4).tolist() == [3, 1, 6, 6]
    assert earliest(torch.zeros(6, dtype=torch.bool), who, 4).tolist() == [6, 6, 6, 6]
