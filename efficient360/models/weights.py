"""A checkpoint's weights as named tensors: taken out of their file, renamed or decoded where needed, checked, and given a digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import Selection
from efficient360.models.compressed_file import KEY, decode_weights
from efficient360.models.selection import Choice, Target, choose, select
from efficient360.models.state_dicts import state_dicts
from efficient360.models.torch_archive import UNFOLDS
from efficient360.models.transformers_vit import is_transformers, to_timm_names
from efficient360.models.weights_file import SUFFIXES, TORCH_SUFFIXES, WeightsFile, oversized, read_file

__all__ = ["SUFFIXES", "TORCH_SUFFIXES", "Weights", "choose_weights", "digest", "named_weights", "read_weights", "translated", "weights_of"]


@final
@dataclass(frozen=True)
class Weights:
    """The tensors of a checkpoint.

    Args:
        tensors: Tensor by name, dense, on the CPU, in the dtype they were stored in, all finite.
        selection: Where in the file they are.
        metadata: Of the header of a safetensors file.
        stored: For a compressed checkpoint, what its file holds, of which ``tensors`` were decoded; else empty.
    """

    tensors: Mapping[str, Tensor]
    selection: Selection = field(default_factory=Selection)
    metadata: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """:func:`digest` of what the file holds: a compressed file has another digest than one with the same weights in full."""
        return digest(self.stored or self.tensors)


def read_weights(path: Path, key: str = "") -> Weights:
    """The weights of a file as it names them, where no network is known that they are for.

    Args:
        path: The file.
        key: As of :func:`efficient360.models.selection.choose`.

    Raises:
        CheckpointError: As for :func:`efficient360.models.weights_file.read_file`; it holds no state dict; the weights are quantized, sparse, NaN or infinite.
    """
    file = read_file(path)
    return _checked(file, choose_weights(file, key).taken.selection)


def choose_weights(file: WeightsFile, key: str = "", target: Target | None = None) -> Choice:
    """The weights among all that a file holds, see :func:`efficient360.models.selection.choose`.

    Raises:
        CheckpointError: There is no state dict, none under the key, or one that unfolds to far more than the file.
    """
    for one in state_dicts(file.content):
        if sum(tensor.numel() * tensor.element_size() for tensor in one.tensors.values() if not tensor.is_meta) > UNFOLDS * file.size:
            # A view with stride 0 lets a file of a kilobyte unfold into any size.
            raise oversized(file.path)
    return choose(file.content, file.path, key, target)


def named_weights(path: Path, selection: Selection) -> Weights:
    """:func:`weights_of` a file by its path."""
    return weights_of(read_file(path), selection)


def weights_of(file: WeightsFile, selection: Selection) -> Weights:
    """The weights of a file under the network's names: renamed where ``transformers`` wrote them, decoded where the checkpoint is a compressed one.

    Raises:
        CheckpointError: They are quantized, sparse, NaN or infinite; or as :func:`efficient360.models.compressed_file.decode_weights`.
    """
    weights = _checked(file, selection)
    if KEY in file.metadata:
        return Weights(decode_weights(weights.tensors, file.metadata, file.path), selection, file.metadata, weights.tensors)
    return Weights(translated(weights.tensors), selection, file.metadata)


def translated(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Tensors under timm's names where ``transformers`` named them; others as they are."""
    return to_timm_names(tensors) if is_transformers(tensors) else tensors


def _checked(file: WeightsFile, selection: Selection) -> Weights:
    inside = {one.key: one.tensors for one in state_dicts(file.content)}
    tensors = select(inside.get(selection.key, {}), selection)
    _require_dense(tensors, file.path)
    _require_finite(tensors, file.path)
    return Weights(tensors, selection, file.metadata)


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


def _require_dense(tensors: Mapping[str, Tensor], path: Path) -> None:
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
