"""One forward pass of a network, as the finders of its parts read it: modules entered and left, and where attention is computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from efficient360.models.view.calls import Frame, Tap, first_tensor, watched
from efficient360.models.view.recording import noticing


@final
@dataclass(frozen=True)
class Event:
    """Something that happened during the pass.

    Args:
        tap: Where a module was entered or left; for attention, its layer.
        shape: Of the first tensor that passed there, of the probabilities for attention; empty where there was none.
        attention: Whether probabilities of attention were made.
    """

    tap: Tap
    shape: tuple[int, ...]
    attention: bool = False


@final
@dataclass(frozen=True)
class Trace:
    """The events of a forward pass, in order."""

    events: tuple[Event, ...]

    def attention_layers(self) -> tuple[str, ...]:
        """Layers in which tokens look at tokens, by dotted name, in order; a class token that alone looks at the others does not count."""
        return tuple(dict.fromkeys(event.tap.name for event in self.events if event.attention and min(event.shape[-2:]) > 1))

    def inside(self, name: str) -> tuple[int, int] | None:
        """Indices of the first and the last event of a module and what it holds; ``None`` if it never ran."""
        indices = [index for index, event in enumerate(self.events) if event.tap.name == name or event.tap.name.startswith(f"{name}.")]
        return (indices[0], indices[-1]) if indices else None


def trace(network: nn.Module, run: Callable[[], Any], named: Sequence[str]) -> Trace:
    """Run a network once and write down what happens.

    Args:
        network: In eval mode; left as it is.
        run: Runs the network once.
        named: Modules whose output is an attention matrix, where the network states them.
    """
    events: list[Event] = []

    def entered(frame: Frame) -> None:
        events.append(Event(Tap(frame.name, frame.number), frame.shape))

    def left(frame: Frame, output: Any) -> None:
        tensor = first_tensor(output)
        events.append(Event(Tap(frame.name, frame.number, leaving=True), () if tensor is None else tuple(tensor.shape)))

    def attended(layer: str, shape: tuple[int, ...]) -> None:
        events.append(Event(Tap(layer), shape, attention=True))

    with torch.no_grad(), noticing(network, attended, named), watched(network, entered, left):
        run()
    return Trace(tuple(events))


def seeded_images(count: int, size: tuple[int, int, int], device: torch.device | str) -> Tensor:
    """Random images ``(count, C, H, W)`` in [0, 1], always the same."""
    return torch.rand((count, *size), generator=torch.Generator().manual_seed(0)).to(device)
