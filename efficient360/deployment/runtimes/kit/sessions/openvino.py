"""OpenVINO on the CPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .naming import signature

MODULES = ("openvino",)
WARM, TIMED = 5, 20
Images = NDArray[np.float32]


def version() -> str:
    """Version of the runtime."""
    import openvino

    return str(openvino.__version__).partition("-")[0]


def load(folder: str, settings: dict[str, Any]) -> Callable[[Any], Any]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``; from named arrays to named arrays where settings name them."""
    request = _compiled(folder, settings, "NO").create_infer_request()
    names = signature(settings)
    if names is not None:
        outputs = names[1]

        def answer(call: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            results = request.infer(call, share_inputs=True)
            return {name: results[name] for name in outputs}

        return answer

    def run(images: Images) -> Images:
        logits: Images = request.infer([images], share_inputs=True)[0]
        return logits

    return run


def operators(folder: str, settings: dict[str, Any], images: Any) -> list[dict[str, Any]]:
    """Mean seconds of each node of the execution graph that did something; ``place`` is the primitive that ran it.

    OpenVINO calls whatever it fuses ``Subgraph``: one that holds an attention or a matrix product says so in its kind.
    """
    compiled = _compiled(folder, settings, "YES")
    request, fused = compiled.create_infer_request(), _fused(compiled)
    given = images if isinstance(images, dict) else [images]
    for _ in range(WARM):
        request.infer(given)
    seconds: dict[str, float] = {}
    known: dict[str, tuple[str, str]] = {}
    for _ in range(TIMED):
        request.infer(given)
        for node in request.profiling_info:
            if node.status.name == "EXECUTED":
                seconds[node.node_name] = seconds.get(node.node_name, 0.0) + node.real_time.total_seconds() / TIMED
                known[node.node_name] = fused.get(node.node_name, node.node_type), node.exec_type
    return [{"name": name, "kind": known[name][0], "seconds": mean, "place": known[name][1]} for name, mean in seconds.items() if mean > 0]


def _fused(compiled: Any) -> dict[str, str]:
    """Kinds of the fused nodes that hold a costly operator, by name, told from the names of what they were fused of."""
    kinds = {}
    for node in compiled.get_runtime_model().get_ops():
        info = node.get_rt_info()
        if "layerType" in info and info["layerType"].astype(str) == "Subgraph":
            parts = info["originalLayersNames"].astype(str).lower()
            inside = [kind for word, kind in (("softmax", "attention"), ("matmul", "MatMul")) if word in parts]
            if inside:
                kinds[node.get_friendly_name()] = f"Subgraph with {inside[0]}"
    return kinds


def _compiled(folder: str, settings: dict[str, Any], count: str) -> Any:
    import openvino

    core = openvino.Core()
    precision = settings["precision"]
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and "BF16" not in able:
        raise RuntimeError("this CPU computes no bf16 (it has neither avx512_bf16 nor amx_bf16), and OpenVINO would have run in another precision")
    return core.compile_model(
        f"{folder}/{settings['model']}",
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": settings["threads"],
            "PERF_COUNT": count,
        },
    )
