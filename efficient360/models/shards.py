"""Weights in several files, as ``save_pretrained`` writes large ones: an index that names the file of each tensor."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final, final

import psutil
from pydantic import BaseModel, Field, TypeAdapter
from torch import Tensor

from efficient360.core.paths import is_file
from efficient360.core.reading import Reader
from efficient360.errors import CheckpointError

INDICES: Final = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
"""The usual names of the index, the first that is there before the other."""
_SUFFIX: Final = ".index.json"
_READER: Final = Reader(CheckpointError, "shards-invalid", "copy or download the folder again", "index of shards")


@final
class _Index(BaseModel):
    """The index: file by tensor, both without folders."""

    weight_map: Annotated[dict[str, Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/\\\x00]+$")]], Field(min_length=1)]


_INDEX: Final = TypeAdapter(_Index)


def is_index(path: Path) -> bool:
    """Whether a file's name is that of an index."""
    return path.name.endswith(_SUFFIX)


def shard_names(index: Path) -> tuple[str, ...]:
    """Names of the files that an index names, sorted.

    Raises:
        CheckpointError: The index is malformed.
    """
    return tuple(sorted(set(_named(index).values())))


def read_shards(index: Path, read: Callable[[Path], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of all files that an index names.

    Args:
        index: Its file; the others lie beside it.
        read: Reads one of them.

    Raises:
        CheckpointError: The index is malformed, or names files or tensors that are not there; all files together are larger than this machine's memory;
            or what ``read`` raises.
    """
    named = _named(index)
    files = {name: index.parent / name for name in sorted(set(named.values()))}
    if absent := [name for name, path in files.items() if not is_file(path)]:
        message = f"{index} names {len(files)} files, of which {len(absent)} are not there (first {absent[0]})"
        raise CheckpointError("shard-missing", message, "copy or download them into its folder")
    size, memory = sum(path.stat().st_size for path in files.values()), psutil.virtual_memory().total
    if size > memory:
        message = f"the shards of {index} have {size:,} bytes, more than this machine's memory of {memory:,}"
        raise CheckpointError("weights-oversized", message, "use a machine with more memory")
    tensors: dict[str, Tensor] = {}
    for name, path in files.items():
        held = read(path)
        wanted = [tensor for tensor, file in named.items() if file == name]
        if lacking := [tensor for tensor in wanted if tensor not in held]:
            raise CheckpointError("shard-missing", f"{path} lacks the tensor {lacking[0]}, which {index.name} places there", "copy or download it again")
        tensors |= {tensor: held[tensor] for tensor in wanted}
    return tensors


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files that an index names.

    Raises:
        CheckpointError: The index is malformed.
    """
    files = [path.parent / name for name in shard_names(path)] if is_index(path) else [path]
    return sum(file.stat().st_size for file in files)


def _named(index: Path) -> dict[str, str]:
    return _READER.validate(_INDEX, _READER.from_json(_READER.read_text(index), index), index).weight_map
