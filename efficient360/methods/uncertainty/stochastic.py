"""Dropout and stochastic depth that go on in a network at rest: the same masks for an example whatever stands beside it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from efficient360.errors import Unsupported


def dropouts(network: nn.Module) -> list[nn.Module]:
    """Dropout layers with a probability above 0.

    Raises:
        Unsupported: There are none.
    """
    every = [layer for layer in network.modules() if isinstance(layer, nn.Dropout)]
    return _active(every, [layer for layer in every if layer.p > 0], "dropout", "drop_rate")


def drop_paths(network: nn.Module) -> list[nn.Module]:
    """Layers of stochastic depth with a probability above 0.

    Raises:
        Unsupported: There are none.
    """
    from timm.layers import DropPath

    every = [layer for layer in network.modules() if isinstance(layer, DropPath)]
    return _active(every, [layer for layer in every if _rate(layer) > 0], "stochastic-depth", "drop_path_rate")


def _active(every: Sequence[nn.Module], active: list[nn.Module], what: str, argument: str) -> list[nn.Module]:
    if not active:
        words = what.replace("-", " ")
        have = f"all {len(every)} layers of {words} have probability 0" if every else f"the network has no {words}"
        hint = f"where it was trained with some, say so: --arch-arg {argument}=RATE"
        raise Unsupported(f"no-{what}", f"{have}: every pass would give the same answer", hint)
    return active


def _rate(layer: Any) -> float:
    """The probability with which a layer drops."""
    return float((layer.p if isinstance(layer, nn.Dropout) else layer.drop_prob) or 0.0)


@contextmanager
def shaken(network: nn.Module, layers: Sequence[nn.Module], rngs: Sequence[np.random.Generator]) -> Iterator[None]:
    """Let these layers drop as they did in training (Gal & Ghahramani 2016; Huang et al. 2016), for one forward pass; the network stays in eval mode.

    Masks are drawn example by example, so they depend on the example's own generator alone. Attention that is fused into one operator is unfused
    where its dropout is among the layers, for else nothing could be dropped in it.

    Args:
        network: What will be run.
        layers: Of :func:`dropouts` or :func:`drop_paths`.
        rngs: A generator for each example of the batch.

    Raises:
        Unsupported: From the forward pass: a layer whose first axis is not the examples'.
    """
    dropping: list[Any] = [m for m in network.modules() if any(getattr(m, "attn_drop", None) is layer for layer in layers)]
    fused = [module for module in dropping if getattr(module, "fused_attn", False)]
    with ExitStack() as stack:
        for module in fused:
            module.fused_attn = False
            stack.callback(setattr, module, "fused_attn", True)
        for layer in layers:
            stack.enter_context(layer.register_forward_hook(_dropping(layer, rngs)))
        yield


def _dropping(layer: Any, rngs: Sequence[np.random.Generator]) -> Callable[..., Tensor]:
    keep, paths = 1.0 - _rate(layer), not isinstance(layer, nn.Dropout)
    scale = 1.0 / keep if keep > 0 and getattr(layer, "scale_by_keep", True) else 1.0

    def hook(_layer: nn.Module, _given: Any, output: Tensor) -> Tensor:
        """Drop what the layer was given, each example by its own mask."""
        rows, rest = divmod(len(output), len(rngs))
        if rest or not rows:
            message = f"a layer that drops gives {len(output)} rows for {len(rngs)} examples: which is whose can't be told"
            raise Unsupported("unknown-layout", message, "no setting helps: leave uncertainty out")
        each = (rows, *([1] * (output.ndim - 1) if paths else output.shape[1:]))
        kept = np.concatenate([rng.random(each, dtype=np.float32) < keep for rng in rngs])
        return output * (torch.from_numpy(kept).to(output) * scale)

    return hook
