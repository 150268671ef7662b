"""Decoding images ahead of the model that looks at them."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from efficient360.core.batch import Batch


def decoders_for(device: str) -> int:
    """How many threads should decode ahead.

    None where the model computes on the same cores: there a decoding thread and the forward pass wait for each other, which costs more than
    decoding between forward passes (1.25 against 1.07 times a loop without decoding, on two cores).
    """
    return 0 if device == "cpu" else os.cpu_count() or 1


def ahead(batches: Iterator[Batch], decoders: int) -> Iterator[Batch]:
    """The batches in order, as many as there are decoders being decoded ahead; with none, each decodes on first look.

    Raises:
        DatasetError: An image that can't be read.
    """
    if not decoders:
        yield from batches
        return
    with ThreadPoolExecutor(decoders) as pool:
        waiting: deque[Future[Batch]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_look, batch))
            if len(waiting) > decoders:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _look(batch: Batch) -> Batch:
    _ = batch.images
    return batch
