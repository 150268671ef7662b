import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.methods.continual_learning.replay import BUFFERS, ClassBalancedBuffer, ReservoirBuffer

LABELS = st.lists(st.integers(0, 4), max_size=60)


@pytest.mark.parametrize("kind", BUFFERS)
@given(labels=LABELS, size=st.integers(1, 20), seed=st.integers(0, 9))
def test_a_memory_holds_what_was_offered_and_no_more_than_it_may(kind: str, labels: list[int], size: int, seed: int) -> None:
    buffer = BUFFERS[kind](size, np.random.default_rng(seed))
    for item, label in enumerate(labels):
        buffer.offer(item, label)
    items = buffer.items()
    assert len(items) == len(set(items)) == min(size, len(labels))
    assert set(items) <= set(range(len(labels)))


@given(labels=LABELS, size=st.integers(1, 20), seed=st.integers(0, 9))
def test_a_balanced_memory_takes_from_no_class_what_a_larger_one_could_give(labels: list[int], size: int, seed: int) -> None:
    buffer = ClassBalancedBuffer(size, np.random.default_rng(seed))
    for item, label in enumerate(labels):
        buffer.offer(item, label)
    held = [labels[item] for item in buffer.items()]
    counts = {label: held.count(label) for label in set(labels)}
    for label, count in counts.items():
        if count < labels.count(label):
            assert count >= max(counts.values()) - 1


def test_a_reservoir_holds_early_and_late_items_alike() -> None:
    runs, offered, size = 4000, 12, 3
    held = np.zeros(offered)
    for run in range(runs):
        buffer = ReservoirBuffer(size, np.random.default_rng(run))
        for item in range(offered):
            buffer.offer(item, 0)
        held[buffer.items()] += 1
    share = size / offered
    # Five standard deviations of a binomial share.
    assert np.abs(held / runs - share).max() < 5 * (share * (1 - share) / runs) ** 0.5
