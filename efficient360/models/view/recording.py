"""The attention probabilities of every layer of a network, whatever its library: found by the operation that makes them, not by a name.

Attention is a softmax over keys. Written out, it is one of torch's softmax functions; fused, it happens within ``scaled_dot_product_attention`` or
``multi_head_attention_forward``, which are computed step by step while recording. A network that computes it
otherwise names modules that it passes through.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from efficient360.models.view.calls import Frame, watched
from efficient360.models.view.explicit_attention import attend, attend_in_heads

_SOFTMAX: Final = frozenset({torch.softmax, torch.special.softmax, torch.Tensor.softmax, functional.softmax})


@final
@dataclass(frozen=True)
class AttentionMap:
    """What one attention layer did in one call.

    Args:
        layer: Dotted name of the layer: the innermost running module that has parameters.
        module: The layer.
        shape: Of the first tensor that the layer was given.
        probabilities: ``(B or B · windows, heads, queries, keys)`` as a rule, rows summing to 1; a part of the graph where gradients are recorded.
    """

    layer: str
    module: nn.Module
    shape: tuple[int, ...]
    probabilities: Tensor


OnMap = Callable[[AttentionMap], Tensor | None]
OnShape = Callable[[str, tuple[int, ...]], None]


@contextmanager
def recording(network: nn.Module, on_map: OnMap, named: Sequence[str] = ()) -> Iterator[None]:
    """See the probabilities of each attention layer during the forward passes inside, in order; none is kept here.

    Args:
        network: Any network; it computes the same as outside, up to rounding.
        on_map: Called with each; a tensor that it returns is used in place of the probabilities.
        named: Dotted names of modules whose output is such a matrix, for attention without a softmax of torch's; then nothing else is looked at.
    """
    waiting: list[tuple[Frame, Tensor]] = []

    def emit(layer: Frame, probabilities: Tensor) -> Tensor:
        new = on_map(AttentionMap(layer.name, layer.module, layer.shape, probabilities))
        return probabilities if new is None else new

    def emit_waiting(frame: Frame, _output: Any) -> None:
        """Hand over what no dropout received before the layer returned."""
        for layer, probabilities in [held for held in waiting if held[0] is frame]:
            emit(layer, probabilities)
        waiting[:] = [held for held in waiting if held[0] is not frame]

    with ExitStack() as stack:
        frames = stack.enter_context(watched(network, on_leave=emit_waiting))

        def show(probabilities: Tensor) -> Tensor:
            """Hand a matrix over; what comes back is used."""
            layer = _layer(frames)
            return probabilities if layer is None or probabilities.ndim < 3 else emit(layer, probabilities)

        def show_or_wait(probabilities: Tensor) -> Tensor:
            """The same for a softmax; in a layer with a dropout of its own it waits for what the dropout receives, which may be a mixture of several."""
            layer = _layer(frames)
            if layer is None or probabilities.ndim < 3 or not any(isinstance(part, nn.Dropout) for part in layer.module.children()):
                return show(probabilities)
            waiting.append((layer, probabilities))
            return probabilities

        def dropped(_module: nn.Module, _inputs: Any, output: Any) -> None:
            """Hand over probabilities that a dropout of their layer returned, in place of the softmaxes that waited."""
            layer = _layer(frames)
            if any(held[0] is layer and held[1].shape == output.shape for held in waiting) and layer is not None and _sum_to_one(output):
                waiting[:] = [held for held in waiting if held[0] is not layer]
                emit(layer, output)

        def in_heads(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            """Torch's multi-head attention step by step, or as it is where no vision transformer calls it so."""
            explicit = attend_in_heads(args, kwargs, show)
            return function(*args, **kwargs) if explicit is None else explicit

        if not named:
            stack.enter_context(_AttentionMode(lambda _function, args, kwargs: attend(*args, **kwargs, on_probabilities=show), in_heads, show_or_wait))
            for module in network.modules():
                if isinstance(module, nn.Dropout):
                    stack.callback(module.register_forward_hook(dropped).remove)
        _hook_named(network, named, show, stack)
        yield


def _sum_to_one(probabilities: Tensor) -> bool:
    return torch.allclose(probabilities.detach().sum(-1), torch.ones(()).to(probabilities), atol=1e-3)


@contextmanager
def noticing(network: nn.Module, on_shape: OnShape, named: Sequence[str] = ()) -> Iterator[None]:
    """Notice where attention is computed during the forward passes inside, without computing it otherwise: it may be too large to write out.

    Args:
        network: Any network.
        on_shape: Called with the dotted name of each layer and the shape of its probabilities.
        named: As for :func:`recording`.
    """
    with ExitStack() as stack:
        frames = stack.enter_context(watched(network))

        def notice(shape: tuple[int, ...]) -> None:
            """Hand a shape over."""
            layer = _layer(frames)
            if layer is not None and len(shape) >= 3:
                on_shape(layer.name, shape)

        def show(probabilities: Tensor) -> Tensor:
            """Hand over the shape of what is there anyway."""
            notice(tuple(probabilities.shape))
            return probabilities

        def fused(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            query, key = (args[index] if len(args) > index else kwargs[name] for index, name in enumerate(("query", "key")))
            notice((*query.shape[:-1], key.shape[-2]))
            return function(*args, **kwargs)

        def in_heads(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            query, key = args[:2]
            if query.ndim == 3:
                notice((query.shape[1], kwargs.get("num_heads", args[4] if len(args) > 4 else 1), query.shape[0], key.shape[0]))
            return function(*args, **kwargs)

        if not named:
            stack.enter_context(_AttentionMode(fused, in_heads, show))
        _hook_named(network, named, show, stack)
        yield


def _hook_named(network: nn.Module, named: Sequence[str], show: Callable[[Tensor], Tensor], stack: ExitStack) -> None:
    for name in named:
        hook = network.get_submodule(name).register_forward_hook(lambda _module, _inputs, output: show(output) if isinstance(output, Tensor) else None)
        stack.callback(hook.remove)


def _layer(frames: Sequence[Frame]) -> Frame | None:
    """The innermost running module that has parameters."""
    return next((frame for frame in reversed(frames) if next(frame.module.parameters(), None) is not None), None)


Compute = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


@final
class _AttentionMode(TorchFunctionMode):
    """Stands in for what computes attention through torch.

    Args:
        fused: Called with ``scaled_dot_product_attention`` and its arguments.
        in_heads: Called with ``multi_head_attention_forward`` and its arguments.
        show: Called with the probabilities of each softmax over the last axis.
    """

    def __init__(self, fused: Compute, in_heads: Compute, show: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fused, self.in_heads, self.show = fused, in_heads, show

    def __torch_function__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Called in place of each function of torch; what it calls itself does not come here again."""
        kwargs = kwargs or {}
        if function is functional.scaled_dot_product_attention:
            return self.fused(function, args, kwargs)
        if function is functional.multi_head_attention_forward:
            return self.in_heads(function, args, kwargs)
        result = function(*args, **kwargs)
        if function in _SOFTMAX and _over_last(result, args, kwargs):
            return self.show(result)
        return result


def _over_last(result: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a softmax was taken over the last axis."""
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return axis in {-1, result.ndim - 1}
