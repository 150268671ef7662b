"""The file of a compressed checkpoint: its format, and how weights are decoded from it.

It is a safetensors file whose header metadata has the entry ``efficient360.compressed``, a JSON object::

    {"variant": "clustering:64",                             the code: NAME or NAME:STRENGTH
     "shapes": {"blocks.0.attn.qkv.weight": [192, 64], …},   shape of each coded weight
     "same": {"decoder.weight": "encoder.weight", …}}        tied tensors: further names → the name it is stored under

In place of a coded weight ``W`` of ``n`` values, shape ``(out, in, …)``, the file holds its parts, named ``W:PART``. All other tensors are stored unchanged.

===================  ====================================================  ===========================================================================
variant              parts                                                 decoded weight
===================  ====================================================  ===========================================================================
``half``             ``bfloat16`` ``(out, in, …)``                         the same values in float32
``quantization:B``   ``codes``: ``n`` codes of ``B`` bits;                 (code − (2^(B−1) − 1)) · scale; a scale for every 64 consecutive inputs of an
                     ``scales``: bfloat16 ``(out, ⌈n / out / 64⌉)``        output, inputs flattened
``clustering:K``     ``indices``: ``n`` codes of ``⌈log₂ K⌉`` bits;        ``table[index]``
                     ``table``: float32 ``(≤ K,)``
``pruning:P``        ``mask``: ``n`` codes of 1 bit;                       the values in order where the mask is 1, else 0
                     ``values``: float32, one per bit set
``two_of_four``      ``values``: float32 ``(n / 2,)``;                     of every 4 consecutive inputs (with input channels last) the 2 values at their
                     ``places``: ``n / 2`` codes of 2 bits                 places, else 0
                     or ``float32`` ``(out, in, …)``                       the weight itself, where its shape does not suit sparse tensor cores
===================  ====================================================  ===========================================================================

Codes are unsigned integers packed end to end, most significant bit first (:func:`pack_bits`).
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from torch import Size, Tensor, nn
from torch.nn import functional

from efficient360.errors import CheckpointError

KEY: Final = "efficient360.compressed"
"""The entry of the header's metadata."""
Parts = Mapping[str, Tensor]
"""What is stored in place of a weight, by the name of the part."""
Decoder = Callable[[Parts, Size], Tensor]
"""From the parts of a weight and its shape to the weight in float32; raises KeyError, ValueError, IndexError or RuntimeError where they don't fit."""
QUANTIZATION_GROUP: Final = 64
"""Consecutive inputs of an output that share a scale."""
SPARSE_RUN: Final = 4
"""Consecutive inputs among which 2:4 sparsity chooses."""
SPARSE_KEPT: Final = 2
"""Inputs that it keeps of them."""
SPARSE_PLACE_BITS: Final = 2
_SEPARATOR: Final = ":"


def metadata_of(variant: str, shapes: Mapping[str, Sequence[int]], tied: Mapping[str, str]) -> dict[str, str]:
    """The metadata in the header of a compressed checkpoint.

    Args:
        variant: ``NAME`` or ``NAME:STRENGTH`` of the code.
        shapes: Shape of each coded weight by name.
        tied: Further names of tensors that are stored once, see :func:`tied_names`.
    """
    entry = {"variant": variant, "shapes": {name: list(shape) for name, shape in shapes.items()}, "same": dict(tied)}
    return {KEY: json.dumps(entry, separators=(",", ":"))}


def stored_variant(metadata: Mapping[str, str]) -> str:
    """The variant that the header of a compressed checkpoint names.

    Raises:
        KeyError, ValueError: It names none.
    """
    return str(json.loads(metadata[KEY])["variant"])


def part_name(weight: str, part: str) -> str:
    """The name in the file of a part of a weight."""
    return f"{weight}{_SEPARATOR}{part}"


def stored_bytes(name: str, stored: Mapping[str, Tensor]) -> int:
    """Bytes that a file holds of the tensor ``name``, whole or in parts."""
    return sum(tensor.numel() * tensor.element_size() for key, tensor in stored.items() if name in (key, key.rpartition(_SEPARATOR)[0]))


