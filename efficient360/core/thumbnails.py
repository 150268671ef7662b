"""Images as a report carries them: PNG inside a data URI, at a size one can look at."""

import base64
import io

from PIL import Image
from torch import Tensor

SMALLEST, LARGEST = 96, 160
"""Longest side in pixels: smaller images are magnified by a whole factor, larger ones reduced."""


def data_uri(image: Tensor) -> str:
    """A ``data:image/png;base64,…`` URI of an image, float ``(3, H, W)`` in [0, 1] (values beyond are clipped)."""
    pixels = (image.detach().cpu().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    encoded = io.BytesIO()
    _sized(Image.fromarray(pixels)).save(encoded, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def _sized(picture: Image.Image) -> Image.Image:
    longest = max(picture.size)
    if longest > LARGEST:
        width, height = (max(1, round(side * LARGEST / longest)) for side in picture.size)
        return picture.resize((width, height), Image.Resampling.LANCZOS)
    if longest < SMALLEST:
        factor = -(-SMALLEST // longest)
        # Nearest keeps the pixels that the model saw visible as such.
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    return picture
