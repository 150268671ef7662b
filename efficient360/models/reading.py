"""A checkpoint's weights under timm's names, whichever library wrote the file."""

from dataclasses import replace
from pathlib import Path

from efficient360.methods.compression.packed_file import KEY
from efficient360.methods.compression.unpacking import unpacked_weights
from efficient360.models.checkpoint import CheckpointSpec, Origin
from efficient360.models.transformers_vit import converted, is_transformers
from efficient360.models.weights import Weights, read_weights


def timm_weights(path: Path, ema: bool) -> Weights:
    """The weights of a file, renamed to timm's where ``transformers`` wrote them, and made again of their codes in a compressed checkpoint.

    Raises:
        CheckpointError: As for :func:`efficient360.models.weights.read_weights` and
            :func:`efficient360.methods.compression.unpacking.unpacked_weights`.
    """
    weights = read_weights(path, ema=ema)
    if KEY in weights.note:
        return replace(weights, tensors=unpacked_weights(weights.tensors, weights.note, path), packed=weights.tensors)
    if is_transformers(weights.tensors):
        return replace(weights, tensors=converted(weights.tensors))
    return weights


def may_resample(origin: Origin, spec: CheckpointSpec) -> bool:
    """Whether weights may be resampled to another resolution: where the user asks for one, and for timm's own checkpoints."""
    return origin is Origin.HUB or "img_size" in spec.arguments
