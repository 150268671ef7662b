"""A file of weights as what it holds, read without running code from it and by its content, whatever its name ends in."""

import argparse
import pickle
import re
import stat
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import psutil
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from efficient360.errors import CheckpointError
from efficient360.models.distributed_checkpoint import METADATA, read_distributed
from efficient360.models.inert_torch import read_inert
from efficient360.models.torch_archive import ARCHIVE, UNFOLDS, require_sound

TORCH_SUFFIXES: Final = (".pth", ".pt", ".bin", ".ckpt", ".tar")
SUFFIXES: Final = (".safetensors", *TORCH_SUFFIXES)
"""Endings by which weights are looked for in a folder. A file that is named may end in anything."""
RESAVE: Final = 'save the tensors alone: safetensors.torch.save_file(model.state_dict(), "model.safetensors")'
_RESAVE_TRUSTED: Final = f"where you trust its author, load it once with torch.load(path, weights_only=False) and {RESAVE}"
_UNPICKLER: Final = re.compile(r"WeightsUnpickler error:\s*(.*)")
_GLOBAL: Final = re.compile(r"GLOBAL (\S+)")
_JUNK: Final = ("Unsupported operand", "invalid load key", "pickle data was truncated", "Invalid magic number", "unpickling stack underflow")
"""What torch says of bytes that are not one of its pickles."""
_PICKLE: Final = b"\x80"
_OTHERS: Final = {
    b"\x89HDF": "an HDF5 file, as Keras writes",
    b"GGUF": "a GGUF file",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"7z\xbc": "a 7z archive",
}


@final
@dataclass(frozen=True)
class WeightsFile:
    """What a file holds.

    Args:
        path: The file.
        kind: What it is, in words.
        content: Nested dictionaries, lists, plain values and tensors.
        metadata: Of the header of a safetensors file.
        size: Its bytes; those of all its files, where there are several.
    """

    path: Path
    kind: str
    content: Any
    metadata: Mapping[str, str] = field(default_factory=dict)
    size: int = 0


def read_file(path: Path) -> WeightsFile:
    """What a safetensors file, a file of ``torch.save`` or a plain pickle of arrays holds.

    Raises:
        CheckpointError: The file is unreadable, truncated, larger than the machine or no weights file, or its pickle needs types that may run code.
    """
    head, size = _beginning(path)
    suffix = path.suffix.lower()
    if path.name == METADATA and head.startswith(_PICKLE):
        tensors, size = read_distributed(path)
        return WeightsFile(path.parent, "a folder of torch.distributed.checkpoint", tensors, size=size)
    if _is_safetensors(head, size) or (suffix == ".safetensors" and not head.startswith((ARCHIVE, _PICKLE))):
        return _safetensors(path)
    if head.startswith((ARCHIVE, _PICKLE)) or suffix in TORCH_SUFFIXES:
        return _torch(path, head, size)
    what = next((words for magic, words in _OTHERS.items() if head.startswith(magic)), f"no weights file: its name ends in none of {', '.join(SUFFIXES)}")
    raise CheckpointError("unknown-weights-format", f"{path} is {what}", f"give a file of torch weights; {RESAVE}")


def _beginning(path: Path) -> tuple[bytes, int]:
    """The first bytes of a file, and its size."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError("checkpoint-unreadable", f"{path} is no file", "give the file of the weights")
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise CheckpointError("checkpoint-unreadable", f"{path} can't be read: {error.strerror}", "check the path and its permissions") from error
    if status.st_size > (memory := psutil.virtual_memory().total):
        raise CheckpointError(
            "weights-oversized", f"{path} has {status.st_size:,} bytes, more than this machine's memory of {memory:,}", "use a machine with more memory"
        )
    if not head:
        raise CheckpointError("weights-truncated", f"{path} is empty", "copy or download it again")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError("git-lfs-pointer", f"{path} is a Git LFS pointer, not the weights themselves", "run git lfs pull where it was cloned")
    if head.lstrip()[:1] == b"<":
        raise CheckpointError("weights-unreadable", f"{path} is a web page, not a weights file", "download the file itself, not the page that shows it")
    return head, status.st_size


def _is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file begins with the length of a JSON header that it is long enough for."""
    return head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= size


