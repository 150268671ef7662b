"""The pixels of many images in one file: decoded once, read in any order, memory flat."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.evaluator import Deadline, Examples
from efficient360.storage.resumable import Progress
from efficient360.storage.row_log import RowLog


@final
@dataclass(frozen=True)
class PixelStore:
    """Images as bytes on disk.

    Args:
        log: A row of 8-bit pixels an image.
        size: ``(3, H, W)``.
    """

    log: RowLog
    size: tuple[int, int, int]

    def images(self, rows: NDArray[np.int64]) -> Tensor:
        """The images of these rows, float32 ``(B, 3, H, W)`` in [0, 1]."""
        return torch.from_numpy(self.log.take(rows)).view(-1, *self.size).float().div_(255)


def stored(path: Path, parts: Sequence[Examples], size: tuple[int, int, int], batch_size: int, deadline: Deadline, progress: Progress) -> PixelStore:
    """The pixels of some examples, one part after the other, going on where an interrupted pass left off.

    Args:
        path: The file.
        parts: Examples in the order of their rows.
        size: ``(3, H, W)`` of their images.
        batch_size: Images decoded at once.
        deadline: Checked before every batch.
        progress: Told after every batch.

    Raises:
        OutOfTime: From the deadline; what is done is kept.
    """
    log = RowLog(path, prod(size), "uint8")
    log.truncate(len(log))
    start, total = 0, sum(map(len, parts))
    for part in parts:
        for batch in part.batches(batch_size, min(len(part), max(0, len(log) - start))):
            deadline.check()
            log.append(_bytes(batch.images))
            progress(len(log), total)
        start += len(part)
    return PixelStore(log, size)


def _bytes(images: Tensor) -> NDArray[Any]:
    pixels: NDArray[Any] = (images.detach().cpu() * 255).round().to(torch.uint8).flatten(1).numpy()
    return pixels
