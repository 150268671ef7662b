"""The codes that a weight of a compressed checkpoint may be stored in, and how each is decoded; their parts are listed in ``compressed_file``."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Size, Tensor
from torch.nn import functional

Parts = Mapping[str, Tensor]
"""What is stored in place of a weight, by the name of the part."""
Decoder = Callable[[Parts, Size], Tensor]
"""From the parts of a weight and its shape to the weight in float32; raises ValueError where they don't fit."""
QUANTIZATION_GROUP: Final = 64
"""Consecutive inputs of an output that share a scale."""
SPARSE_RUN: Final = 4
"""Consecutive inputs among which 2:4 sparsity chooses."""
SPARSE_KEPT: Final = 2
"""Inputs that it keeps of them."""
SPARSE_PLACE_BITS: Final = 2
_BLOCK: Final = 2**20
"""Codes decoded at a time, a multiple of 8: what decoding takes beside the weights themselves."""


def _part(parts: Parts, name: str, dtype: torch.dtype, shape: Sequence[int]) -> Tensor:
    """A part, of exactly this type and shape: one that is only broadcast to it would be other weights."""
    tensor = parts.get(name)
    if tensor is None:
        raise ValueError(f"no {name}")
    if tensor.dtype is not dtype or tensor.shape != Size(shape):
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ValueError(f"{name} of {kind} {list(tensor.shape)} instead of {str(dtype).removeprefix('torch.')} {list(shape)}")
    return tensor.cpu()


