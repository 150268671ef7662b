"""Colours changed through the standard library's HSV model."""

import colorsys

import numpy as np

from efficient360.methods.corruptions.corruption import quantise

_SPECIAL = np.array([[0, 0, 0], [255, 255, 255], [90, 90, 90], [255, 0, 0], [7, 200, 200], [0, 0, 1]]).T
COLOURS = np.concatenate([np.random.default_rng(0).integers(0, 256, (3, 300)), _SPECIAL, np.arange(256)[None].repeat(3, 0)], axis=1).astype(np.uint8)[
    :, :, None
]
"""Random, extreme and grey colours, uint8 ``(3, n, 1)``."""


def through_hsv(added: float = 0, saturation_factor: float = 1, saturation_added: float = 0) -> np.ndarray:
    """:data:`COLOURS` with ``added`` to the value, and the saturation scaled and shifted."""
    changed = []
    for red, green, blue in COLOURS[:, :, 0].T.tolist():
        h, s, v = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        s = min(max(s * saturation_factor + saturation_added, 0), 1)
        changed.append([255 * c for c in colorsys.hsv_to_rgb(h, s, min(v + added, 1))])
    return quantise(np.array(changed).T)[:, :, None]
