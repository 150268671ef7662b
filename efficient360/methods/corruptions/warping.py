"""Images rotated, scaled, tilted and translated by homographies.

A homography is a matrix ``(3, 3)`` from a pixel of the result, in homogeneous coordinates ``(column, row, 1)`` with whole numbers at pixel centres, to its
source in the image, up to a factor.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.methods.corruptions.corruption import Pixels, quantise

Homography = NDArray[np.float64]


def rotation(degrees: float, height: int, width: int) -> Homography:
    """A clockwise rotation about the centre."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return _about_centre(np.array([[cosine, sine], [-sine, cosine]]), height, width)


def scaling(factor: float, height: int, width: int) -> Homography:
    """Magnification about the centre, or reduction for a factor below 1."""
    return _about_centre(np.eye(2) / factor, height, width)


def tilt(degrees: float, height: int, width: int) -> Homography:
    """The image plane rotated in space about its horizontal and its vertical axis by the same angle, seen from a diagonal's length away."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    about_vertical = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    about_horizontal = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    distance = np.hypot(width, height)
    # The plane stands one unit off the axes, which moves even an untilted image away by one part in ``distance``: as in the reference.
    placed = about_horizontal @ about_vertical @ np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    placed[2, 2] += distance
    projected = np.array([[distance, 0, width / 2], [0, distance, height / 2], [0, 0, 1]]) @ placed
    return np.linalg.inv(projected)


def pad_reflect(pixels: Pixels, margin: int) -> Pixels:
    """The image with ``margin`` pixels more on every side, mirrored about its border."""
    return np.pad(pixels, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")


def warp(padded: Pixels, source: Homography, margin: int) -> Pixels:
    """An image resampled through a homography, ``margin`` pixels cropped from every side; bilinear, black beyond the border.

    Args:
        padded: uint8 ``(3, H + 2 · margin, W + 2 · margin)``.
        source: From pixels of the result to pixels of ``padded``, before the crop.
        margin: Pixels to crop.

    Returns:
        uint8 ``(3, H, W)``, truncated as Pillow truncates.
    """
    _, height, width = padded.shape
    x, y = _source_coordinates(source, height, width, margin)
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    return quantise(_interpolate(padded, x, y, "border") * inside)


def warp_fading(padded: Pixels, source: Homography, margin: int) -> Pixels:
    """As :func:`warp`, but the outermost pixels fade into the black beyond them and levels are rounded: as OpenCV does it."""
    x, y = _source_coordinates(source, padded.shape[1], padded.shape[2], margin)
    return quantise(_interpolate(padded, x, y, "zeros") + 0.5)


def translate(padded: Pixels, right: int, margin: int) -> Pixels:
    """An image ``(3, H + 2 · margin, W + 2 · margin)`` moved right by whole pixels, ``margin`` pixels cropped from every side; black beyond the border."""
    _, height, width = padded.shape
    moved = np.zeros_like(padded)
    moved[:, :, max(right, 0) : width + min(right, 0)] = padded[:, :, max(-right, 0) : width - max(right, 0)]
    return moved[:, margin : height - margin, margin : width - margin]


def _source_coordinates(source: Homography, height: int, width: int, margin: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column and row in the image that each pixel of the result comes from."""
    rows, columns = np.mgrid[margin : height - margin, margin : width - margin]
    x, y, depth = np.tensordot(source, np.stack([columns, rows, np.ones_like(rows)]).astype(np.float64), 1)
    return x / depth, y / depth


def _interpolate(padded: Pixels, x: NDArray[np.float64], y: NDArray[np.float64], padding_mode: Literal["border", "zeros"]) -> NDArray[np.float64]:
    """Levels between pixels, bilinear."""
    _, height, width = padded.shape
    # Double precision: what comes to lie on a pixel again must keep its value to a thousandth of a level.
    grid = torch.from_numpy(np.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], axis=-1))
    levels = torch.nn.functional.grid_sample(torch.from_numpy(padded)[None].double(), grid[None], padding_mode=padding_mode, align_corners=True)
    interpolated: NDArray[np.float64] = levels[0].numpy()
    return interpolated


def _about_centre(matrix: NDArray[np.float64], height: int, width: int) -> Homography:
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    homography = np.eye(3)
    homography[:2, :2], homography[:2, 2] = matrix, centre - matrix @ centre
    return homography
