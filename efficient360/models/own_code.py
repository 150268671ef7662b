"""A checkpoint whose network a user's own file builds: its outputs are found by running it once."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from efficient360.core.text import reason
from efficient360.errors import CheckpointError
from efficient360.models.architectures import build_network, skeleton
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.fitting import classes_by_shapes, fit, may_resample
from efficient360.models.libraries.catalogue import library_of
from efficient360.models.model import PixelsToLogits
from efficient360.models.preprocessing import assumed_values, preprocessing_of
from efficient360.models.sources import CheckpointSource
from efficient360.models.weights import Weights, checkpoint_digest, digest

_USUAL_SIZES: Final = (32, 28, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512)


def probed_logits(network: nn.Module, preprocessing: Preprocessing, output: str, name: str) -> Tensor:
    """A network's logits ``(1, K)`` on one seeded image.

    Args:
        network: From normalised images ``(B, 3, H, W)`` to logits, or to what holds them.
        preprocessing: How pixels are brought to it.
        output: Which of its outputs are the logits, ``""`` for the one that looks like them.
        name: What it is called in messages.

    Raises:
        CheckpointError: It can't run on images of that size (``network-fails``), or returns no logits, several, or of another shape.
    """
    try:
        logits = _run(network, preprocessing, preprocessing.input_size, output)
    except CheckpointError:
        raise
    except Exception as error:  # a user's own code may raise anything
        size = " x ".join(map(str, preprocessing.input_size))
        message = f"{name} can't run on an image of {size} ({reason(error, 160)})"
        raise CheckpointError("network-fails", message, _other_size(network, preprocessing, output)) from error
    if logits.ndim != 2 or logits.shape[0] != 1 or logits.shape[1] < 2:
        message = f"{name} returned a tensor of shape {tuple(logits.shape)} for one image"
        raise CheckpointError("logits-shape", message, "give a classifier that returns logits (B, K) with at least two classes")
    return logits


def _run(network: nn.Module, preprocessing: Preprocessing, size: tuple[int, int, int], output: str) -> Tensor:
    probe = PixelsToLogits(network, preprocessing.mean, preprocessing.std, None, output).eval().cpu()
    with torch.inference_mode():
        logits: Tensor = probe(torch.rand((1, *size), generator=torch.Generator().manual_seed(0)))
    return logits


def _other_size(network: nn.Module, preprocessing: Preprocessing, output: str) -> str:
    """What to do: the image size on which the network does run, where it is one of the usual ones; with what its outputs then want, if anything."""
    for side in _USUAL_SIZES:
        size = f"it runs on {side} x {side}: --preprocess input_size={side}"
        try:
            _run(network, preprocessing, (3, side, side), output)
        except CheckpointError as error:  # of what it returned: on that size it did run
            return f"{size}; there {error.message}: {error.hint}"
        except Exception:
            continue
        return size
    return "name the size that it was trained with, --preprocess input_size=N (in Python, preprocessing or transform)"


def resolve_own(spec: CheckpointSpec, source: CheckpointSource, architecture: str, arguments: Mapping[str, Any], weights: Weights | None) -> Checkpoint:
    """The checkpoint of an architecture in a user's own file.

    Args:
        spec: What the user asked for.
        source: Where its reference leads.
        architecture: ``path/to/file.py:NAME``.
        arguments: Of the function or class, exactly these; ``num_classes`` is added where the weights have another number than it builds.
        weights: The weights; ``None`` for random ones and for those that the function itself loads.

    Raises:
        CheckpointError: It can't be built or run, or the weights do not fit.
    """
    code = library_of(architecture).source(architecture)
    preprocessing = preprocessing_of(architecture, source.sidecar, spec)
    origin = Origin.RANDOM if spec.random_weights else Origin.CODE if weights is None else source.origin
    if weights is None:
        network = build_network(architecture, arguments, spec.seed)
        weights_digest = digest(network.state_dict())
        if origin is Origin.CODE and weights_digest != digest(build_network(architecture, arguments, spec.seed + 1).state_dict()):
            message = f"{architecture} builds a network with random weights, and {spec.reference} names no others"
            raise CheckpointError("no-weights", message, f"efficient360 evaluate WEIGHTS --arch {architecture}, or --random-weights")
    else:
        network, arguments = _with_weights(spec, source, architecture, arguments, weights)
        weights_digest = weights.digest
    classes = int(probed_logits(network, preprocessing, spec.output, architecture).shape[1])
    source.sidecar.require_names_of(classes, spec.reference)
    card: dict[str, Any] = {**source.sidecar.card, **source.card, "code": hashlib.sha256(code.encode()).hexdigest()[:12]}
    return Checkpoint(
        spec=spec,
        name=_name(source.name, spec, weights),
        architecture=architecture,
        arguments=arguments,
        origin=origin,
        path=None if weights is None else source.weights,
        digest=checkpoint_digest(weights_digest, code, spec.output),
        preprocessing=preprocessing,
        num_classes=classes,
        class_names=source.sidecar.class_names,
        card=card,
        assumed=assumed_values(architecture, source.sidecar, spec),
    )


def _name(name: str, spec: CheckpointSpec, weights: Weights | None) -> str:
    bare = Path(name.partition(".py:")[0]).name if weights is None else name
    return f"{bare}-random-{spec.seed}" if spec.random_weights else bare


def _with_weights(
    spec: CheckpointSpec, source: CheckpointSource, architecture: str, arguments: Mapping[str, Any], weights: Weights
) -> tuple[nn.Module, Mapping[str, Any]]:
    """The network with the weights, and the arguments that it was built with."""
    empty = skeleton(architecture, arguments)
    count = classes_by_shapes(empty, weights.tensors)
    if count is not None and "num_classes" not in arguments:
        adapted = {**arguments, "num_classes": count}
        try:
            empty = skeleton(architecture, adapted)
            arguments = adapted
        except CheckpointError:  # it takes no such argument: the mismatch is told
            pass
    fitted = fit(empty, weights.tensors, str(source.weights), may_resample(source.origin, spec))
    network = build_network(architecture, arguments, spec.seed)
    network.load_state_dict(dict(fitted.tensors), strict=True)
    return network, arguments
