"""A folder of ``torch.distributed.checkpoint`` (FSDP, accelerate, Lightning): tensors in parts over several files, put together without running anything."""

import io
import math
import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from efficient360.errors import CheckpointError
from efficient360.models.inert_pickle import InertUnpickler, StandIn
from efficient360.models.torch_archive import UNFOLDS

METADATA: Final = ".metadata"
_MOST: Final = 64 * 2**20
_HINT: Final = "put it together where it was trained: python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pth"


def read_distributed(path: Path) -> tuple[dict[str, Tensor], int]:
    """The tensors of a distributed checkpoint, and the bytes of its files.

    Args:
        path: Its ``.metadata``.

    Raises:
        CheckpointError: A file is missing, damaged, or holds something else than the metadata say (``distributed-checkpoint``).
    """
    try:
        return _read(path)
    except (pickle.UnpicklingError, ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError("distributed-checkpoint", f"{path.parent} is a distributed checkpoint that can't be read ({reason})", _HINT) from error


def _read(path: Path) -> tuple[dict[str, Tensor], int]:
    if path.stat().st_size > _MOST:
        raise ValueError("its metadata are too long")
    with path.open("rb") as file:
        metadata = _fields(InertUnpickler(file, _nothing).load())
    files = {p.name: p for p in path.parent.iterdir() if p.suffix == ".distcp"}
    room = UNFOLDS * sum(p.stat().st_size for p in files.values())
    parts = _by_name(metadata["storage_data"])
    tensors: dict[str, Tensor] = {}
    for name, described in metadata["state_dict_metadata"].items():
        size = _sizes(_fields(described).get("size"))
        if isinstance(name, str) and size is not None:
            room -= math.prod(size)
            if room < 0:
                raise ValueError("it declares more than its files hold")
            tensors[name] = _joined(size, list(_parts(parts.get(name, []), name, files)))
    return tensors, sum(p.stat().st_size for p in files.values())


Place = tuple[Mapping[Any, Any], Mapping[Any, Any]]
"""Which part of a tensor, and where in which file it is."""


def _by_name(stored: Mapping[Any, Any]) -> dict[Any, list[Place]]:
    """The places of each tensor's parts."""
    places: dict[Any, list[Place]] = {}
    for index, info in stored.items():
        at = _fields(index)
        places.setdefault(at.get("fqn"), []).append((at, _fields(info)))
    return places


def _parts(places: Sequence[Place], name: str, files: Mapping[str, Path]) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Where in a tensor each of its parts begins, and the part."""
    for at, where in places:
        with files[where["relative_path"]].open("rb") as file:
            file.seek(int(where["offset"]))
            data = file.read(int(where["length"]))
        part = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if not isinstance(part, Tensor):
            raise ValueError(f"{name} is no tensor")
        offset = _sizes(at.get("offset"))
        yield offset if offset is not None else (0,) * part.ndim, part


def _joined(size: tuple[int, ...], parts: list[tuple[tuple[int, ...], Tensor]]) -> Tensor:
    if len(parts) == 1 and tuple(parts[0][1].shape) == size:
        return parts[0][1]
    if sum(part.numel() for _, part in parts) != math.prod(size) or not parts:
        raise ValueError("a part of a tensor is missing")
    whole = torch.empty(size, dtype=parts[0][1].dtype)
    for offset, part in parts:
        whole[tuple(slice(start, start + n) for start, n in zip(offset, part.shape, strict=True))].copy_(part)
    return whole


def _fields(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, StandIn) or not isinstance(value.state, dict):
        return {}
    return value.state


def _sizes(value: Any) -> tuple[int, ...] | None:
    return tuple(value) if isinstance(value, list | tuple) and all(type(n) is int and n >= 0 for n in value) else None


def _nothing(_: Any) -> Any:
    raise ValueError("a tensor among the metadata")
