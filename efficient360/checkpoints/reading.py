"""A checkpoint's weights under timm's names, whichever library wrote the file."""

from pathlib import Path

from efficient360.checkpoint import CheckpointSpec, Origin
from efficient360.checkpoints.transformers_vit import converted, is_transformers
from efficient360.checkpoints.weights import Weights, read_weights


def timm_weights(path: Path, ema: bool) -> Weights:
    """The weights of a file, renamed to timm's where ``transformers`` wrote them.

    Raises:
        CheckpointError: As for :func:`efficient360.checkpoints.weights.read_weights`.
    """
    weights = read_weights(path, ema=ema)
    if is_transformers(weights.tensors):
        return Weights(converted(weights.tensors), weights.taken_from, weights.other_weights)
    return weights


def may_resample(origin: Origin, spec: CheckpointSpec) -> bool:
    """Whether weights may be resampled to another resolution: where the user asks for one, and for timm's own checkpoints."""
    return origin is Origin.HUB or "img_size" in spec.arguments
