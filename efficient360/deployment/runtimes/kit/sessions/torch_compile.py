"""PyTorch's compiler, TorchInductor. The compilation counts as loading: ``load`` has the module compiled, and answered with, once.

Inductor keeps what it compiled in the user's cache folder, so that a later load of the same program on the same machine is faster.
"""

from collections.abc import Callable
from typing import Any

from .torch import MODULES, Images, answering, opened, profiled, version

__all__ = ["MODULES", "load", "operators", "version"]


def load(folder: str, settings: dict[str, Any]) -> Callable[[Images], Images]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``.

    Raises:
        RuntimeError: There is no C++ compiler, or no CUDA device where one is wanted.
    """
    import torch
    import torch._inductor.config as inductor
    from torch._inductor.exc import InvalidCxxCompiler

    inductor.compile_threads = 1  # a pool of compiling processes would outlive the load and disturb the timing
    inductor.cpp.threads = settings["threads"]
    module, images = opened(folder, settings)
    run = answering(torch.compile(module), settings["device"])
    try:
        run(images)
    except Exception as error:
        if InvalidCxxCompiler.__name__ in f"{type(error).__name__} {error}":
            raise RuntimeError("torch.compile needs a C++ compiler and finds none: install g++, or name one in the variable CXX") from error
        raise
    return run


def operators(folder: str, settings: dict[str, Any], images: Images) -> list[dict[str, Any]]:
    """Seconds of each kind of operator and of each fused kernel (``graph_…_cpp_fused_…``) in itself in one call, as ``torch.profiler`` tells."""
    import torch._inductor.config as inductor

    inductor.cpp.enable_kernel_profile = True  # must be known before it compiles: a fused kernel is silent otherwise
    rows = profiled(load(folder, settings), images)
    return [{**row, "name": "inductor wrapper", "kind": "inductor wrapper"} if row["kind"].startswith("## Call") else row for row in rows]  # a hash else
