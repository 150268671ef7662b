"""What can be wrong with a file that some program wrote: with its bytes, and with the value at every place of the data in it."""

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WRONG: list[Any] = [None, True, -1, 0, 3, 10**30, 10**400, 0.5, 1e308, "", "x", "../../outside", "x" * 5000, "\x1b[31m\u202e", [], [[]], {}, {"a": {"b": []}}]
"""Values of every type, of which a place in data takes one kind at most."""
MISSING = object()


def places(data: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in data; of a list the first element only."""
    if isinstance(data, dict):
        for key in data:
            yield (*place, key)
            yield from places(data[key], (*place, key))
    elif isinstance(data, list) and data:
        yield (*place, 0)
        yield from places(data[0], (*place, 0))


def with_value(data: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """The data with another value at one place, or without it."""
    changed = copy.deepcopy(data)
    inner = changed
    for part in place[:-1]:
        inner = inner[part]
    if value is MISSING:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return changed


def as_json(data: Any) -> bytes:
    """Data as JSON, as careless programs write it: infinities, numbers of any length."""
    return json.dumps(data).encode()


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path, bytes], None]:
    def write(path: Path, sound: bytes) -> None:
        path.write_bytes(change(sound))

    return write


def _zeroed(sound: bytes) -> bytes:
    middle = len(sound) // 2
    return sound[: middle - 8] + bytes(16) + sound[middle + 8 :]


def _folder(path: Path, _sound: bytes) -> None:
    path.mkdir()


def _pipe(path: Path, _sound: bytes) -> None:
    os.mkfifo(path)


def _device(path: Path, _sound: bytes) -> None:
    path.symlink_to("/dev/zero")


def _loop(path: Path, _sound: bytes) -> None:
    path.symlink_to(path.name)


def _sparse(path: Path, _sound: bytes) -> None:
    with path.open("wb") as file:
        file.truncate(2**42)


FILES: dict[str, Callable[[Path, bytes], None]] = {
    "empty": _bytes(lambda _: b""),
    "half": _bytes(lambda sound: sound[: len(sound) // 2]),
    "zeroed": _bytes(_zeroed),
    "noise": _bytes(lambda _: bytes(range(256)) * 8),
    "UTF-16": _bytes(lambda sound: sound.decode(errors="replace").encode("utf-16")),
    "Latin-1": _bytes(lambda sound: sound + b"\n# \xe9\xff"),
    "nested deeply": _bytes(lambda _: b"[" * 200_000),
    "nested deeply, and closed": _bytes(lambda _: b'{"a":' * 900 + b"1" + b"}" * 900),
    "a long number": _bytes(lambda _: b"9" * 5000),
    "half a character": _bytes(lambda _: b'{"name": "\\ud800", "architecture": "\\udfff"}'),
    "null": _bytes(lambda _: b"null"),
    "a list": _bytes(lambda _: b"[1, 2]"),
    "a text": _bytes(lambda _: b'"text"'),
    "a folder": _folder,
    "a pipe": _pipe,
    "a device": _device,
    "a link to itself": _loop,
    "4 TB": _sparse,
}
"""Writes a damaged file at a path, given the sound one's bytes."""
