"""A resolved checkpoint as a model that runs: built, loaded strictly, in eval mode, frozen."""

import torch

from efficient360.errors import CheckpointError
from efficient360.models.architectures import build_network
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.fitting import fit, may_resample
from efficient360.models.greyscale import grey_digest, weights_for_colour
from efficient360.models.libraries.catalogue import library_of
from efficient360.models.model import PixelsToLogits, TorchModel
from efficient360.models.selection import shapes_of
from efficient360.models.weights import Weights, checkpoint_digest, named_weights


def load_model(checkpoint: Checkpoint, device: str = "cpu", keep: tuple[int, ...] | None = None) -> TorchModel:
    """The checkpoint's model, the same on each call.

    Args:
        checkpoint: From :func:`efficient360.models.references.resolve`.
        device: Where it runs (``cpu``, ``cuda``, ``cuda:1``, ``mps``).
        keep: Indices of the outputs that are kept, in [0, ``num_classes``); ``None`` keeps all.

    Returns:
        Images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``.

    Raises:
        CheckpointError: The device is not there, or the weights changed since they were resolved.
        ValueError: ``keep`` is empty, repeats itself or leaves the range.
    """
    if keep is not None and (not keep or len(set(keep)) != len(keep) or not set(keep) <= set(range(checkpoint.num_classes))):
        raise ValueError(f"keep is {keep}: it must name distinct outputs from 0 to {checkpoint.num_classes - 1}")
    place = require_device(device)
    network = build_network(checkpoint.architecture, checkpoint.arguments, checkpoint.spec.seed)
    weights = Weights(network.state_dict()) if checkpoint.path is None else named_weights(checkpoint.path, checkpoint.selection)
    source = library_of(checkpoint.architecture).source(checkpoint.architecture)
    known = grey_digest(weights.digest) if checkpoint.greyscale else weights.digest
    if checkpoint_digest(known, source, checkpoint.spec.output) != checkpoint.digest:
        raise CheckpointError(
            "weights-changed",
            f"the weights or code of {checkpoint.name} are not those that were resolved (their digest differs)",
            "don't change files during a run",
        )
    if checkpoint.path is not None:
        tensors = weights_for_colour(shapes_of(network.state_dict()), weights.tensors) if checkpoint.greyscale else weights.tensors
        fitted = fit(network, tensors, str(checkpoint.path), may_resample(checkpoint.origin, checkpoint.spec))
        network.load_state_dict(dict(fitted.tensors), strict=True)
    shape = checkpoint.preprocessing
    module = PixelsToLogits(network, shape.mean, shape.std, keep, checkpoint.spec.output).eval().requires_grad_(requires_grad=False).to(place)
    return TorchModel(module, shape.input_size, checkpoint.num_classes if keep is None else len(keep), device)


def require_device(name: str) -> torch.device:
    """The torch device of a name.

    Raises:
        CheckpointError: There is no such device here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta" has tensors, but no values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0][:160]
        raise CheckpointError("device-unavailable", f"torch can't use the device {name!r} here: {reason}", "use --device cpu") from error
    return device
