"""Canny's edge detector (Canny 1986), as OpenCV computes it on an 8-bit image."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_TAN_22 = np.sqrt(2) - 1
_AROUND = np.ones((3, 3))


def canny(grey: NDArray[np.uint8], low: int, high: int) -> NDArray[np.bool_]:
    """Edges of ``(H, W)``: ridges of the gradient (3×3 Sobel, the sum of both magnitudes) above ``low`` that touch one above ``high``."""
    signed = grey.astype(np.int32)
    across, down = ndimage.sobel(signed, axis=1, mode="nearest"), ndimage.sobel(signed, axis=0, mode="nearest")
    strength = np.abs(across) + np.abs(down)
    ridge = (strength > low) & _ridges(strength, across, down)
    labels, count = ndimage.label(ridge, structure=_AROUND)
    strong = np.zeros(count + 1, dtype=bool)
    strong[labels[ridge & (strength > high)]] = True
    strong[0] = False
    found: NDArray[np.bool_] = strong[labels]
    return found


def _ridges(strength: NDArray[np.int32], across: NDArray[np.int32], down: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether the gradient is weaker on both sides, looking along it."""
    padded = np.pad(strength, 1)
    height, width = strength.shape

    def beside(rows: int, columns: int) -> NDArray[np.int32]:
        return padded[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    flat = np.abs(down) < _TAN_22 * np.abs(across)
    steep = np.abs(down) > np.abs(across) / _TAN_22
    falling = (across >= 0) == (down >= 0)
    horizontal = (strength > beside(0, -1)) & (strength >= beside(0, 1))
    vertical = (strength > beside(-1, 0)) & (strength >= beside(1, 0))
    along = (strength > beside(-1, -1)) & (strength > beside(1, 1))
    against = (strength > beside(-1, 1)) & (strength > beside(1, -1))
    return np.where(flat, horizontal, np.where(steep, vertical, np.where(falling, along, against)))
