"""The image formats that are read: a closed list, told apart by content, none of which starts a program or has a size worth fearing."""

import io
import re
from typing import Final

from PIL import Image

FORMATS: Final = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
"""Pillow's names. Left out are formats without a signature, and those that Pillow hands to another program (EPS to Ghostscript)."""
ENDINGS: Final = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".png",
        ".apng",
        ".webp",
        ".avif",
        ".avifs",
        ".gif",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".pfm",
        ".jp2",
        ".j2k",
        ".jpf",
        ".jpx",
    ]
)
"""Endings, in lower case, of files that must be images."""
UNREAD_ENDINGS: Final = frozenset(
    [
        ".heic",
        ".heif",
        ".jxl",
        ".svg",
        ".svgz",
        ".eps",
        ".ps",
        ".pdf",
        ".ai",
        ".psd",
        ".tga",
        ".ico",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".raw",
        ".exr",
        ".hdr",
        ".dcm",
        ".npy",
    ]
)
"""Endings of pictures in formats that are not read: left out with a word of their own."""
MAX_PIXELS: Final = 89_478_485
"""Pixels of the largest image that is decoded: Pillow's own limit, a quarter of a gigabyte as RGB."""
FEW_PIXELS: Final = 1 << 22
"""An image of fewer pixels may be packed as tightly as it likes."""
PIXELS_PER_BYTE: Final = 1000
"""More pixels than this for each encoded byte, in an image of many, are no photograph: the header says more than the file holds."""
HEAD: Final = 32
"""Bytes that tell the format."""

_SIGNATURES: Final = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|....ftyp(?:avif|avis)|GIF8[79]a|BM....\0\0\0\0|II\*\0|MM\0\*|II\+\0|MM\0\+"
    rb"|P[1-6]\s+[\d#]|P[fF]\s+\d|\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
    re.DOTALL,
)


def is_image(head: bytes) -> bool:
    """Whether a file that begins with these :data:`HEAD` bytes is of a format that is read."""
    return _SIGNATURES.match(head) is not None


def open_image(encoded: bytes) -> Image.Image:
    """An image whose header is read and whose pixels are not.

    Raises:
        OSError, SyntaxError, ValueError: It is of none of :data:`FORMATS`, broken, or larger than can be right.
    """
    if not encoded:
        raise ValueError("it is no image but empty")
    if not is_image(encoded[:HEAD]):
        raise ValueError(f"it is no image in one of the formats that are read ({', '.join(FORMATS)})")
    image = Image.open(io.BytesIO(encoded), formats=FORMATS)
    width, height = image.size
    if width * height > MAX_PIXELS or width * height > max(FEW_PIXELS, PIXELS_PER_BYTE * len(encoded)):
        raise ValueError(f"its header says {width} x {height} pixels in {len(encoded)} bytes, which is more than can be right")
    return image
