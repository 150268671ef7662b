"""From an encoded image to the pixels a checkpoint expects."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from efficient360.checkpoint import Preprocessing
from efficient360.errors import DatasetError

Transform = Callable[[Image.Image], Tensor]


def transform_for(preprocessing: Preprocessing) -> Transform:
    """Timm's evaluation transform for a checkpoint's data config without its normalisation, which lives in the model.

    Returns:
        A function from an RGB image to uint8 ``(3, H, W)``.
    """
    from timm.data import create_transform

    transform: Transform = create_transform(
        input_size=preprocessing.input_size,
        is_training=False,
        interpolation=preprocessing.interpolation,
        crop_pct=preprocessing.crop_pct,
        crop_mode=preprocessing.crop_mode,
        mean=preprocessing.mean,  # the colour that crop_mode border fills with
        normalize=False,
    )
    return transform


def stack(images: list[Tensor]) -> Tensor:
    """uint8 ``(3, H, W)`` images as one float32 ``(B, 3, H, W)`` in [0, 1]."""
    return torch.stack(images).float().div_(255.0)


def decode(encoded: bytes, example: str) -> Image.Image:
    """The image as a person sees it: upright (EXIF), RGB, 8 bits a channel.

    Grey, palette, CMYK and 16-bit images are converted; transparency is dropped, as timm's and torchvision's loaders do.

    Raises:
        DatasetError: The bytes are no image, or a broken one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
            image: Image.Image = _eight_bits(upright).convert("RGB")
            return image
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = "it is no image" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
        raise DatasetError(
            "corrupt-image", f"the image of example {example} can't be read: {reason}", "repair or remove it; an example is never skipped in silence"
        ) from error


def _eight_bits(image: Any) -> Any:
    # PIL clips 16-bit grey to white on conversion instead of scaling it.
    if image.mode.startswith("I"):
        pixels = np.asarray(image).astype(np.float64)
        scale = 257.0 if pixels.max(initial=0) > 255 else 1.0
        return Image.fromarray(np.clip(pixels / scale, 0, 255).round().astype(np.uint8))
    if image.mode == "F":
        return Image.fromarray(np.clip(np.asarray(image) * 255.0, 0, 255).round().astype(np.uint8))
    return image
