"""A checkpoint written as a smaller file, which is a checkpoint like any other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficient360.core.formatting import scaled, significant
from efficient360.errors import SettingsError
from efficient360.methods.compression.compressor import Coder, full_bytes, variant_of, words_of
from efficient360.methods.compression.variants import CODERS, parse
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.references import resolve
from efficient360.storage.outcomes import write_atomically

SUFFIX = ".safetensors"


def compress(spec: CheckpointSpec, variant: str, out: Path | None) -> str:
    """Write ``out`` and the card beside it, each whole or not at all.

    Args:
        spec: The checkpoint; its file is left alone.
        variant: ``NAME`` or ``NAME:STRENGTH`` of a compressor that leaves the architecture as it is.
        out: A ``.safetensors`` file; ``None`` takes ``CHECKPOINT-VARIANT.safetensors`` in the current folder.

    Returns:
        What was written and how small it is, for people.

    Raises:
        SettingsError: No such variant, one that no weights file can hold, or a file that can't be written.
        CheckpointError: As :func:`efficient360.models.references.resolve`.
        Unsupported: The network has no weights to code.
    """
    coder = parse(variant)
    if not isinstance(coder, Coder):
        message = f"{variant} changes how the network computes, which a weights file can't hold"
        raise SettingsError("no-weights-file", message, f"choose {', '.join(CODERS)}; the compression evaluator measures {variant} all the same")
    checkpoint = resolve(spec)
    name = f"{checkpoint.name}-{variant_of(coder).replace(':', '-')}"
    path = Path(f"{name}{SUFFIX}") if out is None else out
    _require_writable(path, checkpoint)
    network = load_model(checkpoint).network
    compressed = coder.compress(network)
    _write(path.with_suffix(".json"), json.dumps(_card(checkpoint, name, coder), indent=2, default=list).encode())
    _write(path, compressed.file)
    whole = full_bytes(network)
    way = ", ".join(filter(None, (coder.title, words_of(coder))))
    sizes = f"{scaled(whole, 'B')} in float32, now {scaled(len(compressed.file), 'B')}: {significant(whole / len(compressed.file))} times smaller"
    return f"{checkpoint.name}, {way}\n{sizes}\n{path}\n  measure it: efficient360 evaluate {path} --dataset …"


def _require_writable(path: Path, checkpoint: Checkpoint) -> None:
    if path.suffix != SUFFIX:
        raise SettingsError("bad-option", f"--out {path} does not end in {SUFFIX}", f"give --out {path.with_suffix(SUFFIX)}")
    if checkpoint.path is not None and path.resolve() == checkpoint.path.resolve():
        raise SettingsError("bad-option", f"--out {path} is the checkpoint itself", "give another file")
    if not path.parent.is_dir():
        raise SettingsError("bad-option", f"there is no folder {path.parent}", "make it, or give another file")


def _card(checkpoint: Checkpoint, name: str, coder: Coder) -> Mapping[str, Any]:
    """The sidecar: all that is said of the original, and what was done to it."""
    shape = checkpoint.preprocessing
    return {
        "name": name,
        "architecture": checkpoint.architecture,
        "model_args": dict(checkpoint.arguments),
        "num_classes": checkpoint.num_classes,
        "input_size": shape.input_size,
        "mean": shape.mean,
        "std": shape.std,
        "interpolation": shape.interpolation,
        "crop_pct": shape.crop_pct,
        "crop_mode": shape.crop_mode,
        "class_names": checkpoint.class_names,
        "compressed_from": {"name": checkpoint.name, "digest": checkpoint.digest, "variant": variant_of(coder)},
        **{key: value for key, value in checkpoint.card.items() if key not in ("stored_dtype", "taken_from", "other_weights", "compressed", "adapted")},
    }


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise SettingsError("unwritable", f"{path} can't be written: {error.strerror}", "check the folder's permissions and free space") from error
