"""The modules that run during a forward pass: which one is running, in what order they are entered and left, and the tensors that pass there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn


@final
@dataclass(frozen=True)
class Frame:
    """A call of a module that has not returned yet.

    Args:
        name: Dotted name of the module; empty for the network itself.
        module: The module.
        number: Which of the module's calls it is, from 0.
        shape: Of the first tensor that it was given, empty where there was none.
    """

    name: str
    module: nn.Module
    number: int
    shape: tuple[int, ...]


@final
@dataclass(frozen=True)
class Tap:
    """A place in the forward pass where a tensor can be seen or replaced.

    Args:
        name: Dotted name of a module.
        number: Which of its calls, from 0.
        leaving: Whether what it returns is meant; otherwise what it is given.
    """

    name: str
    number: int = 0
    leaving: bool = False


def first_tensor(values: Any) -> Tensor | None:
    """The first tensor of numbers with a fraction in nested tuples, lists, dictionaries and output objects of ``transformers``."""
    if isinstance(values, Tensor):
        return values if values.is_floating_point() else None
    if isinstance(values, dict):
        values = tuple(values.values())
    if isinstance(values, tuple | list):
        return next((tensor for value in values if (tensor := first_tensor(value)) is not None), None)
    return None


def _replaced(values: Any, old: Tensor, new: Tensor) -> Any:
    """The same values with one tensor replaced."""
    if values is old:
        return new
    if type(values) in {tuple, list}:
        return type(values)(_replaced(value, old, new) for value in values)
    if isinstance(values, dict):
        changed = {key: _replaced(value, old, new) for key, value in values.items()}
        return changed if type(values) is dict else type(values)(**changed)
    return values


@contextmanager
def watched(network: nn.Module, on_enter: Callable[[Frame], None] | None = None, on_leave: Callable[[Frame, Any], None] | None = None) -> Iterator[list[Frame]]:
    """Keep the calls that are running, the innermost last, up to date during the forward passes inside.

    Args:
        network: Whose modules are watched.
        on_enter: Called with each call that begins.
        on_leave: Called with each call that has returned, and what it returned.
    """
    frames: list[Frame] = []
    counts: dict[str, int] = {}

    def enter(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            """Begin a call."""
            tensor = first_tensor((args, kwargs))
            frame = Frame(name, module, counts.get(name, 0), () if tensor is None else tuple(tensor.shape))
            counts[name] = frame.number + 1
            frames.append(frame)
            if on_enter is not None:
                on_enter(frame)

        return hook

    def leave(module: nn.Module, _inputs: Any, output: Any) -> None:
        """End the innermost call."""
        if frames and frames[-1].module is module:
            frame = frames.pop()
            if on_leave is not None:
                on_leave(frame, output)

    with ExitStack() as stack:
        for name, module in network.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):
                stack.callback(module.register_forward_pre_hook(enter(name), with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(leave).remove)
        yield frames


@contextmanager
def tapped(network: nn.Module, taps: Sequence[Tap], see: Callable[[int, Tensor], Tensor | None]) -> Iterator[None]:
    """See, or replace, the first tensor at some places during one forward pass inside.

    Args:
        network: What the taps' names belong to.
        taps: The places.
        see: Called with a tap's index and its tensor; a tensor that it returns goes on in its place.
    """
    with ExitStack() as stack:
        for index, tap in enumerate(taps):
            stack.callback(_attach(network.get_submodule(tap.name), tap, index, see).remove)
        yield


def _attach(module: nn.Module, tap: Tap, index: int, see: Callable[[int, Tensor], Tensor | None]) -> Any:
    calls = [0]

    def seen(values: Any) -> Any:
        """The values, with what replaces their first tensor; ``None`` where nothing does."""
        calls[0] += 1
        tensor = first_tensor(values) if calls[0] == tap.number + 1 else None
        new = None if tensor is None else see(index, tensor)
        return None if tensor is None or new is None else _replaced(values, tensor, new)

    if tap.leaving:
        return module.register_forward_hook(lambda _module, _inputs, output: seen(output))
    return module.register_forward_pre_hook(lambda _module, args, kwargs: seen((args, kwargs)), with_kwargs=True)
