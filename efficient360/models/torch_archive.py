"""What can be told of a file of ``torch.save`` before anything of it is built: checksums, how far it unfolds, and how its pickle nests."""

import copy
import io
import pickletools
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

ARCHIVE: Final = b"PK\x03\x04"
"""How a file of ``torch.save`` begins since 2020; older ones are pickles one after the other."""
UNFOLDS: Final = 16
"""How many times its size a file may unfold to. torch compresses nothing, and tensors that share storage share little."""
PICKLE_LIMIT: Final = 64 * 2**20
"""Bytes of a pickle; tensors' values stand outside it."""
MOST_STEPS: Final = 2_000_000
"""Opcodes of a pickle: a tensor takes some thirty, the largest network with its optimizer some hundred thousand."""
MOST_VALUES: Final = 10_000_000
"""Values that an object unfolds to when those it names twice are counted twice, as hashing and printing do."""
DEEPEST: Final = 200
_BLOCK: Final = 2**20
_ROOM: Final = 2**20
_OLD_PICKLES: Final = 5
"""Pickles that an older file begins with: a magic number, the protocol, the system, the object and the storages' keys."""


def require_sound(path: Path, head: bytes) -> None:
    """Check a file of ``torch.save``.

    Args:
        path: The file.
        head: Its first bytes.

    Raises:
        ValueError: Damaged, with the reason.
        OverflowError: It unfolds to more than a file of its size can hold.
    """
    if head.startswith(ARCHIVE):
        _require_sound_archive(path)
        return
    with path.open("rb") as file:
        beginning = io.BytesIO(file.read(PICKLE_LIMIT))
    for _ in range(_OLD_PICKLES):
        _require_small_pickle(beginning)


def _require_sound_archive(path: Path) -> None:
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            if sum(record.file_size for record in records) > UNFOLDS * size + _ROOM:
                raise OverflowError
            if len({record.filename for record in records}) < len(records):
                raise ValueError("it holds a record twice")
            for record in map(_checkable, records):
                if record.filename.endswith(".pkl"):
                    if record.file_size > PICKLE_LIMIT:
                        raise OverflowError
                    _require_small_pickle(io.BytesIO(archive.read(record)))
                else:
                    _read_through(archive, record)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(str(error) or "it ends too early") from error


def _checkable(record: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The record, or one without a checksum where torch was told to write none, which stands there as 0."""
    if record.CRC:
        return record
    unchecked = copy.copy(record)
    del unchecked.CRC
    return unchecked


def _read_through(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> None:
    """Read a record to its end, which compares its checksum."""
    with archive.open(record) as file:
        while file.read(_BLOCK):
            pass


def _require_small_pickle(file: BinaryIO) -> None:
    """Follow a pickle's opcodes with numbers in place of objects. What is no pickle passes: its reader says so better.

    Raises:
        OverflowError: It unfolds to too much.
    """
    try:
        for size, depth in _sizes(file):
            if size > MOST_VALUES or depth > DEEPEST:
                raise OverflowError
    except (ValueError, IndexError, EOFError, UnicodeDecodeError):
        return


def _sizes(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Values and levels of every object that a pickle builds, those named again counted again."""
    stack: list[tuple[int, int] | None] = []  # None is a mark
    memo: dict[int, tuple[int, int]] = {}
    for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if step > MOST_STEPS:
            raise OverflowError
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if opcode.name == "MEMOIZE" else int(argument or 0)] = stack[-1] or (1, 1)
        elif opcode.name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo.get(int(argument or 0), (1, 1)))
        elif opcode.name == "MARK":
            stack.append(None)
        else:
            taken = list(_popped(stack, [kind.name for kind in opcode.stack_before]))
            built = 1 + sum(size for size, _ in taken), 1 + max((depth for _, depth in taken), default=0)
            yield built
            stack += [built] * len(opcode.stack_after)


def _popped(stack: list[tuple[int, int] | None], kinds: list[str]) -> Iterator[tuple[int, int]]:
    if "mark" in kinds:
        while (top := stack.pop()) is not None:
            yield top
        kinds = kinds[: kinds.index("mark")]
    for _ in kinds:
        yield stack.pop() or (1, 1)
