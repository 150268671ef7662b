"""Calibration images in the calls that an artefact of a fixed batch takes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def calls(calibration: Path, batch: int) -> Iterator[NDArray[np.float32]]:
    """The images of a file in whole calls; the last is filled up from the first images, so that each is seen.

    Args:
        calibration: ``.npy`` of images float32 ``(n, 3, H, W)`` in [0, 1].
        batch: Images in a call.

    Yields:
        Images float32 ``(batch, 3, H, W)``.
    """
    images = np.load(calibration)
    for start in range(0, len(images), batch):
        yield np.ascontiguousarray(images.take(range(start, start + batch), axis=0, mode="wrap"))
