"""Whether weights fit an architecture, checked before anything is loaded, with an explanation where they do not."""

import copy
import inspect
import math
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import CheckpointSpec, Origin

ONLY_RGB = "images are read with three channels; give a network for these"
CHANNEL_HINTS = {1: "--arch-arg in_chans=1 gives it the luminance of the images"}
"""What to do about a network for images of another number of channels."""


@final
@dataclass(frozen=True)
class Fitted:
    """Weights that fit.

    Args:
        tensors: Tensor by name, exactly the architecture's names and shapes.
        resampled: Names of the tensors that timm resampled to another resolution.
        renamed: Whether timm's filter changed names or layouts of an older or foreign format.
    """

    tensors: Mapping[str, Tensor]
    resampled: tuple[str, ...] = ()
    renamed: bool = False


def fit(network: nn.Module, tensors: Mapping[str, Tensor], origin: str, resample: bool) -> Fitted:
    """The weights as the network takes them.

    Weights whose names or shapes differ go through timm's own checkpoint filter, which knows older and foreign
    formats of its architectures and resamples position embeddings.

    Args:
        network: The architecture; its weights are only looked at for names and shapes.
        tensors: The file's weights.
        origin: The file, for messages.
        resample: Whether tensors may be resampled to another resolution, which changes what the model computes.

    Raises:
        CheckpointError: Names are missing or left over, shapes differ, or weights are no floating-point numbers.
    """
    wanted = network.state_dict()
    tensors = _under_prefix(wanted, tensors)
    if _mismatch(wanted, tensors) is None:
        _require_numbers(wanted, tensors, origin)
        return Fitted(tensors)
    filtered = _filtered(network, tensors)
    resampled = tuple(name for name, tensor in filtered.items() if name in tensors and tensors[name].numel() != tensor.numel())
    if _mismatch(wanted, filtered) is None and (resample or not resampled):
        _require_numbers(wanted, filtered, origin)
        return Fitted(filtered, resampled, renamed=filtered.keys() != tensors.keys())
    if (converted := _loaded(network, tensors)) is not None:
        _require_numbers(wanted, converted, origin)
        return Fitted(converted, renamed=True)
    raise _mismatch_error(network, wanted, tensors, origin)


def _under_prefix(wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors under the prefix that all of the network's names share and none of theirs has: a network that holds another as ``self.model``."""
    heads = {name.partition(".")[0] for name in wanted}
    prefix = f"{next(iter(heads))}." if len(heads) == 1 else ""
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()} if prefix and not any(name.startswith(prefix) for name in tensors) else tensors


def _require_numbers(wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor], origin: str) -> None:
    """Refuse integers, truth values and complex numbers in the place of floating-point weights, to which torch would convert them without a word."""
    wrong = [name for name, tensor in tensors.items() if wanted[name].is_floating_point() and not tensor.is_floating_point()]
    if wrong:
        kind = str(tensors[wrong[0]].dtype).removeprefix("torch.")
        message = f"{origin} holds {kind} where the architecture has floating-point weights, in {_count(wrong, 'tensor')} ({_first(wrong)})"
        hint = "whole numbers are quantized weights without their scales: give the weights from before quantization"
        raise CheckpointError("weights-not-floating-point", message, hint)


def may_resample(origin: Origin, spec: CheckpointSpec) -> bool:
    """Whether weights may be resampled to another resolution: where the user asks for one, and for timm's own checkpoints."""
    return origin is Origin.HUB or "img_size" in spec.arguments


