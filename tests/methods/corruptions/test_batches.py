from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.methods.corruptions.batches import Cell, corrupted, corrupted_batches
from efficient360.methods.corruptions.tables import COMMON, EXTRA

CELLS = [Cell(name, severity, "cifar-c") for name in (*COMMON, *EXTRA) for severity in (1, 4) if name != "frost"]
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)).float() / 255
IDS = [f"test/{i}" for i in range(6)]


def made(order: Sequence[int], size: int, threads: int, seed: int = 0) -> dict[tuple[str, str, int], bytes]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = {}
        for start in range(0, len(order), size):
            part = list(order[start : start + size])
            for cell, images in corrupted_batches(IMAGES[part], [IDS[i] for i in part], CELLS, seed):
                for i, image in zip(part, images, strict=True):
                    found[IDS[i], cell.corruption, cell.severity] = image.numpy().tobytes()
        return found
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@given(st.permutations(range(6)), st.integers(1, 6), st.sampled_from([1, 2, 3]))
@settings(max_examples=8, deadline=None)
def test_order_batches_and_threads_change_nothing(order: list[int], size: int, threads: int) -> None:
    assert made(order, size, threads) == made(range(6), 6, 1)


def test_another_seed_or_example_is_corrupted_otherwise() -> None:
    one, other = made(range(2), 2, 1), made(range(2), 2, 1, seed=1)
    assert one["test/0", "gaussian_noise", 1] != other["test/0", "gaussian_noise", 1]
    image = np.full((3, 32, 32), 99, np.uint8)
    cell = Cell("gaussian_noise", 1, "cifar-c")
    assert (corrupted(image, "a", cell, 0) != corrupted(image, "b", cell, 0)).any()


def test_cells_come_in_order_on_the_grid_of_8_bit_values() -> None:
    found = list(corrupted_batches(IMAGES[:2], IDS[:2], CELLS, 0))
    assert [cell for cell, _ in found] == CELLS
    for _, images in found:
        assert (images.dtype, images.shape) == (torch.float32, (2, 3, 32, 32))
        assert torch.equal((images * 255).round() / 255, images)
        assert 0 <= images.min() <= images.max() <= 1


def test_no_cell_no_batch() -> None:
    assert list(corrupted_batches(IMAGES, IDS, [], 0)) == []


def test_images_off_the_grid_are_rounded_first() -> None:
    shifted = (IMAGES[:1] + 0.3 / 255).clamp(0, 1)
    cell = [Cell("jpeg_compression", 3, "cifar-c")]
    assert torch.equal(next(corrupted_batches(shifted, IDS[:1], cell, 0))[1], next(corrupted_batches(IMAGES[:1], IDS[:1], cell, 0))[1])
