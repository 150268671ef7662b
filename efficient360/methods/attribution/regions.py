"""Where the objects of a data set are, from a file of boxes or a folder of masks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from efficient360.errors import SettingsError
from efficient360.methods.attribution.boxes import read_boxes
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.masks import masks_in, read_masks
from efficient360.methods.attribution.region import Cover, Region

Regions = Mapping[str, Region]
"""By example id."""


def read_regions(path: Path) -> Regions:
    """The boxes of a CSV file, or the masks of a folder.

    Raises:
        SettingsError: There is neither, or it holds none (``bad-regions``).
    """
    if path.is_dir():
        return read_masks(path)
    if not path.is_file():
        raise SettingsError("bad-regions", f"there is no file or folder of regions {path}", "give a CSV file of boxes or a folder of PNG masks")
    return read_boxes(path)


def fingerprint(path: Path) -> str:
    """SHA-256 of what a file of boxes or a folder of masks holds."""
    held = hashlib.sha256()
    for file in masks_in(path) if path.is_dir() else [path]:
        held.update(f"{file.relative_to(path).as_posix()}\0".encode())
        held.update(hashlib.sha256(file.read_bytes()).digest())
    return held.hexdigest()


@final
@dataclass(frozen=True)
class Objects:
    """Where the objects of some images are.

    Args:
        marked: Whether the image has any, bool ``(B,)``.
        shares: How much of each cell is object, float64 ``(B, cells)`` in [0, 1].
        centres: Whether the middle of each cell is, bool ``(B, cells)``.
    """

    marked: Tensor
    shares: Tensor
    centres: Tensor


def objects(regions: Regions, grid: Grid, ids: Sequence[str]) -> Objects:
    """The objects of the examples ``ids``.

    Raises:
        SettingsError: A region can't be read, or does not fit (``bad-regions``).
    """
    nothing = Cover(np.zeros(grid.cells), np.zeros(grid.cells, dtype=bool))
    covers = [regions[example].over(grid) if example in regions else nothing for example in ids]
    shares = torch.from_numpy(np.stack([cover.shares for cover in covers]))
    return Objects(shares.sum(1) > 0, shares, torch.from_numpy(np.stack([cover.centres for cover in covers])))
