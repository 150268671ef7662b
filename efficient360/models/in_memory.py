"""A network that a program hands over, as a checkpoint: known by its weights and the source of its classes."""

import copy
import hashlib
import inspect
import json
from collections.abc import Sequence

from torch import Tensor, nn

from efficient360.errors import CheckpointError
from efficient360.models.building import require_device
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import PixelsToLogits, TorchModel
from efficient360.models.own_code import probed_logits
from efficient360.models.view.finding import stated_view
from efficient360.models.view.protocol import ViTView
from efficient360.models.weights import checkpoint_digest, digest

PREFIX = "memory:"
"""How the reference of a network in memory begins."""


def reference_of(network: nn.Module) -> str:
    """``memory:`` and the name of the network's class."""
    return PREFIX + type(network).__name__


def checkpoint_in_memory(network: nn.Module, preprocessing: Preprocessing, class_names: Sequence[str], output: str = "") -> Checkpoint:
    """The checkpoint that stands for a network in memory.

    Args:
        network: From normalised images ``(B, 3, H, W)`` to logits ``(B, K)``.
        preprocessing: How pixels are brought to it.
        class_names: Name of each class, or empty.
        output: Which of several outputs are the logits, see :func:`efficient360.models.outputs.logits_in`.

    Raises:
        CheckpointError: It can't run on images of that size, or returns no logits, or another number of them than there are names.
    """
    logits = probed_logits(_copied(network), preprocessing, output, type(network).__name__)
    classes = int(logits.shape[1])
    if class_names and len(class_names) != classes:
        message = f"{len(class_names)} class names are given for a network of {classes} classes"
        raise CheckpointError("class-names-mismatch", message, "give class_names in the order of the network's outputs, one for each")
    return Checkpoint(
        spec=CheckpointSpec(reference_of(network), output=output),
        name=type(network).__name__,
        architecture=f"{type(network).__module__}.{type(network).__qualname__}",
        arguments={},
        origin=Origin.MEMORY,
        path=None,
        digest=checkpoint_digest(_identity(network, logits), "", output),
        preprocessing=preprocessing,
        num_classes=classes,
        class_names=tuple(class_names),
    )


def model_in_memory(network: nn.Module, checkpoint: Checkpoint, device: str, keep: tuple[int, ...] | None) -> TorchModel:
    """A frozen copy of the network in eval mode; the caller's own stays as it is.

    Raises:
        CheckpointError: It can't be copied, or the device is not there.
    """
    shape = checkpoint.preprocessing
    module = PixelsToLogits(_copied(network), shape.mean, shape.std, keep, checkpoint.spec.output).eval()
    module = module.requires_grad_(requires_grad=False).to(require_device(device))
    return TorchModel(module, shape.input_size, checkpoint.num_classes if keep is None else len(keep), device)


def _copied(network: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(network)
    except (TypeError, RuntimeError, ValueError, AttributeError) as error:
        message = f"{type(network).__name__} can't be copied ({type(error).__name__}: {' '.join(str(error).split())[:160]})"
        raise CheckpointError("not-copyable", message, "give a network without hooks, handles or tensors that belong to a graph") from error


def _identity(network: nn.Module, logits: Tensor) -> str:
    """SHA-256 over the state dict, the source of every class in the network, the plain values they hold, the view it states, and its answer to one image.

    The answer, to three digits, stands for what none of the others tells: functions that the classes call.
    """
    classes = sorted({type(module) for module in network.modules()}, key=lambda cls: (cls.__module__, cls.__qualname__))
    sources = [[cls.__module__, cls.__qualname__, class_source(cls)] for cls in classes]
    plain = {name: _plain_values(module) for name, module in network.named_modules()}
    answer = (logits / logits.abs().max().clamp_min(1e-12)).mul(1000).round().long().tolist()
    view = stated_view(network)
    body = json.dumps([digest(network.state_dict()), sources, plain, answer, *([] if view == ViTView() else [repr(view)])], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


def _plain_values(module: nn.Module) -> list[list[str]]:
    kept = (bool, int, float, str, tuple)
    return sorted([key, repr(value)] for key, value in vars(module).items() if isinstance(value, kept) and key != "training" and not key.startswith("_"))


def class_source(cls: type) -> str:
    """The source of a class, or what stands for it where it was typed at a prompt: the code of its methods."""
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):
        codes = (getattr(value, "__code__", None) for _, value in sorted(vars(cls).items()))
        return "".join(f"{code.co_code.hex()}{code.co_consts!r}{code.co_names!r}" for code in codes if code is not None)