def same_but_classes(network: nn.Module, tensors: Mapping[str, Tensor], classifier: Collection[str], resample: bool) -> bool:
    """Whether weights are those of a network, renamed or resampled where it takes that, whatever their number of classes.

    Args:
        network: As of :func:`fit`.
        tensors: The weights.
        classifier: Dotted names of its classifiers; where none are known, the tensors whose first sizes differ in the same way count as one.
        resample: As of :func:`fit`.
    """
    wanted = network.state_dict()
    heads = [f"{head}.{kind}" for head in classifier for kind in ("weight", "bias")]
    same = {name for name in heads if name in wanted and name in tensors and wanted[name].shape[1:] == tensors[name].shape[1:]}
    stood_in = {name: torch.empty(wanted[name].shape, device="meta") if name in same else tensor for name, tensor in tensors.items()}
    try:
        fit(network, stood_in, "", resample)
    except CheckpointError:
        return not classifier and classes_by_shapes(network, tensors) is not None
    return True


def classifiers(architecture_config: Mapping[str, Any]) -> tuple[str, ...]:
    """Dotted names of the classifiers that a configuration in timm's terms names."""
    named = architecture_config.get("classifier") or ()
    return (named,) if isinstance(named, str) else tuple(named)


def classes_by_shapes(network: nn.Module, tensors: Mapping[str, Tensor]) -> int | None:
    """Number of classes of weights that differ from a network in that alone: all shapes that differ do so in their first size, from the same to the same."""
    wanted = network.state_dict()
    tensors = _under_prefix(wanted, tensors)
    differ = [(tensors[name].shape, wanted[name].shape) for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    if wanted.keys() != tensors.keys() or not differ or any(not has or not needs or has[1:] != needs[1:] for has, needs in differ):
        return None
    sizes = {(has[0], needs[0]) for has, needs in differ}
    return next(iter(sizes))[0] if len(sizes) == 1 else None


def head_classes(architecture_config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int | None:
    """Number of classes that the classifier's weights in the file have, ``None`` where the file has no classifier.

    Args:
        architecture_config: timm's pretrained configuration, which names the classifier.
        tensors: The file's weights.
    """
    for name in classifiers(architecture_config):
        weight = tensors.get(f"{name}.weight")
        if weight is not None and weight.ndim >= 1:
            return int(weight.shape[0])
    return None


def _filtered(network: nn.Module, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors after the checkpoint filter of the architecture's timm module; unchanged where it has none or can't read them."""
    checkpoint_filter: Callable[..., dict[str, Tensor]] | None = getattr(sys.modules.get(type(network).__module__), "checkpoint_filter_fn", None)
    if checkpoint_filter is None:
        return tensors
    arguments: tuple[Any, ...] = (dict(tensors), network)
    required = [p for p in inspect.signature(checkpoint_filter).parameters.values() if p.default is p.empty]
    try:
        return checkpoint_filter(*arguments[: len(required)])
    except (KeyError, RuntimeError, ValueError, IndexError, AttributeError, AssertionError, TypeError):
        return tensors


def _loaded(network: nn.Module, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
    """The state after the network itself loaded the tensors, as modules convert older formats of their own; ``None`` where it refuses them."""
    try:
        twin = copy.deepcopy(network)
        twin.load_state_dict(dict(tensors), strict=True, assign=True)
    except (RuntimeError, KeyError, TypeError, AttributeError, ValueError):
        return None
    loaded = twin.state_dict()
    return loaded if _mismatch(network.state_dict(), loaded) is None and not any(tensor.is_meta for tensor in loaded.values()) else None


def _mismatch(wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str | None:
    missing = [name for name in wanted if name not in tensors]
    unexpected = [name for name in tensors if name not in wanted]
    shapes = [name for name in wanted if name in tensors and wanted[name].shape != tensors[name].shape]
    parts = []
    if missing:
        parts.append(f"{_count(missing, 'tensor')} missing ({_first(missing)})")
    if unexpected:
        parts.append(f"{_count(unexpected, 'tensor')} unexpected ({_first(unexpected)})")
    if shapes:
        details = [f"{name} {tuple(tensors[name].shape)} instead of {tuple(wanted[name].shape)}" for name in shapes[:2]]
        parts.append(f"{_count(shapes, 'tensor')} of another shape ({'; '.join(details)}{'; …' if len(shapes) > 2 else ''})")
    return ", ".join(parts) or None


def _mismatch_error(network: nn.Module, wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor], origin: str) -> CheckpointError:
    config: Mapping[str, Any] = getattr(network, "pretrained_cfg", {})
    name = str(config.get("architecture") or type(network).__name__)
    for head in classifiers(config):
        has, needs = tensors.get(f"{head}.weight"), wanted.get(f"{head}.weight")
        if has is not None and needs is not None and has.shape[0] != needs.shape[0] and has.shape[1:] == needs.shape[1:]:
            return CheckpointError(
                "class-count-mismatch",
                f"{origin}: the file's head has {has.shape[0]} classes, the architecture {needs.shape[0]}",
                f"--arch-arg num_classes={has.shape[0]}",
            )
    channels = _other_channels(wanted, tensors)
    if channels:
        return CheckpointError("not-rgb", f"{origin} is of a network for images of {channels} channels", CHANNEL_HINTS.get(channels, ONLY_RGB))
    common = len(wanted.keys() & tensors.keys())
    text = _mismatch(wanted, tensors)
    if common < len(wanted) / 2:
        return CheckpointError(
            "wrong-architecture",
            f"{origin} doesn't hold {name}: {common or 'none'} of its {len(wanted)} tensors are there, {text}",
            f"name the architecture it was trained with (--arch); the file's first tensors are {_first(list(tensors))}",
        )
    return CheckpointError("weights-mismatch", f"{origin} doesn't fit {name}: {text}", _hint(network, wanted, tensors))


def _hint(network: nn.Module, wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    """The architecture argument that the differing shapes suggest."""
    if set(wanted) <= set(tensors) and all(wanted[name].shape == tensors[name].shape for name in wanted):
        return "save the network without them, or give the code of the network that they are part of: --arch path/to/file.py:build"

    def differs(name: str) -> bool:
        return name in wanted and name in tensors and wanted[name].shape != tensors[name].shape

    if differs("patch_embed.proj.weight"):
        has, needs = tensors["patch_embed.proj.weight"].shape, wanted["patch_embed.proj.weight"].shape
        if len(has) == 4 and has[0] != needs[0]:
            return f"--arch-arg embed_dim={has[0]} (with the depth and num_heads it was trained with)"
        if len(has) == 4 and has[2:] != needs[2:]:
            return f"--arch-arg patch_size={has[2]}"
    if differs("pos_embed"):
        return _size_hint(network, tensors["pos_embed"], tensors.get("patch_embed.proj.weight"))
    blocks = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    if blocks and blocks != {name.split(".")[1] for name in wanted if name.startswith("blocks.")}:
        return f"--arch-arg depth={len(blocks)}"
    return "name the architecture and the arguments it was trained with (--arch, --arch-arg KEY=VALUE)"


def _size_hint(network: nn.Module, positions: Tensor, patches: Tensor | None) -> str:
    """The image size that the file's position embedding is for, where it is a square grid of patches."""
    prefix = 0 if getattr(network, "no_embed_class", False) else int(getattr(network, "num_prefix_tokens", 1))
    grid = positions.shape[1] - prefix if positions.ndim == 3 else 0
    side = math.isqrt(max(grid, 0))
    if patches is not None and patches.ndim == 4 and side > 0 and side * side == grid:
        return f"--arch-arg img_size={side * patches.shape[-1]}"
    return "--arch-arg img_size=N for the resolution it was trained at"


def _other_channels(wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> int:
    """Channels of the images that weights are for, where a first convolution differs in nothing else; else 0."""
    for name, tensor in wanted.items():
        if tensor.ndim == 4:
            has = tuple(tensors[name].shape) if name in tensors else ()
            return has[1] if len(has) == 4 and has[1] != tensor.shape[1] and (has[0], *has[2:]) == (tensor.shape[0], *tensor.shape[2:]) else 0
    return 0


def _count(names: list[str], noun: str) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
