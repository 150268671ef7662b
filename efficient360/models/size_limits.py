"""How large an architecture may be, found out before it takes memory or time: a card's arguments may be a stranger's."""

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import psutil
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook, register_module_parameter_registration_hook
from torch.utils._python_dispatch import TorchDispatchMode

from efficient360.core.reading import shown
from efficient360.errors import CheckpointError

OVERSIZED: Final = "architecture-oversized"
MOST_PARTS: Final = 30_000
"""Modules and parameters of an architecture; timm's largest have three thousand."""
LARGEST_ARGUMENT: Final = 2**20
"""Largest whole number among an architecture's arguments: widths, depths and numbers of classes stay far below."""
LONGEST_ARGUMENT: Final = 1000
_HINT: Final = "correct the --arch-arg values or the sidecar's model_args"


def require_plausible(architecture: str, arguments: Mapping[str, Any]) -> None:
    """Check the arguments of an architecture for numbers that no network is built with.

    Raises:
        CheckpointError: A whole number above 2^20, or a list or text of more than 1,000 (``architecture-oversized``).
    """
    for name, value in arguments.items():
        for part in _parts(value):
            if (isinstance(part, int) and abs(part) > LARGEST_ARGUMENT) or (isinstance(part, str | list | dict) and len(part) > LONGEST_ARGUMENT):
                raise CheckpointError(OVERSIZED, f"{architecture} is to be built with {name}={shown(value)}, larger than any network", _HINT)


def _parts(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, list | tuple | dict):
        for part in itertools.islice(value.values() if isinstance(value, dict) else value, LONGEST_ARGUMENT):
            yield from _parts(part)


@contextlib.contextmanager
def at_most(architecture: str, parts: int) -> Iterator[None]:
    """Within it, a network of more modules and parameters is not built to its end.

    Raises:
        CheckpointError: ``architecture-oversized``.
    """
    count = itertools.count(1)

    def counted(_module: nn.Module, _name: str, _part: Any) -> None:
        if next(count) > parts:
            raise CheckpointError(OVERSIZED, f"{architecture} has more than {parts:,} parts with these arguments, which no such network has", _HINT)

    with register_module_module_registration_hook(counted), register_module_parameter_registration_hook(counted):
        yield


class SmallTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Within it, a tensor is not made that is larger than this machine's memory.

    Args:
        architecture: For the message.
    """

    def __init__(self, architecture: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._architecture = architecture
        self._most = psutil.virtual_memory().total // 4  # of four bytes each

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Looks at the shape that a tensor is to have, and passes the call on."""
        if args and isinstance(args[0], list | tuple) and all(isinstance(side, int) for side in args[0]) and math.prod(args[0]) > self._most:
            raise CheckpointError(OVERSIZED, f"{self._architecture} has a tensor of {list(args[0])} with these arguments, more than fits into memory", _HINT)
        return func(*args, **(kwargs or {}))


def require_memory(architecture: str, network: nn.Module) -> None:
    """Check that a network, which may be without data, fits into this machine's memory.

    Raises:
        CheckpointError: ``architecture-oversized``.
    """
    tensors = (*network.parameters(), *network.buffers())
    size, memory = sum(tensor.numel() * tensor.element_size() for tensor in tensors), psutil.virtual_memory().total
    if size > memory:
        message = f"{architecture} takes {size:,} bytes with these arguments, and this machine has {memory:,}"
        raise CheckpointError(OVERSIZED, message, _HINT)
