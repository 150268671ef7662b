"""The weights of a compressed checkpoint, made again of what its file holds."""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path

from torch import Size, Tensor

from efficient360.errors import CheckpointError, SettingsError
from efficient360.methods.compression.compressor import Coder
from efficient360.methods.compression.packed_file import KEY, part_name
from efficient360.methods.compression.variants import parse


def unpacked_weights(tensors: Mapping[str, Tensor], note: Mapping[str, str], path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint: those of a file as they are, or with each coded weight made again.

    Args:
        tensors: Of the file.
        note: Its header's metadata.
        path: For messages.

    Raises:
        CheckpointError: The file was packed in a way that is not known here, or is damaged.
    """
    if KEY not in note:
        return dict(tensors)
    try:
        said = json.loads(note[KEY])
        variant, shapes = str(said["variant"]), {str(name): Size(map(int, shape)) for name, shape in said["shapes"].items()}
        if any(side < 1 for shape in shapes.values() for side in shape) or any(len(shape) < 2 for shape in shapes.values()):
            raise ValueError("a shape that no weight has")
        coder = _coder(variant, path)
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in shapes}
        found: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            weight, _, part = name.rpartition(part_name("", ""))
            if weight in parts:
                parts[weight][part] = tensor
            else:
                found[name] = tensor
        found |= {name: _decoded(coder, parts[name], shape) for name, shape in shapes.items()}
        return found | {str(name): found[first] for name, first in said["same"].items()}
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        message = f"{path} says that it is a compressed checkpoint, but what it holds does not fit ({type(error).__name__}: {reason})"
        raise CheckpointError("packed-damaged", message, "compress the original again") from error


def _coder(variant: str, path: Path) -> Coder:
    try:
        coder = parse(variant)
    except SettingsError as error:
        message = f"{path} was compressed as {variant!r}, which is not known here"
        raise CheckpointError("packed-unknown", message, "update efficient360, or compress the original again") from error
    if not isinstance(coder, Coder):
        raise CheckpointError("packed-unknown", f"{path} was compressed as {variant!r}, which leaves no weights to read", "compress the original again")
    return coder


def _decoded(coder: Coder, parts: Mapping[str, Tensor], shape: Size) -> Tensor:
    held = 8 * sum(tensor.numel() * tensor.element_size() for tensor in parts.values())
    # No code here takes less than a bit a weight: a file can't unfold to more than 32 times its size.
    if prod(shape) > held:
        raise ValueError(f"{held} bits for {prod(shape)} weights")
    return coder.decode(parts, shape).reshape(shape)
