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


@contextmanager
def recording(network: nn.Module, on_map: OnMap, named: Sequence[str] = ()) -> Iterator[None]:
    """See the probabilities of each attention layer during the forward passes inside, in order; none is kept here.

    Args:
        network: Any network; it computes the same as outside, up to rounding.
        on_map: Called with each; a tensor that it returns is used in place of the probabilities.
        named: Dotted names of modules whose output is such a matrix, for attention without a softmax of torch's; then nothing else is looked at.
    """
    with ExitStack() as stack:
        frames = stack.enter_context(watched(network))
        if not named:
            stack.enter_context(_AttentionMode(lambda probabilities: _told(on_map, frames, probabilities)))
        for name in named:

            def show(_module: nn.Module, _inputs: Any, output: Any) -> Any:
                """Hand the matrix over."""
                return _told(on_map, frames, output) if isinstance(output, Tensor) else None

            stack.callback(network.get_submodule(name).register_forward_hook(show).remove)
        yield


def _told(on_map: OnMap, frames: Sequence[Frame], probabilities: Tensor) -> Tensor:
    """The probabilities, or what replaces them."""
    layer = next((frame for frame in reversed(frames) if _has_parameters(frame.module)), None)
    if layer is None or probabilities.ndim < 3:
        return probabilities
    new = on_map(AttentionMap(layer.name, layer.module, layer.shape, probabilities))
    return probabilities if new is None else new


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


@final
class _AttentionMode(TorchFunctionMode):
    """Shows the probabilities of whatever computes attention through torch."""

    def __init__(self, show: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.show = show

    def __torch_function__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Called in place of each function of torch; what it calls itself does not come here again."""
        kwargs = kwargs or {}
        if function is functional.scaled_dot_product_attention:
            return attend(*args, **kwargs, on_probabilities=self.show)
        if function is functional.multi_head_attention_forward:
            in_heads = attend_in_heads(args, kwargs, self.show)
            return function(*args, **kwargs) if in_heads is None else in_heads
        result = function(*args, **kwargs)
        if function in _SOFTMAX and _over_last(result, args, kwargs):
            return self.show(result)
        return result


def _over_last(result: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a softmax was taken over the last axis."""
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return axis in {-1, result.ndim - 1}
