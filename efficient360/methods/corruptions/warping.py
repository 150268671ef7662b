"""Images rotated, scaled, tilted and shifted: where each pixel comes from, and what it then is.

A map is a matrix ``(3, 3)`` that takes a pixel of the result, as ``(column, row, 1)`` with whole numbers in the middle of pixels, to where it comes
from in the image, up to a factor.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.methods.corruptions.corruption import Pixels, quantised

Map = NDArray[np.float64]


def rotation(degrees: float, height: int, width: int) -> Map:
    """A turn about the middle, clockwise."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return _about_middle(np.array([[cosine, sine], [-sine, cosine]]), height, width)


def scaling(factor: float, height: int, width: int) -> Map:
    """Larger about the middle, or smaller for a factor below 1."""
    return _about_middle(np.eye(2) / factor, height, width)


def tilt(degrees: float, height: int, width: int) -> Map:
    """The image plane turned in space about its horizontal and its vertical axis by the same angle, seen from a diagonal's length away."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    about_vertical = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    about_horizontal = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    distance = np.hypot(width, height)
    # The plane stands one unit off the axes, which moves an image that is not tilted away by one part in ``distance``: so does the reference.
    placed = about_horizontal @ about_vertical @ np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    placed[2, 2] += distance
    seen = np.array([[distance, 0, width / 2], [0, distance, height / 2], [0, 0, 1]]) @ placed
    return np.linalg.inv(seen)


def framed(pixels: Pixels, margin: int) -> Pixels:
    """The image with ``margin`` pixels more on every side, mirrored about its border."""
    return np.pad(pixels, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")


def warped(wide: Pixels, source: Map, margin: int) -> Pixels:
    """An image moved by a map, ``margin`` pixels cut from every side; linear between pixels, black beyond the border.

    Args:
        wide: uint8 ``(3, H + 2 · margin, W + 2 · margin)``.
        source: Where pixels come from, in ``wide`` and before the cut.
        margin: What is cut.

    Returns:
        uint8 ``(3, H, W)``, truncated as Pillow truncates.
    """
    _, height, width = wide.shape
    across, down = _origins(source, height, width, margin)
    inside = (across >= -0.5) & (across < width - 0.5) & (down >= -0.5) & (down < height - 0.5)
    return quantised(_between(wide, across, down, "border") * inside)


def fading(wide: Pixels, source: Map, margin: int) -> Pixels:
    """As :func:`warped`, but that the outermost pixels fade into the black beyond them and levels are rounded: as OpenCV does it."""
    across, down = _origins(source, wide.shape[1], wide.shape[2], margin)
    return quantised(_between(wide, across, down, "zeros") + 0.5)


def shifted(wide: Pixels, right: int, margin: int) -> Pixels:
    """An image ``(3, H + 2 · margin, W + 2 · margin)`` moved by whole pixels to the right, ``margin`` pixels cut from every side; black beyond the border."""
    _, height, width = wide.shape
    moved = np.zeros_like(wide)
    moved[:, :, max(right, 0) : width + min(right, 0)] = wide[:, :, max(-right, 0) : width - max(right, 0)]
    return moved[:, margin : height - margin, margin : width - margin]


def _origins(source: Map, height: int, width: int, margin: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column and row in the image that each pixel of the result comes from."""
    rows, columns = np.mgrid[margin : height - margin, margin : width - margin]
    across, down, depth = np.tensordot(source, np.stack([columns, rows, np.ones_like(rows)]).astype(np.float64), 1)
    return across / depth, down / depth


def _between(wide: Pixels, across: NDArray[np.float64], down: NDArray[np.float64], beyond: Literal["border", "zeros"]) -> NDArray[np.float64]:
    """Levels at places between pixels."""
    _, height, width = wide.shape
    # Double precision: what comes to lie on a pixel again must keep its value to a thousandth of a level.
    grid = torch.from_numpy(np.stack([2 * across / (width - 1) - 1, 2 * down / (height - 1) - 1], axis=-1))
    levels = torch.nn.functional.grid_sample(torch.from_numpy(wide)[None].double(), grid[None], padding_mode=beyond, align_corners=True)
    found: NDArray[np.float64] = levels[0].numpy()
    return found


def _about_middle(matrix: NDArray[np.float64], height: int, width: int) -> Map:
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    whole = np.eye(3)
    whole[:2, :2], whole[:2, 2] = matrix, middle - matrix @ middle
    return whole
