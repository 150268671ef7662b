"""Images of more than 8 bits a channel: one value of white for a whole split, by the depth that its values show, never image by image."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from efficient360.core.findings import Finding
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.image_formats import open_image
from efficient360.datasets.images import is_deep
from efficient360.errors import DatasetError

SAMPLE: Final = 256
"""Images looked at, evenly spaced in the split."""
WHITES: Final = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""White at 8, 10, 12, 14 and 16 bits."""


@final
@dataclass(frozen=True)
class PixelDepth:
    """How the deep images of a split are brought to 8 bits.

    Args:
        white: Value that becomes 255.
        finding: Says so.
    """

    white: float
    finding: Finding


def pixel_depth(examples: ExampleSet) -> PixelDepth | None:
    """What white is in a split's images of more than 8 bits; ``None`` where none of those looked at is one.

    Whole numbers: the smallest usual depth that holds every value found. Others: 1 where they are within [0, 1], else 255 or 65535.

    Raises:
        DatasetError: The values fit no such range.
    """
    lows, highs, whole = [], [], True
    places = np.unique(np.linspace(0, len(examples) - 1, min(len(examples), SAMPLE)).astype(int)) if len(examples) else np.empty(0, dtype=int)
    for place in places.tolist():
        try:
            image = open_image(examples.encoded(place, place + 1)[0])
            if not is_deep(image.mode):
                continue
            pixels = np.asarray(image)
        except (OSError, SyntaxError, ValueError, MemoryError, DatasetError):
            continue  # a broken image is named when it is its turn
        whole = whole and not image.mode.startswith("F")
        lows.append(float(pixels.min()))
        highs.append(float(pixels.max()))
    if not highs:
        return None
    low, high = min(lows), max(highs)
    whites = WHITES if whole else (1.0, 255.0, 65535.0)
    white = next((white for white in whites if high <= white * (1 + 1e-3)), None)
    if white is None or not low >= -1e-3 * white:
        message = f"images of more than 8 bits hold values from {low:g} to {high:g}, which are no usual range of pixels"
        raise DatasetError("pixel-range", message, "save them with 8 bits a channel, or scaled to 0 … 65535")
    found = f"{len(highs)} of {len(places)} images looked at have more than 8 bits a channel, with values from {low:g} to {high:g}"
    finding = Finding("deep-pixels", f"{found}: 0 is taken for black and {white:g} for white", "save them with 8 bits a channel where that is not right")
    return PixelDepth(white, finding)
