"""Peak activation memory of a forward pass, counted tensor by tensor and so the same on every machine; and the bytes of the weights."""

import gc
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def weight_bytes(module: nn.Module) -> int:
    """Bytes of all parameters and buffers of ``module`` in memory; shared storage counts once."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in (*module.parameters(), *module.buffers())}
    return sum(storages.values())


def activation_peak(module: nn.Module, images: Tensor) -> int:
    """Peak bytes of the tensors that one forward pass creates and keeps alive at once, including its output.

    Weights, buffers, ``images`` and whatever the network caches from an earlier forward pass existed before and do not count.
    Neither does a kernel's internal workspace, which no tensor holds and which differs between machines.

    Args:
        module: In eval mode.
        images: float32 ``(B, 3, H, W)`` on the module's device.
    """
    with torch.no_grad():
        module(images[:1])  # some networks cache tables in their first forward pass
    live = _LiveBytes()
    collecting = gc.isenabled()
    gc.disable()  # the timing of the cycle collector must not affect the peak
    try:
        # Not inference mode: it would hide the tensors inside compound operators.
        with torch.no_grad(), live:
            module(images)
    finally:
        if collecting:
            gc.enable()
    return live.peak


@final
class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tracks each storage from the operator that creates it until nothing refers to it."""

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
