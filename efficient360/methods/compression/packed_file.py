"""The safetensors file of a compressed checkpoint: what its header says, and how its parts are named."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from torch import Tensor

KEY: Final = "efficient360.compressed"
"""Where the header's metadata says what is in the file."""
_BETWEEN: Final = ":"


def note_of(variant: str, shapes: Mapping[str, Sequence[int]], same: Mapping[str, str]) -> dict[str, str]:
    """The header's metadata of a file.

    Args:
        variant: ``NAME`` or ``NAME:STRENGTH`` of the compressor.
        shapes: Of each coded weight by name.
        same: Further names of tensors that stand once in the file.
    """
    said = {"variant": variant, "shapes": {name: list(shape) for name, shape in shapes.items()}, "same": dict(same)}
    return {KEY: json.dumps(said, separators=(",", ":"))}


def variant_of(note: Mapping[str, str]) -> str:
    """The variant that the header of a compressed checkpoint names.

    Raises:
        KeyError, ValueError: It names none.
    """
    return str(json.loads(note[KEY])["variant"])


def bytes_of(weight: str, packed: Mapping[str, Tensor]) -> int:
    """Bytes that a file holds of a tensor, whole or in parts."""
    return sum(tensor.numel() * tensor.element_size() for name, tensor in packed.items() if weight in (name, name.rpartition(_BETWEEN)[0]))


def part_name(weight: str, part: str) -> str:
    """The name in the file of a part of a weight."""
    return f"{weight}{_BETWEEN}{part}"
