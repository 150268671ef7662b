"""Small whole numbers packed bit by bit."""

import numpy as np
import torch
from torch import Tensor


def packed(codes: Tensor, bits: int) -> Tensor:
    """Codes end to end with ``bits`` bits each, most significant bit first; the last byte is filled up with zeros.

    Args:
        codes: Whole numbers from 0 to ``2**bits - 1``, flat.
        bits: 1 to 8.

    Returns:
        uint8 ``(ceil(n · bits / 8),)``.
    """
    planes = np.unpackbits(codes.cpu().numpy().astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
    return torch.from_numpy(np.packbits(planes))


def unpacked(packed_codes: Tensor, bits: int, n: int) -> Tensor:
    """The ``n`` codes, int64 ``(n,)``, that :func:`packed` packed.

    Raises:
        ValueError: There are more or fewer bytes than that takes.
    """
    if packed_codes.numel() != -(-n * bits // 8):
        raise ValueError(f"{packed_codes.numel()} bytes for {n} codes of {bits} bits")
    planes = np.unpackbits(packed_codes.cpu().numpy(), count=n * bits).reshape(n, bits)
    return torch.from_numpy(np.packbits(np.pad(planes, ((0, 0), (8 - bits, 0))), axis=1)[:, 0].astype(np.int64))
