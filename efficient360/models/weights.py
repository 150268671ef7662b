"""A weights file as named tensors: read without running code from it, renamed to timm's names or decoded where needed, checked, and given a digest."""

import argparse
import hashlib
import json
import pickle
import re
import stat
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import psutil
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from efficient360.errors import CheckpointError
from efficient360.models.compressed_file import KEY, decode_weights
from efficient360.models.torch_archive import UNFOLDS, require_sound
from efficient360.models.transformers_vit import is_transformers, to_timm_names
from efficient360.models.unwrapping import unwrap

TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar")
SUFFIXES = (".safetensors", *TORCH_SUFFIXES)
_UNPICKLER = re.compile(r"WeightsUnpickler error:\s*(.*)")
_GLOBAL = re.compile(r"GLOBAL (\S+)")
# What torch says of bytes that are not one of its pickles.
_JUNK = ("Unsupported operand", "invalid load key", "pickle data was truncated", "Invalid magic number", "unpickling stack underflow")
_RESAVE = 'save the tensors alone: safetensors.torch.save_file(model.state_dict(), "model.safetensors")'
_RESAVE_TRUSTED = f"where you trust its author, load it once with torch.load(path, weights_only=False) and {_RESAVE}"


@final
@dataclass(frozen=True)
class Weights:
    """The tensors of a file.

    Args:
        tensors: Tensor by name, dense, on the CPU, in the dtype they were stored in, all finite.
        taken_from: Key of the wrapper they were taken from (``state_dict``, ``model_ema`` …), ``""`` for a plain state dict.
        other_weights: Key of weights in the same file that were not taken: the EMA's where the plain ones were, and the reverse.
        metadata: Of the header of a safetensors file.
        stored: For a compressed checkpoint, what its file holds, of which ``tensors`` were decoded; else empty.
    """

    tensors: Mapping[str, Tensor]
    taken_from: str = ""
    other_weights: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """:func:`digest` of what the file holds: a compressed file has another digest than one with the same weights in full."""
        return digest(self.stored or self.tensors)


def timm_weights(path: Path, ema: bool) -> Weights:
    """The weights of a file under timm's names: renamed where ``transformers`` wrote them, decoded where the checkpoint is a compressed one.

    Raises:
        CheckpointError: As for :func:`read_weights` and :func:`efficient360.models.compressed_file.decode_weights`.
    """
    weights = read_weights(path, ema=ema)
    if KEY in weights.metadata:
        return replace(weights, tensors=decode_weights(weights.tensors, weights.metadata, path), stored=weights.tensors)
    if is_transformers(weights.tensors):
        return replace(weights, tensors=to_timm_names(weights.tensors))
    return weights


