"""What a pickle that was read inertly comes to: plain values, tensors, and the names of objects that are neither."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor

from efficient360.models.inert_pickle import StandIn, StandInType

DTYPES: Final = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "UntypedStorage": torch.uint8,
}
"""The dtype of a storage by the name of its class."""
_NUMBERS: Final = re.compile(r"[<>|=]?(b1|[iuf][1248]|c8|c16)")
_MOST_AXES: Final = 64


@final
@dataclass(frozen=True)
class Named:
    """An object of which only its type is kept.

    Args:
        path: Qualified name of the type.
    """

    path: str


@final
@dataclass(frozen=True)
class Storage:
    """A tensor's storage, not yet read.

    Args:
        key: What the file calls it.
        dtype: Of its elements.
        count: Number of elements.
    """

    key: str
    dtype: torch.dtype
    count: int

    @classmethod
    def of(cls, pid: Any) -> "Storage":
        """What a persistent id ``("storage", class, key, location, count, …)`` says.

        Raises:
            ValueError: It is no such id, or of a kind of storage that is not read.
        """
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], StandInType) or (len(pid) > 5 and pid[5] is not None):
            raise ValueError("it names no storage")
        name = pid[1].path.rpartition(".")[2]
        if name not in DTYPES or not isinstance(pid[2], str) or not _is_size(pid[4]):
            raise ValueError(f"a storage of the class {name} is not read")
        return cls(pid[2], DTYPES[name], pid[4])


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62


@final
class Values:
    """Turns what was unpickled into plain values, each object once.

    Args:
        read: The elements ``(count,)`` of a storage.
    """

    def __init__(self, read: Callable[[Storage], Tensor]) -> None:
        self._read = read
        self._done: dict[int, Any] = {}
        self._kept: list[Any] = []

    def of(self, value: Any) -> Any:
        """Dictionaries, lists, tuples, numbers, texts, bytes, tensors and arrays; :class:`Named` for what is none of them. A layer is its state dict.

        Raises:
            ValueError: A tensor doesn't fit its storage.
        """
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return value
        if id(value) in self._done:
            return self._done[id(value)]
        self._kept.append(value)  # so that no other object gets its id
        if isinstance(value, dict):
            mapping: dict[Any, Any] = {}
            self._done[id(value)] = mapping
            for key, item in dict.items(value):
                mapping[_key(key)] = self.of(item)
            return mapping
        if isinstance(value, list | set | frozenset):
            items: list[Any] = []
            self._done[id(value)] = items
            items.extend(self.of(item) for item in list(value))
            return items
        if isinstance(value, tuple):
            made: Any = tuple(self.of(item) for item in value)
        elif isinstance(value, bytearray):
            made = bytes(value)
        elif isinstance(value, StandIn):
            self._done[id(value)] = Named(type(value).path)  # what an object that holds itself finds
            made = self._object(value)
        else:
            made = Named(value.path if isinstance(value, StandInType) else type(value).__name__)
        self._done[id(value)] = made
        return made

    def _object(self, value: StandIn) -> Any:
        path, args, state = type(value).path, value.args, value.state
        last = path.rpartition(".")[2]
        if path.startswith("torch._utils._rebuild_parameter") and args:
            return self.of(args[0])
        if path.startswith("torch._utils._rebuild_tensor"):
            return self._tensor(last, args)
        if last in ("scalar", "_reconstruct", "_frombuffer"):
            array = _array(last, args, state)
            return Named(path) if array is None else array
        if path.startswith("pathlib."):
            return "/".join(str(arg) for arg in args if isinstance(arg, str))
        if isinstance(state, dict):
            if "_parameters" in state and "_modules" in state:
                return self._state_dict(state)
            if "_content" in state or "_val" in state:  # omegaconf's dictionaries and values
                return self.of(state.get("_content", state.get("_val")))
            if last in ("Namespace", "SimpleNamespace"):
                return self.of(state)
        return Named(path)

    def _tensor(self, last: str, args: tuple[Any, ...]) -> Any:
        if len(args) < 4 or not isinstance(args[0], Storage):
            raise ValueError("a tensor without a storage")
        storage, offset, size, stride = args[0], args[1], tuple(args[2]), tuple(args[3])
        if not all(_is_size(n) for n in (offset, *size, *stride)) or len(size) != len(stride) or len(size) > _MOST_AXES:
            raise ValueError(f"a tensor of the shape {size!r}"[:100])
        elements = self._read(storage)
        if last == "_rebuild_tensor_v3" and len(args) > 6 and isinstance(args[6], StandInType):
            dtype = getattr(torch, args[6].path.removeprefix("torch."), None)
            if not isinstance(dtype, torch.dtype):
                raise ValueError(f"a tensor of {args[6].path}")
            elements = elements.view(dtype)
        if 0 not in size and offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) >= len(elements):
            raise ValueError("a tensor that is larger than its storage")
        return torch.empty(size, dtype=elements.dtype) if 0 in size else elements.as_strided(size, stride, offset)

    def _state_dict(self, module: dict[str, Any]) -> dict[str, Any]:
        """The tensors of a layer and the layers inside it, by dotted name."""
        temporary = module.get("_non_persistent_buffers_set") or ()
        tensors: dict[str, Any] = {}
        for kind in ("_parameters", "_buffers"):
            for name, tensor in _items(module.get(kind)):
                if tensor is not None and name not in temporary:
                    tensors[name] = self.of(tensor)
        for name, inner in _items(module.get("_modules")):
            held = self.of(inner)
            if isinstance(held, dict):
                tensors |= {f"{name}.{key}": tensor for key, tensor in held.items()}
        return tensors


def _key(key: Any) -> Any:
    return key if isinstance(key, str | int | float | bool | bytes | type(None)) else f"<{type(key).path if isinstance(key, StandIn) else type(key).__name__}>"


def _items(value: Any) -> list[tuple[str, Any]]:
    return [(name, item) for name, item in value.items() if isinstance(name, str)] if isinstance(value, dict) else []


def _array(kind: str, args: tuple[Any, ...], state: Any) -> Any:
    """A NumPy scalar, as a number, or a NumPy array; ``None`` where it holds something else than numbers."""
    if kind == "scalar" and len(args) == 2:
        shape, dtype, data = (), _dtype(args[0]), args[1]
    elif kind == "_reconstruct" and isinstance(state, tuple) and len(state) == 5 and not state[3]:
        shape, dtype, data = state[1], _dtype(state[2]), state[4]
    elif kind == "_frombuffer" and len(args) >= 3:
        shape, dtype, data = args[2], _dtype(args[1]), args[0]
    else:
        return None
    if dtype is None or not isinstance(data, bytes | bytearray) or not isinstance(shape, tuple) or not all(_is_size(n) for n in shape):
        return None
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of {len(data)} bytes for the shape {shape!r}"[:100])
    array = np.frombuffer(data, dtype).astype(dtype.newbyteorder("=")).reshape(shape)
    return array.item() if kind == "scalar" else array


def _dtype(value: Any) -> Any:
    if not isinstance(value, StandIn) or not value.args or not isinstance(value.args[0], str) or not _NUMBERS.fullmatch(value.args[0]):
        return None
    order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "="
    return np.dtype(value.args[0]).newbyteorder(order if order in ("<", ">") else "=")
