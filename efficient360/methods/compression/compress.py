"""A compressed checkpoint written to a file, which every command then takes like any other checkpoint."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

from efficient360.core.formatting import scaled, significant
from efficient360.core.paths import file_name, is_folder, user_path
from efficient360.errors import SettingsError
from efficient360.methods.compression.compressor import CompressedNetwork, Compressor, describe_strength, uncompressed_bytes, variant_of
from efficient360.methods.compression.variants import parse
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.libraries.own_file import located
from efficient360.models.model import TorchModel
from efficient360.models.references import resolve
from efficient360.models.weight_codes import CODES
from efficient360.storage.outcomes import write_atomically

SUFFIX = ".safetensors"


@final
@dataclass(frozen=True)
class WrittenCheckpoint:
    """A compressed checkpoint on disk, and both networks.

    Args:
        checkpoint: The original.
        compressor: What compressed it.
        path: The file that was written; its sidecar lies beside it.
        model: The original, loaded.
        compressed: The network decoded from the file, and what the file holds.
    """

    checkpoint: Checkpoint
    compressor: Compressor
    path: Path
    model: TorchModel
    compressed: CompressedNetwork

    @cached_property
    def original_bytes(self) -> int:
        """Bytes of the original's file in float32."""
        return uncompressed_bytes(self.model.network)

    @cached_property
    def file_bytes(self) -> int:
        """Bytes of the compressed file."""
        return len(self.compressed.file)

    def summary(self) -> str:
        """What was written, how small it is, and how to measure it."""
        method = ", ".join(filter(None, (self.compressor.title, describe_strength(self.compressor))))
        ratio = significant(self.original_bytes / self.file_bytes)
        sizes = f"{scaled(self.original_bytes, 'B')} in float32, now {scaled(self.file_bytes, 'B')}: {ratio} times smaller"
        return f"{self.checkpoint.name}, {method}\n{sizes}\n{self.path}\n  measure it: efficient360 evaluate {self.path} --dataset …"


def compress_checkpoint(spec: CheckpointSpec, variant: str, out: Path | None) -> WrittenCheckpoint:
    """Write ``out`` and the sidecar beside it, each atomically.

    Args:
        spec: The checkpoint; its file is not changed.
        variant: ``NAME`` or ``NAME:STRENGTH`` of a compressor that leaves the architecture unchanged.
        out: A ``.safetensors`` file; ``None`` writes ``CHECKPOINT-VARIANT.safetensors`` in the current folder.

    Raises:
        SettingsError: No such variant, one that no weights file can hold, or a file that can't be written.
        CheckpointError: As :func:`efficient360.models.references.resolve`.
        Unsupported: The network has no weights to compress.
    """
    compressor = parse(variant)
    if compressor.name not in CODES:
        message = f"{variant} changes how the network computes, which a weights file can't hold"
        storable = ", ".join(name if code.strengths is None else f"{name}:N" for name, code in CODES.items())
        raise SettingsError("no-weights-file", message, f"choose {storable}; the compression evaluator measures {variant} as well")
    checkpoint = resolve(spec)
    name = f"{checkpoint.name}-{variant_of(compressor).replace(':', '-')}"
    path = Path(f"{file_name(name)}{SUFFIX}") if out is None else user_path(out)
    require_writable(path, checkpoint)
    model = load_model(checkpoint)
    compressed = compressor.compress(model.network)
    write_file(path.with_suffix(".json"), json.dumps(sidecar_of(checkpoint, name, {"variant": variant_of(compressor)}), indent=2, default=list).encode())
    write_file(path, compressed.file)
    return WrittenCheckpoint(checkpoint, compressor, path, model, compressed)


def require_writable(path: Path, checkpoint: Checkpoint) -> None:
    """Ask before any work is done.

    Raises:
        SettingsError: A checkpoint can't be written there (``bad-option``).
    """
    if path.suffix != SUFFIX:
        raise SettingsError("bad-option", f"--out {path} does not end in {SUFFIX}", f"give --out {path.stem or 'FILE'}{SUFFIX}")
    sidecar = path.with_suffix(".json")
    if checkpoint.path is not None and path.resolve() == checkpoint.path.resolve():
        raise SettingsError("bad-option", f"--out {path} is the checkpoint itself", "give another file")
    if is_folder(path) or is_folder(sidecar):
        raise SettingsError("bad-option", f"{path if is_folder(path) else sidecar} is a folder", "give another file")
    if not is_folder(path.parent):
        raise SettingsError("bad-option", f"there is no folder {path.parent}", "make it, or give another file")


NOT_OF_THE_WEIGHTS: Final = ("stored_dtype", "taken_from", "taken_because", "other_weights", "left_out", "compressed", "adapted", "file")
"""What a card says of the file that weights were read from, and not of the weights."""


def sidecar_of(checkpoint: Checkpoint, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
    """The sidecar: everything known of the original, and what was done to it.

    Args:
        checkpoint: The original.
        name: Of what was made of it.
        change: What was done, plain JSON.
    """
    preprocessing = checkpoint.preprocessing
    return {
        "name": name[:200],
        "architecture": located(checkpoint.architecture),
        "model_args": dict(checkpoint.arguments),
        "num_classes": checkpoint.num_classes,
        "input_size": preprocessing.input_size,
        "mean": preprocessing.mean,
        "std": preprocessing.std,
        "interpolation": preprocessing.interpolation,
        "crop_pct": preprocessing.crop_pct,
        "crop_mode": preprocessing.crop_mode,
        **({"processor": preprocessing.processor} if preprocessing.processor else {}),
        "class_names": checkpoint.class_names,
        "compressed_from": {"name": checkpoint.name, "digest": checkpoint.digest, **change},
        **{key: value for key, value in checkpoint.card.items() if key not in NOT_OF_THE_WEIGHTS},
    }


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically.

    Raises:
        SettingsError: The system refuses it (``unwritable``).
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise SettingsError("unwritable", f"{path} can't be written: {error.strerror}", "check the folder's permissions and free space") from error