def read_weights(path: Path, ema: bool = False) -> Weights:
    """The weights of a ``.safetensors``, ``.pth``, ``.pt``, ``.bin`` or ``.ckpt`` file, out of their wrappers.

    Args:
        path: The file.
        ema: Take the exponential moving average's weights.

    Raises:
        CheckpointError: The file is unreadable, truncated, no weights file, needs more than tensors to be unpickled,
            holds no state dict, has no EMA where one is asked for, or holds NaN or infinite weights.
    """
    tensors, taken_from, other = unwrap(_read(path), ema=ema, path=path)
    _require_dense(tensors, path)
    _require_finite(tensors, path)
    return Weights(tensors, taken_from, other, _metadata(path))


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the tensors sorted by name: name, dtype, shape and raw little-endian bytes of each.

    It doesn't depend on the order of the names, on strides, on shared storage or on the file format.
    """
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().resolve_conj().resolve_neg().contiguous()
        head = json.dumps([name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)])
        sha.update(head.encode() + b"\n")
        # Viewed as bytes because numpy knows neither bfloat16 nor the 8-bit floats.
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def checkpoint_digest(weights: str, source: str, output: str) -> str:
    """The digest of a checkpoint: its weights' where an installed library builds the network.

    Args:
        weights: Digest of the weights.
        source: Digest of the code of the network where it is a user's own, else ``""``.
        output: Which of several outputs are the logits, ``""`` where nothing was chosen.
    """
    return weights if not source and not output else hashlib.sha256(json.dumps([weights, source, output]).encode()).hexdigest()


def _read(path: Path) -> Any:
    if path.suffix.lower() not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise CheckpointError(
            "unknown-weights-format", f"{path} is not a weights file: its name ends in none of {known}", f"give a file of torch weights; {_RESAVE}"
        )
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError("checkpoint-unreadable", f"{path} is no file", "give the file of the weights")
        with path.open("rb") as file:
            head = file.read(64)
        size = path.stat().st_size
    except OSError as error:
        raise CheckpointError("checkpoint-unreadable", f"{path} can't be read: {error.strerror}", "check the path and its permissions") from error
    if size > (memory := psutil.virtual_memory().total):
        raise CheckpointError(
            "weights-oversized", f"{path} has {size:,} bytes, more than this machine's memory of {memory:,}", "use a machine with more memory"
        )
    if not head:
        raise CheckpointError("weights-truncated", f"{path} is empty", "copy or download it again")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError("git-lfs-pointer", f"{path} is a Git LFS pointer, not the weights themselves", "run git lfs pull where it was cloned")
    if head.lstrip()[:1] == b"<":
        raise CheckpointError("weights-unreadable", f"{path} is a web page, not a weights file", "download the file itself, not the page that shows it")
    return _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_torch(path, head)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _damaged(path, "safetensors file", str(error)) from error


def _metadata(path: Path) -> dict[str, str]:
    if path.suffix.lower() != ".safetensors":
        return {}
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def _read_torch(path: Path, head: bytes) -> Any:
    try:
        require_sound(path, head)
    except ValueError as error:
        raise _damaged(path, "file of torch.save", str(error)) from error
    except OverflowError as error:
        raise _oversized(path) from error
    try:
        # Training scripts keep their argparse options beside the weights; a Namespace only holds values.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Damaged bytes make the reader fail in any way; nothing else is called here.
        reason = _reason(error)
        if "TorchScript" in str(error):
            raise CheckpointError("torchscript-archive", f"{path} is a TorchScript archive: it holds code, not only weights", _RESAVE) from error
        if not isinstance(error, pickle.UnpicklingError) or reason.startswith(_JUNK):
            raise _damaged(path, "file of torch.save", reason) from error
        wanted = _GLOBAL.search(reason)
        named = f", {wanted[1]}" if wanted else f" ({reason})"
        raise CheckpointError(
            "unsafe-pickle", f"{path} holds more than tensors{named}: unpickling that can run any code, so it is refused", _RESAVE_TRUSTED
        ) from error


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


def _oversized(path: Path) -> CheckpointError:
    return CheckpointError("weights-oversized", f"{path} unfolds to more than {UNFOLDS} times its size", _RESAVE)


def _require_dense(tensors: Mapping[str, Tensor], path: Path) -> None:
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > UNFOLDS * path.stat().st_size:
        # A view with stride 0 lets a file of a kilobyte unfold into any size.
        raise _oversized(path)
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            kind = "quantized" if tensor.is_quantized else "without data" if tensor.is_meta else "sparse"
            raise CheckpointError(
                "weights-not-dense",
                f"{path} holds a tensor that is {kind}: {name}",
                "save the dense floating-point weights; compression is evaluated from those",
            )


def _require_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    bad = [name for name, tensor in tensors.items() if not bool(_finite(tensor).all())]
    if bad:
        wrong = tensors[bad[0]]
        count = int((~_finite(wrong)).sum())
        raise CheckpointError(
            "non-finite-weights",
            f"{path} holds NaN or infinite weights in {len(bad)} of {len(tensors)} tensors, first {bad[0]} ({count} of {wrong.numel()} values)",
            "the training diverged or the file is damaged: take an earlier checkpoint",
        )


def _finite(tensor: Tensor) -> Tensor:
    wide = tensor.float() if tensor.is_floating_point() and tensor.element_size() == 1 else tensor
    return torch.isfinite(wide)
