import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from efficient360.methods.compression.packing import packed, unpacked


@given(st.integers(1, 8).flatmap(lambda bits: st.tuples(st.just(bits), st.lists(st.integers(0, 2**bits - 1), max_size=50))))
def test_what_is_packed_comes_back_and_takes_no_more_bits(drawn: tuple[int, list[int]]) -> None:
    bits, codes = drawn
    found = packed(torch.tensor(codes, dtype=torch.int64), bits)
    assert found.dtype == torch.uint8
    assert len(found) == -(-len(codes) * bits // 8)
    assert unpacked(found, bits, len(codes)).tolist() == codes


@pytest.mark.parametrize(("codes", "bits", "by_hand"), [([1, 0, 1, 1], 1, [0b10110000]), ([5, 2, 7], 3, [0b10101011, 0b10000000]), ([200, 3], 8, [200, 3])])
def test_bits_stand_end_to_end(codes: list[int], bits: int, by_hand: list[int]) -> None:
    np.testing.assert_array_equal(packed(torch.tensor(codes), bits), by_hand)