def stored_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers of a network by name, tied ones once: what an uncompressed checkpoint of it holds."""
    persistent = network.state_dict().keys()
    return {name: tensor for name, tensor in (*network.named_parameters(), *network.named_buffers()) if name in persistent}


def tied_names(network: nn.Module) -> dict[str, str]:
    """Further names of tied parameters and persistent buffers, each with the name that :func:`stored_tensors` has it under."""
    first = {id(tensor): name for name, tensor in stored_tensors(network).items()}
    every = (*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False))
    return {name: first[id(tensor)] for name, tensor in every if first.get(id(tensor), name) != name}


def decode_weights(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, with each coded weight decoded; those of an ordinary file are left unchanged.

    Args:
        tensors: What the file holds.
        metadata: Of its header.
        path: The file, for messages.

    Raises:
        CheckpointError: The code is not known here (``packed-unknown``), or the file is damaged (``packed-damaged``).
    """
    if KEY not in metadata:
        return dict(tensors)
    try:
        entry = json.loads(metadata[KEY])
        variant, shapes = str(entry["variant"]), {str(name): Size(map(int, shape)) for name, shape in entry["shapes"].items()}
        if any(side < 1 for shape in shapes.values() for side in shape) or any(len(shape) < 2 for shape in shapes.values()):
            raise ValueError("a shape that no weight has")
        decode = _known_decoder(variant, path)
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in shapes}
        decoded: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            weight, _, part = name.rpartition(_SEPARATOR)
            if weight in parts:
                parts[weight][part] = tensor
            else:
                decoded[name] = tensor
        decoded |= {name: _decoded(decode, parts[name], shape) for name, shape in shapes.items()}
        return decoded | {str(name): decoded[first] for name, first in entry["same"].items()}
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        message = f"{path} says that it is a compressed checkpoint, but its contents do not fit ({type(error).__name__}: {reason})"
        raise CheckpointError("packed-damaged", message, "compress the original again") from error


def _known_decoder(variant: str, path: Path) -> Decoder:
    try:
        return decoder_of(variant)
    except LookupError as error:
        message = f"{path} was compressed as {variant!r}, which is not known here"
        raise CheckpointError("packed-unknown", message, "update efficient360, or compress the original again") from error


def _decoded(decode: Decoder, parts: Parts, shape: Size) -> Tensor:
    bits = 8 * sum(tensor.numel() * tensor.element_size() for tensor in parts.values())
    # No code takes less than a bit per weight, so a file can't unfold to more than 32 times its size.
    if math.prod(shape) > bits:
        raise ValueError(f"{bits} bits for {math.prod(shape)} weights")
    return decode(parts, shape).reshape(shape)


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
    planes = np.unpackbits(codes.cpu().numpy().astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
    return torch.from_numpy(np.packbits(planes))


def unpack_bits(packed: Tensor, bits: int, n: int) -> Tensor:
    """The ``n`` codes, int64 ``(n,)``, that :func:`pack_bits` packed.

    Raises:
        ValueError: There are more or fewer bytes than that takes.
    """
    if packed.numel() != -(-n * bits // 8):
        raise ValueError(f"{packed.numel()} bytes for {n} codes of {bits} bits")
    planes = np.unpackbits(packed.cpu().numpy(), count=n * bits).reshape(n, bits)
    return torch.from_numpy(np.packbits(np.pad(planes, ((0, 0), (8 - bits, 0))), axis=1)[:, 0].astype(np.int64))


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
    return parts["bfloat16"].float().reshape(shape)


def _decode_quantized(parts: Parts, shape: Size, bits: int) -> Tensor:
    codes = unpack_bits(parts["codes"], bits, shape.numel()).reshape(shape[0], -1)
    groups = quantization_groups(codes.float() - quantization_levels(bits)) * parts["scales"].float().unsqueeze(-1)
    return groups.flatten(1)[:, : codes.shape[1]].reshape(shape)


def _decode_clustered(parts: Parts, shape: Size, clusters: int) -> Tensor:
    return parts["table"][unpack_bits(parts["indices"], index_bits(clusters), shape.numel())].reshape(shape)


def _decode_pruned(parts: Parts, shape: Size, _percent: int) -> Tensor:
    weight = torch.zeros(shape.numel())
    weight[unpack_bits(parts["mask"], 1, shape.numel()).bool()] = parts["values"]
    return weight.reshape(shape)


def _decode_two_of_four(parts: Parts, shape: Size, _strength: int) -> Tensor:
    if "float32" in parts:
        return parts["float32"].float().reshape(shape)
    rows = shape.numel() // SPARSE_RUN
    places = unpack_bits(parts["places"], SPARSE_PLACE_BITS, rows * SPARSE_KEPT).reshape(rows, SPARSE_KEPT)
    weight = torch.zeros(rows, SPARSE_RUN).scatter_(1, places, parts["values"].reshape(rows, SPARSE_KEPT))
    # Flattened in between for contiguous strides, by which convolutions choose how they compute.
    return weight.reshape(shape[0], *shape[2:], shape[1]).movedim(-1, 1).reshape(-1).reshape(shape)


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