def _safetensors(path: Path) -> WeightsFile:
    try:
        tensors = load_file(path, device="cpu")
        with safe_open(path, framework="pt") as file:
            return WeightsFile(path, "a safetensors file", tensors, file.metadata() or {}, path.stat().st_size)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _damaged(path, "safetensors file", str(error)) from error


def _torch(path: Path, head: bytes, size: int) -> WeightsFile:
    try:
        require_sound(path, head)
    except ValueError as error:
        raise _damaged(path, "file of torch.save", str(error)) from error
    except OverflowError as error:
        raise oversized(path) from error
    _require_weights_archive(path, head)
    kind = "a file of torch.save" if head.startswith(ARCHIVE) else "a file of torch.save from before 2020, or a pickle"
    try:
        # Training scripts keep their argparse options beside the weights; a Namespace only holds values.
        # Opened here, since torch goes by the name of a path.
        with path.open("rb") as file, torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return WeightsFile(path, kind, torch.load(file, map_location="cpu", weights_only=True), size=size)
    except Exception as error:  # Damaged bytes make the reader fail in any way; nothing else is called here.
        if not isinstance(error, pickle.UnpicklingError):
            raise _damaged(path, "file of torch.save", _reason(error)) from error
    return WeightsFile(path, kind, _inert(path, head), size=size)


def _inert(path: Path, head: bytes) -> Any:
    """What torch's reader refuses for values beside the weights."""
    try:
        return read_inert(path, head)
    except (pickle.UnpicklingError, ValueError) as error:
        reason = _reason(error)
        if not (wanted := _GLOBAL.search(reason)):
            raise _damaged(path, "file of torch.save", reason) from error
        raise CheckpointError(
            "unsafe-pickle", f"{path} holds more than values, {wanted[1]}: unpickling that can run any code, so it is refused", _RESAVE_TRUSTED
        ) from error


def _require_weights_archive(path: Path, head: bytes) -> None:
    """Tell apart what else is a zip archive.

    Raises:
        CheckpointError: TorchScript, an exported program or NumPy arrays.
    """
    if not head.startswith(ARCHIVE):
        return
    with zipfile.ZipFile(path) as archive:
        names = [name.rpartition("/")[2] for name in archive.namelist()]
    if "constants.pkl" in names:
        raise CheckpointError("torchscript-archive", f"{path} is a TorchScript archive: it holds code, not only weights", RESAVE)
    if any(name.startswith("serialized_exported_program") or name == "archive_format" for name in names):
        raise CheckpointError("unknown-weights-format", f"{path} is a program of torch.export, not a weights file", RESAVE)
    if names and all(name.endswith(".npy") for name in names):
        hint = 'load them into the architecture once: m = timm.create_model(NAME); m.load_pretrained("FILE.npz"), and ' + RESAVE
        raise CheckpointError("unknown-weights-format", f"{path} holds NumPy arrays, as JAX's checkpoints do", hint)


def _reason(error: Exception) -> str:
    """The one line of torch's long message that says what was wrong."""
    if isinstance(error, OSError | EOFError):
        return "it ends too early"
    text = str(error)
    match = _UNPICKLER.search(text)
    return " ".join((match[1] if match else text).split())[:160] or type(error).__name__


def _damaged(path: Path, kind: str, reason: str) -> CheckpointError:
    return CheckpointError(
        "weights-truncated", f"{path} is truncated, damaged or no {kind} ({' '.join(reason.split())[:160]})", "copy or download it again, and compare its size"
    )


def oversized(path: Path) -> CheckpointError:
    """What a file is refused with that unfolds to more than it can hold."""
    return CheckpointError("weights-oversized", f"{path} unfolds to more than {UNFOLDS} times its size", RESAVE)
