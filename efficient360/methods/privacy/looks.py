"""What an image looks like to somebody without the model: its downsampled pixels and a few statistics, and a fingerprint of all its pixels."""

import hashlib
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.batch import Batch

SIDE: Final = 8
FINGERPRINT: Final = 0
"""Column of the fingerprint; the features follow."""
WIDTH: Final = 1 + 3 * SIDE * SIDE + 3 + 2
_BYTES = 6
"""48 bits: exact in a float64, and two different images share them once in 10¹⁴ pairs."""


def looks_of(batch: Batch) -> NDArray[np.float64]:
    """Fingerprint and features of a batch's images, float64 ``(B, 198)``.

    The features are 8×8 mean colours, the deviation of each channel, and the mean difference of neighbouring pixels across and down: what differs
    when one split was brightened, resized, sharpened or compressed otherwise than the other.
    """
    images = batch.images.detach().cpu().float()
    small = torch.nn.functional.adaptive_avg_pool2d(images, SIDE).flatten(1)
    across = (images[..., 1:] - images[..., :-1]).abs().mean((1, 2, 3))
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean((1, 2, 3))
    features = torch.cat([small, images.flatten(2).std(2), across[:, None], down[:, None]], dim=1).double().numpy()
    return np.concatenate([np.array([[_fingerprint(image)] for image in images.numpy()]), features], axis=1)


def _fingerprint(image: NDArray[Any]) -> float:
    pixels = np.rint(image * 255).astype(np.uint8).tobytes()
    return float(int.from_bytes(hashlib.blake2b(pixels, digest_size=_BYTES).digest(), "little"))


def told_apart(members: NDArray[Any], others: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places on either side of images that do not also stand on the other, as many on both.

    An image on both sides is member and no member at once; each such pair is left out.

    Args:
        members: Fingerprints ``(n,)``.
        others: Fingerprints ``(n,)``.
    """
    mine, yours = (np.flatnonzero(~np.isin(a, b)) for a, b in ((members, others), (others, members)))
    n = min(len(mine), len(yours))
    return mine[:n].astype(np.int64), yours[:n].astype(np.int64)