def _codes(parts: Parts, name: str, bits: int, n: int) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """The ``n`` codes that :func:`pack_bits` packed, uint8, a block at a time with its place."""
    packed = _part(parts, name, torch.uint8, [-(-n * bits // 8)]).numpy()
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        yield slice(start, stop), _unpacked(packed[start * bits // 8 : -(-stop * bits // 8)], bits, stop - start)


_GROUP: Final = 8
"""Codes of ``b`` bits that fill ``b`` whole bytes, which a 64-bit word holds."""


def _unpacked(packed: NDArray[np.uint8], bits: int, n: int) -> NDArray[np.uint8]:
    """The first ``n`` codes of whole bytes: a word for every eight of them, shifted eight times, which is a tenth of the time of going bit by bit."""
    groups = -(-n // _GROUP)
    whole = np.zeros(groups * bits, np.uint8)
    whole[: len(packed)] = packed
    padded = np.zeros((groups, 8), np.uint8)
    padded[:, 8 - bits :] = whole.reshape(groups, bits)
    words = padded.view(">u8")[:, 0].astype(np.uint64)
    codes = np.empty((groups, _GROUP), np.uint8)
    for place in range(_GROUP):
        codes[:, place] = (words >> np.uint64(bits * (_GROUP - 1 - place))).astype(np.uint8)  # the low byte
    codes &= np.uint8((1 << bits) - 1)
    return codes.reshape(-1)[:n]


def decoder_of(variant: str) -> Decoder:
    """The decoder of ``NAME`` or ``NAME:STRENGTH``.

    Raises:
        LookupError: There is no such code, or not of this strength.
    """
    name, colon, strength = variant.partition(":")
    code = CODES[name]
    if code.strengths is None and not colon:
        return lambda parts, shape: code.decode(parts, shape, 0)
    if code.strengths is None or not strength.isdecimal() or int(strength) not in code.strengths:
        raise LookupError(variant)
    return lambda parts, shape: code.decode(parts, shape, int(strength))


def pack_bits(codes: Tensor, bits: int) -> Tensor:
    """Codes end to end with ``bits`` bits each, most significant bit first; the last byte is padded with zeros.

    Args:
        codes: Integers from 0 to ``2**bits - 1``, flat.
        bits: 1 to 8.

    Returns:
        uint8 ``(ceil(n · bits / 8),)``.
    """
    flat = codes.cpu().numpy().astype(np.uint8)
    groups = -(-len(flat) // _GROUP)
    whole = np.zeros((groups, _GROUP), np.uint8)
    whole.reshape(-1)[: len(flat)] = flat
    words = np.zeros(groups, np.uint64)
    for place in range(_GROUP):
        words |= whole[:, place].astype(np.uint64) << np.uint64(bits * (_GROUP - 1 - place))
    packed = words.astype(">u8").view(np.uint8).reshape(groups, 8)[:, 8 - bits :]
    return torch.from_numpy(packed.reshape(-1)[: -(-len(flat) * bits // 8)].copy())


def unpack_bits(packed: Tensor, bits: int, n: int) -> Tensor:
    """The ``n`` codes, int64 ``(n,)``, that :func:`pack_bits` packed.

    Raises:
        ValueError: There are more or fewer bytes than that takes.
    """
    blocks = [torch.from_numpy(codes.astype(np.int64)) for _, codes in _codes({"packed": packed}, "packed", bits, n)]
    return torch.cat(blocks) if blocks else torch.empty(0, dtype=torch.int64)


def quantization_levels(bits: int) -> int:
    """Quantization levels on either side of zero: ``2**(bits - 1) - 1``."""
    return (1 << (bits - 1)) - 1


def quantization_groups(matrix: Tensor) -> Tensor:
    """``(out, in)`` as ``(out, groups, 64)``, the last group padded with zeros."""
    return functional.pad(matrix, (0, -matrix.shape[1] % QUANTIZATION_GROUP)).reshape(len(matrix), -1, QUANTIZATION_GROUP)


def index_bits(clusters: int) -> int:
    """Bits of an index into a table of ``clusters`` values."""
    return math.ceil(math.log2(clusters))


def _decode_bfloat16(parts: Parts, shape: Size, _strength: int) -> Tensor:
    return _part(parts, "bfloat16", torch.bfloat16, shape).float()


def _decode_quantized(parts: Parts, shape: Size, bits: int) -> Tensor:
    rows, columns = shape[0], shape.numel() // shape[0]
    scales = _part(parts, "scales", torch.bfloat16, [rows, -(-columns // QUANTIZATION_GROUP)])
    weight = np.empty(shape.numel(), np.float32)
    for place, codes in _codes(parts, "codes", bits, shape.numel()):
        weight[place] = codes
    matrix = torch.from_numpy(weight).sub_(quantization_levels(bits)).view(rows, columns)
    step = max(1, _BLOCK // columns)
    for start in range(0, rows, step):
        block = slice(start, start + step)
        groups = quantization_groups(matrix[block]) * scales[block].float().unsqueeze(-1)
        matrix[block] = groups.flatten(1)[:, :columns]
    return matrix.view(shape)


def _decode_clustered(parts: Parts, shape: Size, clusters: int) -> Tensor:
    table = parts.get("table", torch.empty(0))
    if not 1 <= table.numel() <= clusters:
        raise ValueError(f"a table of {table.numel()} values instead of at most {clusters}")
    values = _part(parts, "table", torch.float32, [table.numel()]).numpy()
    weight = np.empty(shape.numel(), np.float32)
    for place, codes in _codes(parts, "indices", index_bits(clusters), shape.numel()):
        if codes.max() >= len(values):
            raise ValueError(f"the index {codes.max()} into a table of {len(values)} values")
        np.take(values, codes, out=weight[place])
    return torch.from_numpy(weight).view(shape)


def _decode_pruned(parts: Parts, shape: Size, _percent: int) -> Tensor:
    kept = np.empty(shape.numel(), np.bool_)
    for place, codes in _codes(parts, "mask", 1, shape.numel()):
        kept[place] = codes
    values = _part(parts, "values", torch.float32, [int(np.count_nonzero(kept))])
    weight = np.zeros(shape.numel(), np.float32)
    weight[kept] = values.numpy()
    return torch.from_numpy(weight).view(shape)


def _decode_two_of_four(parts: Parts, shape: Size, _strength: int) -> Tensor:
    if "float32" in parts:
        return _part(parts, "float32", torch.float32, shape)
    if shape.numel() % SPARSE_RUN or shape[1] % SPARSE_RUN:
        raise ValueError(f"a shape {list(shape)} that 2:4 sparsity does not suit")
    rows = shape.numel() // SPARSE_RUN
    values = _part(parts, "values", torch.float32, [rows * SPARSE_KEPT]).numpy().reshape(rows, SPARSE_KEPT)
    weight = np.zeros((rows, SPARSE_RUN), np.float32)
    for place, codes in _codes(parts, "places", SPARSE_PLACE_BITS, rows * SPARSE_KEPT):
        block = slice(place.start // SPARSE_KEPT, place.stop // SPARSE_KEPT)
        np.put_along_axis(weight[block], codes.reshape(-1, SPARSE_KEPT).astype(np.intp), values[block], axis=1)
    # Flattened in between for contiguous strides, by which convolutions choose how they compute.
    return torch.from_numpy(weight).reshape(shape[0], *shape[2:], shape[1]).movedim(-1, 1).reshape(-1).reshape(shape)


@final
@dataclass(frozen=True)
class WeightCode:
    """A way to store a weight.

    Args:
        decode: From parts, shape and strength to the weight.
        strengths: Whole numbers that it takes as its strength; ``None`` where it takes none.
    """

    decode: Callable[[Parts, Size, int], Tensor]
    strengths: range | None = None


CODES: Final[Mapping[str, WeightCode]] = {
    "half": WeightCode(_decode_bfloat16),
    "quantization": WeightCode(_decode_quantized, range(2, 9)),
    "clustering": WeightCode(_decode_clustered, range(2, 257)),
    "pruning": WeightCode(_decode_pruned, range(1, 100)),
    "two_of_four": WeightCode(_decode_two_of_four),
}
"""All codes that a compressed checkpoint may be stored in, by name."""
