"""What a network is at a moment, part by part, so that a change is seen and the part that changed can be named."""

import zlib
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

State = Mapping[str, Hashable]
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype)


def state_of(module: nn.Module) -> State:
    """The state of a network by dotted name.

    Of each module its class, mode, hooks and plain attributes; of each tensor its kind and a checksum (CRC-32) of its content.
    """
    state: dict[str, Hashable] = {}
    for name, part in module.named_modules(remove_duplicate=False):
        hooks = tuple(tuple(map(_title, getattr(part, kind, {}).values())) for kind in _HOOKS)
        state[name or "the network"] = (id(type(part)), part.training, hooks, _title(vars(part).get("forward")), tuple(part._modules))
        for key, value in vars(part).items():
            if isinstance(value, _PLAIN) and key != "training":
                state[f"{name}.{key}".lstrip(".")] = (type(value).__name__, repr(value))
    for name, tensor in (*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)):
        kind = (str(tensor.dtype), tuple(tensor.shape), str(tensor.device), tensor.requires_grad, tensor.grad is None, isinstance(tensor, nn.Parameter))
        state[name] = (*kind, _checksum(tensor))
    return state


def _title(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__name__)


def changed_parts(before: State, after: State) -> list[str]:
    """Names of the parts that differ or are gone; a tensor or module that is new counts, a new plain attribute does not (networks keep caches)."""
    gone = [name for name, value in before.items() if after.get(name) != value]
    new = [name for name, value in after.items() if name not in before and isinstance(value, tuple) and len(value) > 2]
    return gone + new


def _checksum(tensor: Tensor) -> int:
    if tensor.device.type == "meta":
        return 0
    try:
        flat: Any = tensor.detach().cpu().contiguous().reshape(-1)
        return zlib.crc32(flat.view(torch.uint8).numpy()) if flat.numel() else 0
    except (RuntimeError, TypeError, NotImplementedError):  # sparse, or of a class that shows no bytes
        return -1


def probed(call: Callable[[Tensor], Tensor], size: tuple[int, int, int]) -> Tensor:
    """What a model answers to two fixed images, float32 ``(2, K)``."""
    images = torch.linspace(0.0, 1.0, 2 * size[0] * size[1] * size[2], dtype=torch.float32, device="cpu").reshape(2, *size)
    with torch.inference_mode():
        return call(images).detach().float().cpu()
