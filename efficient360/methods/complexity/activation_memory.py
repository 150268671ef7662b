"""How many bytes of activations a forward keeps alive at its worst moment, counted tensor by tensor: the same on every machine."""

import gc
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def weight_bytes(module: nn.Module) -> int:
    """Bytes of all parameters and buffers of ``module`` as they lie in memory; what several share counts once."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in (*module.parameters(), *module.buffers())}
    return sum(storages.values())


def activation_peak(module: nn.Module, images: Tensor) -> int:
    """Most bytes of tensors made by one forward that are alive at once, its output among them.

    Weights, buffers, ``images`` and whatever the network keeps from an earlier forward were there before and don't count.
    Neither does a kernel's inner workspace, which no tensor holds and which differs between machines.

    Args:
        module: In eval mode.
        images: float32 ``(B, 3, H, W)`` on the module's device.
    """
    with torch.no_grad():
        module(images[:1])  # some networks keep tables from their first forward
    live = _LiveBytes()
    collecting = gc.isenabled()
    gc.disable()  # when the cycle collector happens to run must not move the peak
    try:
        # Not inference mode: it would hide what happens inside compound operators.
        with torch.no_grad(), live:
            module(images)
    finally:
        if collecting:
            gc.enable()
    return live.peak


@final
class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows each storage from the operator that makes it until nothing refers to it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._bytes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Callable[..., Any], types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        before = {tensor.untyped_storage()._cdata for tensor in _tensors((args, kwargs))}
        result = func(*args, **kwargs)
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            identity = storage._cdata
            if identity not in before and identity not in self._bytes:
                self._bytes[identity] = storage.nbytes()
                weakref.finalize(storage, self._bytes.pop, identity)
        self.peak = max(self.peak, sum(self._bytes.values()))
        return result


def _tensors(tree: Any) -> Iterable[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
