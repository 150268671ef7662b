"""A pass over examples that leaves a row each on disk and goes on where it was interrupted."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efficient360.core.batch import Batch
from efficient360.evaluator import Deadline, Examples
from efficient360.storage.row_log import RowLog

Progress = Callable[[int, int], None]


def recorded(
    log: RowLog, examples: Examples, size: int, row: Callable[[Batch], NDArray[np.floating[Any]]], deadline: Deadline, progress: Progress
) -> NDArray[Any]:
    """A row for every example, those that the log has already read from it.

    Args:
        log: Where the rows are kept; only ever of these examples.
        examples: In order.
        size: Examples a batch. A pass resumes at a whole batch, so that batches are cut as in an uninterrupted one.
        row: From a batch to its rows, ``(B, width)``.
        deadline: Checked before every batch.
        progress: Told after every batch.

    Returns:
        ``(n, width)``.

    Raises:
        OutOfTime: From the deadline; what is done is kept.
    """
    log.truncate(len(log) if len(log) >= len(examples) else len(log) // size * size)
    done = len(log)
    for batch in examples.batches(size, done):
        deadline.check()
        log.append(row(batch))
        done += len(batch)
        progress(done, len(examples))
    return log.read(0, len(examples))
