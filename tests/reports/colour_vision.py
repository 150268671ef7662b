"""How colours look to readers with full colour-vision deficiency, and how far two colours are apart.

Simulation: Machado, Oliveira & Fernandes 2009 (severity 1), on linear RGB. Distance: ΔE*ab of CIE 1976, in which 2.3 is just noticeable.
"""

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.float64]

VISION: dict[str, Colours] = {
    "normal": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
_WHITE = _XYZ @ np.ones(3)


def linear(colour: str) -> Colours:
    """``#rrggbb`` as linear RGB."""
    encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def lab(colour: Colours) -> Colours:
    """Linear RGB as CIE L*a*b* under D65."""
    relative = _XYZ @ np.clip(colour, 0, 1) / _WHITE
    x, y, z = np.where(relative > 216 / 24389, np.cbrt(relative), (24389 / 27 * relative + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(first: str, second: str, vision: str) -> float:
    """ΔE*ab of two colours as seen with a kind of :data:`VISION`."""
    matrix = VISION[vision]
    return float(np.linalg.norm(lab(matrix @ linear(first)) - lab(matrix @ linear(second))))
