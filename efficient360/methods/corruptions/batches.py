"""A batch of images under one corruption after another, made in threads while the model is busy."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from typing import final

import numpy as np
import torch
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.methods.corruptions.corruption import Pixels, eight_bit, generator
from efficient360.methods.corruptions.tables import TABLES


@final
@dataclass(frozen=True)
class Cell:
    """One corruption at one severity, of one table."""

    corruption: str
    severity: int
    table: str


def corrupted(pixels: Pixels, example: str, cell: Cell, seed: int) -> Pixels:
    """One image under one corruption, uint8 ``(3, H, W)``: depends on the image, its id, the cell and the seed alone."""
    rng = generator(seed, example, cell.corruption, cell.severity)
    return TABLES[cell.table][cell.corruption][cell.severity - 1].apply(pixels, rng)


def corrupted_batches(images: Tensor, ids: Sequence[str], cells: Sequence[Cell], seed: int) -> Iterator[tuple[Cell, Tensor]]:
    """Each cell with the batch under it, float32 ``(B, 3, H, W)`` on the grid of 8-bit values.

    Two cells at most are held at a time. Threads, as many as torch has, take one image each; their number changes nothing.

    Args:
        images: float32 ``(B, 3, H, W)`` in [0, 1], rounded to 8 bits first.
        ids: Example ids, length ``B``.
        cells: Which, in order.
        seed: The run's seed.
    """
    batch = eight_bit(images)
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:

        def begin(cell: Cell) -> list[Future[Pixels]]:
            return [pool.submit(corrupted, pixels, example, cell, seed) for pixels, example in zip(batch, ids, strict=True)]

        waiting = begin(cells[0]) if cells else []
        for cell, following in zip_longest(cells, cells[1:]):
            ready, waiting = waiting, begin(following) if following is not None else []
            made = np.stack([future.result() for future in ready])
            yield cell, torch.from_numpy(made).float() / 255


def corrupted_batch(batch: Batch, cell: Cell) -> Tensor:
    """The images of a batch under one corruption, as :func:`corrupted_batches`."""
    ((_, images),) = corrupted_batches(batch.images, batch.ids, [cell], batch.seed)
    return images
