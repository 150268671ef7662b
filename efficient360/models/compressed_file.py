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

Codes are unsigned integers packed end to end, most significant bit first (:func:`efficient360.models.weight_codes.pack_bits`).
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from torch import Size, Tensor, nn

from efficient360.core.reading import Reader
from efficient360.errors import CheckpointError
from efficient360.models.weight_codes import Decoder, Parts, decoder_of

KEY: Final = "efficient360.compressed"
"""The entry of the header's metadata."""
_SEPARATOR: Final = ":"


@final
class _Header(BaseModel):
    """The entry of the header's metadata."""

    model_config = ConfigDict(strict=True, extra="forbid")

    variant: str
    shapes: dict[str, Annotated[list[Annotated[int, Field(ge=1, le=2**31)]], Field(min_length=2, max_length=8)]]
    same: dict[str, str] = {}


_HEADER: Final = TypeAdapter(_Header)
_READER: Final = Reader(CheckpointError, "packed-damaged", "compress the original again", "compressed checkpoint")


def metadata_of(variant: str, shapes: Mapping[str, Sequence[int]], tied: Mapping[str, str]) -> dict[str, str]:
    """The metadata in the header of a compressed checkpoint.

    Args:
        variant: ``NAME`` or ``NAME:STRENGTH`` of the code.
        shapes: Shape of each coded weight by name.
        tied: Further names of tensors that are stored once, see :func:`tied_names`.
    """
    entry = {"variant": variant, "shapes": {name: list(shape) for name, shape in shapes.items()}, "same": dict(tied)}
    return {KEY: json.dumps(entry, separators=(",", ":"))}


def stored_variant(metadata: Mapping[str, str], path: Path) -> str:
    """The variant that the header of a compressed checkpoint names.

    Args:
        metadata: Of the header.
        path: The file, for messages.

    Raises:
        CheckpointError: It names none.
    """
    return _header(metadata, path).variant


def _header(metadata: Mapping[str, str], path: Path) -> _Header:
    return _READER.validate(_HEADER, _READER.from_json(metadata[KEY], f"{path} in its header"), f"{path} in its header")


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
    header = _header(metadata, path)
    decode = _known_decoder(header.variant, path)
    parts: dict[str, dict[str, Tensor]] = {name: {} for name in header.shapes}
    decoded: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        weight, _, part = name.rpartition(_SEPARATOR)
        if weight in parts:
            parts[weight][part] = tensor
        else:
            decoded[name] = tensor
    for name, shape in header.shapes.items():
        try:
            decoded[name] = _decoded(decode, parts.pop(name), Size(shape))
        except ValueError as error:
            raise _READER.refuse(path, f"does not fit its header: {name} has {error}") from error
    if missing := [first for first in header.same.values() if first not in decoded]:
        raise _READER.refuse(path, f"lacks the tensor {missing[0]!r}, which its header names")
    return decoded | {name: decoded[first] for name, first in header.same.items()}


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
