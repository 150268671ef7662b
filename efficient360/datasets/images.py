"""From an encoded image to the pixels a checkpoint expects."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.datasets.image_formats import open_image
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Preprocessing
from efficient360.models.image_processors import pixels_of

Transform = Callable[[Image.Image], NDArray[np.uint8]]
Pixels = NDArray[np.uint8] | NDArray[np.float32]
Decoder = Callable[[bytes, str], Pixels]
"""From the bytes of an example, and its id for messages, to pixels ``(3, H, W)``: uint8, or float32 in [0, 1]."""
TOLERANCE: Final = 1e-3
"""How far beyond black and white rounding may carry a pixel, as a share of white."""


def transform_for(preprocessing: Preprocessing) -> Transform:
    """The evaluation transform of timm for a checkpoint's data config without its normalisation, which lives in the model.

    Returns:
        A function from an RGB image to uint8 ``(3, H, W)``.

    Raises:
        CheckpointError: Its processor can't be had.
    """
    if preprocessing.processor:
        return _processed(preprocessing)
    from timm.data import create_transform

    *geometry, _to_tensor = create_transform(
        input_size=preprocessing.input_size,
        is_training=False,
        interpolation=preprocessing.interpolation,
        crop_pct=preprocessing.crop_pct,
        crop_mode=preprocessing.crop_mode,
        mean=preprocessing.mean,  # the colour that crop_mode border fills with
        normalize=False,
    ).transforms
    _, height, width = preprocessing.input_size
    fits = (width, height) if preprocessing.crop_pct == 1.0 else None

    def transform(image: Image.Image) -> NDArray[np.uint8]:
        if image.size != fits:  # timm's steps leave an image of the right size as it is, but take their time
            for step in geometry:
                image = step(image)
        return np.asarray(image).transpose(2, 0, 1)

    return transform


def _processed(preprocessing: Preprocessing) -> Transform:
    pixels = pixels_of(preprocessing.processor)

    def transform(image: Image.Image) -> NDArray[np.uint8]:
        made = pixels(image)
        if made.shape != preprocessing.input_size:
            height, width = made.shape[1:]
            message = f"the checkpoint's image processor makes {height} x {width} pixels of an image, where the network takes {preprocessing.input_size[1:]}"
            raise DatasetError("image-size", message, "give images of that size, or a processor that resizes (do_resize)")
        return made

    return transform


def decoder_for(preprocessing: Preprocessing, white: float | None = None) -> Decoder:
    """Decodes an encoded image and brings it to the size that a checkpoint wants.

    Args:
        preprocessing: Of the checkpoint.
        white: As :func:`decode`.
    """
    transform = transform_for(preprocessing)
    return lambda encoded, example: transform(decode(encoded, example, white))


def stack(images: list[Pixels]) -> Tensor:
    """Images ``(3, H, W)``, uint8 or float32 in [0, 1], as one float32 ``(B, 3, H, W)`` in [0, 1]."""
    pixels = torch.from_numpy(np.stack(images))
    return pixels.float().div_(255.0) if pixels.dtype == torch.uint8 else pixels.float()


def decode(encoded: bytes, example: str, white: float | None = None) -> Image.Image:
    """The image as a person sees it: upright (EXIF), RGB, 8 bits a channel.

    Grey, palette, CMYK and deeper images are converted; transparency is dropped, as timm's and torchvision's loaders do.

    Args:
        encoded: Of one of the formats that are read, by content.
        example: Its id, for messages.
        white: Value of white in images of more than 8 bits; ``None`` takes 65535 for whole numbers and 1 for others.

    Raises:
        DatasetError: The bytes are no image, a broken one, one larger than can be right, or one with values beyond white.
    """
    try:
        image = open_image(encoded)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image if image.mode == "RGB" else _eight_bits(image, white).convert("RGB")
    except (OSError, SyntaxError, ValueError, MemoryError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = "it is no image" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
        raise DatasetError(
            "corrupt-image", f"the image of example {example} can't be read: {reason}", "repair or remove it; an example is never skipped in silence"
        ) from error


def is_deep(mode: str) -> bool:
    """Whether images of a Pillow mode have more than 8 bits a channel."""
    return mode.startswith(("I", "F"))


def _eight_bits(image: Image.Image, white: float | None) -> Image.Image:
    # PIL clips deep images to white on conversion instead of scaling them.
    if not is_deep(image.mode):
        return image
    pixels = np.asarray(image).astype(np.float64)
    top = white if white is not None else 1.0 if image.mode.startswith("F") else 65535.0
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(pixels).all() and low >= -TOLERANCE * top and high <= top * (1 + TOLERANCE)):
        raise ValueError(f"it holds values from {low:g} to {high:g}, where 0 is black and {top:g} white")
    return Image.fromarray(np.clip(pixels / top * 255.0, 0, 255).round().astype(np.uint8))


def decoders_for(device: str) -> int:
    """How many threads should decode ahead.

    None where the model computes on the same cores: there a decoding thread and the forward pass wait for each other, which costs more than
    decoding between forward passes (1.25 against 1.07 times a loop without decoding, on two cores).
    """
    return 0 if device == "cpu" else os.cpu_count() or 1


def ahead(batches: Iterator[Batch], decoders: int) -> Iterator[Batch]:
    """The batches in order, as many as there are decoders being decoded ahead; with none, each decodes on first look.

    Raises:
        DatasetError: An image that can't be read.
    """
    if not decoders:
        yield from batches
        return
    with ThreadPoolExecutor(decoders) as pool:
        waiting: deque[Future[Batch]] = deque()
        for batch in batches:
            waiting.append(pool.submit(_look, batch))
            if len(waiting) > decoders:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _look(batch: Batch) -> Batch:
    _ = batch.images
    return batch
