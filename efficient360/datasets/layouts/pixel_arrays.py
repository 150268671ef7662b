"""Images that lie in arrays, as the encoded images that everything after them reads: uncompressed PPM and PGM, so that nothing is lost or changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final, overload

import numpy as np
from numpy.typing import NDArray

from efficient360.errors import DatasetError

WHOLE: Final = 1e-3
"""How far from a whole number of 255ths a value in [0, 1] may be."""


@final
@dataclass(frozen=True)
class ArrayImages(Sequence[bytes]):
    """Images of an array, each encoded when it is asked for.

    Args:
        pixels: uint8 ``(n, H, W)`` or ``(n, H, W, 3)``.
    """

    pixels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pixels)

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[bytes]: ...
    def __getitem__(self, i: int | slice) -> bytes | Sequence[bytes]:
        """One image, encoded, or some of them."""
        if isinstance(i, slice):
            return ArrayImages(self.pixels[i])
        image = self.pixels[i]
        return f"P{5 if image.ndim == 2 else 6}\n{image.shape[1]} {image.shape[0]}\n255\n".encode() + np.ascontiguousarray(image).tobytes()


def array_images(pixels: NDArray[Any], what: str) -> ArrayImages:
    """The images of an array of any usual form: grey or RGB, channels first or last, or each flattened with channels first as CIFAR's are.

    Args:
        pixels: uint8; whole numbers from 0 to 255; or floating point, whole numbers of 255ths in [0, 1] or from 0 to 255.
        what: What to call it in an error.

    Raises:
        DatasetError: It is no such array.
    """
    shape = pixels.shape
    if pixels.ndim == 2 and shape[1] % 3 == 0 and (side := round((shape[1] // 3) ** 0.5)) ** 2 * 3 == shape[1]:
        pixels = pixels.reshape(-1, 3, side, side)
    elif pixels.ndim == 2 and (side := round(shape[1] ** 0.5)) ** 2 == shape[1]:
        pixels = pixels.reshape(-1, side, side)
    if pixels.ndim == 4 and pixels.shape[1] in (1, 3) and pixels.shape[3] not in (1, 3):
        pixels = pixels.transpose(0, 2, 3, 1)
    if pixels.ndim == 4 and pixels.shape[3] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[3] != 3) or 0 in pixels.shape:
        raise DatasetError("not-an-image", f"{what} is an array of shape {shape}, not of images", "give (n, H, W), (n, H, W, 3) or (n, 3, H, W)")
    return ArrayImages(_eight_bits(pixels, what))


def _eight_bits(pixels: NDArray[Any], what: str) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    low, high = (float(pixels.min()), float(pixels.max())) if pixels.dtype.kind in "iuf" else (np.nan, np.nan)
    if not (low >= 0 and high <= 255):
        message = f"{what} holds {pixels.dtype} from {low:g} to {high:g}, which are no pixels of 8 bits"
        raise DatasetError("pixel-range", message, "save them as uint8, before any normalisation")
    scaled = pixels * 255.0 if pixels.dtype.kind == "f" and high <= 1 else pixels
    rounded = np.round(scaled)
    if float(np.abs(scaled - rounded).max()) > WHOLE * 255:
        raise DatasetError("pixel-range", f"{what} holds values from {low:g} to {high:g} that 8 bits can't hold exactly", "save them as uint8")
    return rounded.astype(np.uint8)
