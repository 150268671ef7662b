"""PyTorch, operator by operator."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .naming import signature
from .preparing import prepared

MODULES = ("torch",)
Images = NDArray[np.float32]
PROFILED = 10


def version() -> str:
    """Version of the runtime."""
    import torch

    return str(torch.__version__)


def load(folder: str, settings: dict[str, Any]) -> Callable[[Any], Any]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``; from named arrays to named arrays where settings name them."""
    import torch

    names = signature(settings)
    if names is not None:
        return _named(opened(folder, settings)[0], *names)

    if settings.get("script"):
        torch.set_num_threads(settings["threads"])
        script: Any = torch.jit.load(f"{folder}/{settings['model']}", map_location="cpu")  # type: ignore[no-untyped-call]
        return prepared(answering(script.eval(), "cpu", settings["output"]), settings)
    module, _ = opened(folder, settings)
    return prepared(answering(module, settings["device"], settings.get("output", "")), settings)


def operators(folder: str, settings: dict[str, Any], images: Any) -> list[dict[str, Any]]:
    """Seconds that each kind of ATen operator spends in itself in one call, as ``torch.profiler`` tells."""
    return profiled(load(folder, settings), images)


def opened(folder: str, settings: dict[str, Any]) -> tuple[Any, Images]:
    """The program as a module on its device, and grey images to call it with.

    Raises:
        RuntimeError: It wants CUDA and there is no CUDA device.
    """
    import torch
    from torch.export.passes import move_to_device_pass

    torch.set_num_threads(settings["threads"])
    if settings["device"] == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("this machine has no CUDA device that PyTorch can use")
    program = torch.export.load(f"{folder}/{settings['model']}")
    if settings["device"] == "cuda":
        program = move_to_device_pass(program, "cuda")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # fp32 is to be fp32
    shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
    return program.module(), np.full(tuple(shape), 0.5, np.float32)


def _named(module: Callable[..., Any], inputs: "list[str]", outputs: "list[str]") -> Callable[[Any], Any]:
    import torch
    from torch.utils import _pytree as pytree

    def run(call: "dict[str, NDArray[Any]]") -> "dict[str, NDArray[Any]]":
        with torch.inference_mode():
            results = pytree.tree_leaves(module(*(torch.from_numpy(call[name]) for name in inputs)))
            return {name: result.numpy() for name, result in zip(outputs, results, strict=True)}

    return run


def answering(module: Callable[[Any], Any], device: str, output: str = "") -> Callable[[Images], Images]:
    """A module as a function of arrays; the way back to the CPU waits for the device.

    Args:
        module: A program.
        device: Where it runs.
        output: Names or indices, with dots between them, that lead to its logits where it returns several things.
    """
    import torch

    def run(images: Images) -> Images:
        with torch.inference_mode():
            answer = module(torch.from_numpy(images).to(device))
            for part in output.split(".") if output else ():
                answer = answer[part] if isinstance(answer, dict) else answer[int(part)] if part.isdecimal() else getattr(answer, part)
            logits: Images = answer.cpu().numpy()
            return logits

    return run


def profiled(run: Callable[[Any], Any], images: Any) -> list[dict[str, Any]]:
    """Rows of the profiler for a function that runs on the CPU, the slowest first."""
    from torch.profiler import ProfilerActivity, profile

    for _ in range(3):
        run(images)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(PROFILED):
            run(images)
    rows = [(row.key, row.self_cpu_time_total / 1e6 / PROFILED) for row in profiler.key_averages()]
    return [{"name": name, "kind": name, "seconds": seconds, "place": "cpu"} for name, seconds in sorted(rows, key=lambda row: -row[1]) if seconds > 0]
