"""The logits in what a network returns: a tensor, a tuple, a dictionary, an object, one head or several."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from torch import Tensor

from efficient360.errors import CheckpointError

USUAL: Final = (
    "logits",
    "class_logits",
    "cls_logits",
    "logits_per_image",
    "pred_logits",
    "output",
    "outputs",
    "out",
    "pred",
    "preds",
    "prediction",
    "predictions",
)
"""What networks call their logits, the likeliest first."""
_DEEPEST: Final = 4
_SHOWN: Final = 8


def logits_in(output: Any, wanted: str = "") -> Tensor:
    """The logits ``(B, K)`` in what a network returned.

    Args:
        output: A tensor; or a tuple, list, mapping, named tuple, dataclass or output object with tensors in it, at whatever depth.
        wanted: Name or index of the one to take, with dots between levels (``heads.fine``, ``0``); ``""`` takes a tensor itself, else the one that has a
            usual name, else the only one of a shape that logits have.

    Raises:
        CheckpointError: None is there (``no-logits``), or several are and none was asked for (``several-outputs``); the one asked for isn't
            (``no-such-output``). What is there is listed.
    """
    if isinstance(output, Tensor) and not wanted:
        return output
    tensors = dict(tensors_in(output))
    if wanted:
        if isinstance(output, Tensor):
            raise CheckpointError("no-such-output", f"the network returned one tensor, so there is no output {wanted!r} to choose", "leave out --output")
        if wanted not in tensors:
            raise CheckpointError(
                "no-such-output", f"the network returned no output {wanted!r}, but {_listed(tensors) or type(output).__name__}", _hint(tensors)
            )
        return tensors[wanted]
    for name in USUAL:
        if name in tensors and tensors[name].ndim == 2:
            return tensors[name]
    candidates = {name: tensor for name, tensor in tensors.items() if tensor.ndim == 2 and tensor.is_floating_point()}
    if len(candidates) == 1:
        return next(iter(candidates.values()))
    if not candidates:
        told = f"{type(output).__name__} with {_listed(tensors)}" if tensors else type(output).__name__
        raise CheckpointError("no-logits", f"the network returned {told}, and no logits (B, K)", "give a network with a classification head")
    raise CheckpointError(
        "several-outputs", f"the network returned several outputs that may be the logits: {_listed(candidates)}", f"choose one: {_hint(candidates)}"
    )


def tensors_in(output: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in an output with its dotted name behind ``name``, in order; nothing deeper than a few levels."""
    if isinstance(output, Tensor):
        yield name, output
    elif depth < _DEEPEST:
        for key, value in _parts(output):
            yield from tensors_in(value, f"{name}.{key}" if name else str(key), depth + 1)


def _parts(output: Any) -> list[tuple[Any, Any]]:
    if isinstance(output, Mapping):  # output objects of transformers, too
        return list(output.items())
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return list(zip(output._fields, output, strict=True))
    if isinstance(output, tuple | list):
        return list(enumerate(output))
    if dataclasses.is_dataclass(output):
        return [(field.name, getattr(output, field.name)) for field in dataclasses.fields(output)]
    return list(getattr(output, "__dict__", {}).items())


def _listed(tensors: Mapping[str, Tensor]) -> str:
    shapes = [f"{name} ({', '.join(['B', *map(str, tensor.shape[1:])]) if tensor.ndim else 'a number'})" for name, tensor in tensors.items()]
    return ", ".join(shapes[:_SHOWN]) + (f" and {len(shapes) - _SHOWN} more" if len(shapes) > _SHOWN else "")


def _hint(tensors: Mapping[str, Tensor]) -> str:
    return " or ".join(f"--output {name}" for name in list(tensors)[:4]) or "look at what its forward returns"
