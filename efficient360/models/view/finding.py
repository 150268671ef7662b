"""The view of a network: what it states itself, and the rest found by structure."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from efficient360.core.text import reason
from efficient360.errors import CheckpointError
from efficient360.models.view.blocks import block_names, entrance, exit_of, weighted_input
from efficient360.models.view.protocol import ATTRIBUTE, Places, ViTView
from efficient360.models.view.stated import stated_layout
from efficient360.models.view.tokens import PROBES, find_layout
from efficient360.models.view.trace import Trace, seeded_images, trace

_NAMES: Final = ("blocks", "attention", "probabilities", "embedding", "head", "features")


def stated_view(network: nn.Module) -> ViTView:
    """What a network, or the first of its modules that does, states of itself, names as seen from the network; an empty view where none does.

    Raises:
        CheckpointError: It states something else than a view, or names a module that is not there (``bad-view``).
    """
    for path, module in network.named_modules():
        given: Any = getattr(module, ATTRIBUTE, None)
        if given is None:
            continue
        view = given() if callable(given) else given
        if not isinstance(view, ViTView):
            message = f"{ATTRIBUTE} of {type(module).__name__} is {type(view).__name__}, not a ViTView"
            raise CheckpointError("bad-view", message, "return efficient360.ViTView(...)")
        return _checked(replace(view, **{part: _under(path, getattr(view, part)) for part in _NAMES}), network)
    return ViTView()


def _under(path: str, names: Any) -> Any:
    """Names inside a module as names inside the network."""
    if isinstance(names, str):
        return f"{path}.{names}" if path and names else names
    return tuple(_under(path, name) for name in names)


def _checked(view: ViTView, network: nn.Module) -> ViTView:
    known = dict(network.named_modules())
    for part in _NAMES:
        value = getattr(view, part)
        for name in [value] if isinstance(value, str) else value:
            if name and name not in known:
                raise CheckpointError("bad-view", f"{ATTRIBUTE} names {name!r} among its {part}, which is no module of the network", "give dotted names")
    return view


def view_of(network: nn.Module, stated: ViTView, forward: Callable[[Tensor], Tensor], size: tuple[int, int, int], head: str, device: str) -> ViTView:
    """What a network states of itself, completed by what a few passes on random images show.

    Args:
        network: In eval mode; left as it is.
        stated: What it states, from :func:`stated_view`.
        forward: Images ``(B, 3, H, W)`` in [0, 1] to logits ``(B, K)`` through the network.
        size: ``(3, H, W)``.
        head: The linear layer that returns the logits, from :func:`efficient360.models.view.head.find_head`; empty where there is none.
        device: Where it runs.
    """
    try:
        with torch.inference_mode(mode=False):
            return _found(network, stated, forward, size, head, device)
    except Exception as error:  # whatever a foreign forward pass raises when it is looked into: it runs, and what needs no view is measured
        told = f"looking into it failed ({reason(error, 160)})"
        return replace(stated, head=head, missing={"attention": told, "tokens": told})


def _found(network: nn.Module, stated: ViTView, forward: Callable[[Tensor], Tensor], size: tuple[int, int, int], head: str, device: str) -> ViTView:
    images = seeded_images(PROBES, size, device)
    seen = trace(network, lambda: forward(images), stated.probabilities)
    layers = stated.attention or seen.attention_layers()
    blocks = stated.blocks or block_names(layers)
    places = _places(seen, network, blocks, layers)
    view = replace(stated, blocks=blocks, attention=layers, embedding=stated.embedding or _embedding(seen, network, size), head=head, places=places)
    missing: dict[str, str] = {}
    if not layers:
        missing["attention"] = "no attention among its tokens was seen: none passes through torch's softmax or fused attention"
    tokens: Any = stated.tokens
    if tokens is None:
        tokens = _tokens(view, network, forward, seen, size, device)
    if isinstance(tokens, str):
        missing["tokens"], tokens = tokens, None
    return replace(view, tokens=tokens, missing=missing)


def _tokens(view: ViTView, network: nn.Module, forward: Callable[[Tensor], Tensor], seen: Trace, size: tuple[int, int, int], device: str) -> Any:
    """The token layout, or why it can't be found."""
    if not view.attention:
        return "no attention among tokens was seen"
    if not view.blocks or not view.places.exits:
        return "attention is computed in the network's own forward, not in blocks"
    found = find_layout(network, forward, seen, view.places.entrances, view.places.exits[-1], size, device)
    last = next((event.shape for event in seen.events if event.tap == view.places.entrances[-1] and not event.attention), ())
    stated = stated_layout(network, last[1]) if isinstance(found, str) and len(last) == 3 else None
    return found if stated is None else stated


def _places(seen: Trace, network: nn.Module, blocks: tuple[str, ...], layers: tuple[str, ...]) -> Places:
    entrances = [tap for block in blocks if (tap := entrance(seen, block)) is not None]
    exits = [tap for block in blocks if (tap := exit_of(seen, block)) is not None]
    attended = [tap for layer in layers if layer and (tap := weighted_input(seen, network, layer)) is not None]
    if len(entrances) != len(blocks) or len(exits) != len(blocks):
        return Places()
    return Places(tuple(entrances), tuple(exits), tuple(attended))


def _embedding(seen: Trace, network: nn.Module, size: tuple[int, int, int]) -> str:
    """The first layer, if it cuts the image into patches and is the only one that cuts: a convolution whose kernel equals its stride, or linear on patches."""
    pixels = size[0] * size[1] * size[2]
    entered = [(event, network.get_submodule(event.tap.name)) for event in seen.events if not event.attention and not event.tap.leaving]
    layers = [(event, module) for event, module in entered if isinstance(module, nn.Conv2d | nn.Linear)]
    if not layers:
        return ""
    event, first = layers[0]
    if isinstance(first, nn.Linear):
        return event.tap.name if len(event.shape) == 3 and event.shape[1] * event.shape[2] == pixels else ""
    several = sum(isinstance(module, nn.Conv2d) and _cuts(module) for _, module in layers) > 1
    return event.tap.name if _cuts(first) and event.shape[1:] == size and not several else ""


def _cuts(convolution: nn.Conv2d) -> bool:
    """Whether it cuts its input into patches that do not overlap."""
    return convolution.kernel_size == convolution.stride and max(convolution.stride) > 1
