"""STL-10 and SVHN as torchvision downloads them: flat binary files, and MATLAB's matrices."""

from pathlib import Path

import numpy as np

from efficient360.datasets.column_table import ClassNames, ColumnTable
from efficient360.datasets.layouts.pixel_arrays import array_images
from efficient360.datasets.regular_files import read_file, require_regular
from efficient360.errors import DatasetError

STL_SIDE = 96
LARGEST = 4 << 30
"""Bytes of a file; STL-10's unlabelled images, which nobody evaluates, have 2.8 thousand million."""


def stl10(folder: Path, split: str) -> tuple[ColumnTable, str]:
    """A split of STL-10: images ``(n, 3, 96, 96)`` with columns before rows, labels from 1.

    Raises:
        DatasetError: A file is missing, or holds no whole number of images.
    """
    pixels = np.frombuffer(read_file(folder / f"{split}_X.bin", f"the images of {folder}", LARGEST), dtype=np.uint8)
    labels = np.frombuffer(read_file(folder / f"{split}_y.bin", f"the labels of {folder}", LARGEST), dtype=np.uint8).astype(np.int64) - 1
    if len(pixels) != len(labels) * 3 * STL_SIDE**2:
        message = f"{folder} holds {len(pixels):,} bytes of images and {len(labels):,} labels of the split {split}"
        raise DatasetError("lengths-differ", message, "download them again")
    names = folder / "class_names.txt"
    known = {"label": ClassNames(read_file(names, f"the class names of {folder}", 1 << 16).decode().split())} if names.is_file() else {}
    images = array_images(pixels.reshape(-1, 3, STL_SIDE, STL_SIDE).transpose(0, 1, 3, 2), str(folder))
    return ColumnTable({"image": images, "label": labels.tolist()}, known), "label"


def svhn(folder: Path, split: str) -> tuple[ColumnTable, str]:
    """A split of SVHN: images ``(32, 32, 3, n)``, labels 1 … 10, where 10 is the digit 0.

    Raises:
        DatasetError: The file is missing, too large, or holds no such matrices.
    """
    from scipy.io import loadmat

    path = folder / f"{split}_32x32.mat"
    require_regular(path, f"the matrices {path}")
    if path.stat().st_size > LARGEST:
        raise DatasetError("array-oversized", f"{path} has more than {LARGEST:,} bytes", "download it again")
    try:
        matrices = loadmat(str(path), variable_names=["X", "y"])
        pixels, labels = matrices["X"].transpose(3, 0, 1, 2), matrices["y"].astype(np.int64).reshape(-1) % 10
    except Exception as error:  # the MATLAB reader raises whatever it stumbles on
        raise DatasetError("unreadable-dataset", f"{path} can't be read: {error}", "download it again") from error
    if len(pixels) != len(labels):
        raise DatasetError("lengths-differ", f"{path} holds {len(pixels)} images and {len(labels)} labels", "download it again")
    return ColumnTable({"image": array_images(pixels, str(path)), "label": labels.tolist()}), "label"
