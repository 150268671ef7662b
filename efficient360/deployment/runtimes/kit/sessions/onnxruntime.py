"""ONNX Runtime, on the CPU or with the execution provider that the settings name."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .naming import signature
from .preparing import prepared

MODULES = ("onnxruntime",)
CPU = "CPUExecutionProvider"
WARM, TIMED = 5, 20
Images = NDArray[np.float32]


def version() -> str:
    """Version of the runtime."""
    import onnxruntime

    return str(onnxruntime.__version__)


def load(folder: str, settings: dict[str, Any]) -> Callable[[Any], Any]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``; from named arrays to named arrays where settings name them."""
    session = _session(folder, settings, None)
    names = signature(settings)
    if names is not None:
        outputs = names[1]
        return lambda call: dict(zip(outputs, session.run(outputs, call), strict=True))
    name = session.get_inputs()[0].name
    wanted = [settings["output"]] if settings.get("output") else None

    def run(images: Images) -> Images:
        logits: Images = session.run(wanted, {name: images})[0]
        return logits

    return prepared(run, settings)


def operators(folder: str, settings: dict[str, Any], images: Any) -> list[dict[str, Any]]:
    """Mean seconds of each node of the optimised graph, from ONNX Runtime's own profile; ``place`` is its execution provider."""
    with TemporaryDirectory() as scratch:
        session = _session(folder, settings, f"{scratch}/profile")
        name = session.get_inputs()[0].name
        for _ in range(WARM + TIMED):
            session.run(None, images if isinstance(images, dict) else {name: images})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times: dict[str, list[float]] = {}
    known: dict[str, tuple[str, str]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            node = event["name"][: -len("_kernel_time")]
            times.setdefault(node, []).append(event["dur"] / 1e6)
            known[node] = event["args"]["op_name"], event["args"]["provider"]
    return [{"name": node, "kind": known[node][0], "seconds": float(np.mean(times[-TIMED:])), "place": known[node][1]} for node, times in times.items()]


def _session(folder: str, settings: dict[str, Any], profile: "str | None") -> Any:
    import onnxruntime

    provider = settings.get("provider", CPU)
    if provider not in onnxruntime.get_available_providers():
        has = ", ".join(onnxruntime.get_available_providers())
        raise RuntimeError(f"this build of ONNX Runtime has no {provider}, only {has}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings["threads"]
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    session = onnxruntime.InferenceSession(f"{folder}/{settings['model']}", options, providers=[provider] if provider == CPU else [provider, CPU])
    if session.get_providers()[0] != provider:  # it falls back to the CPU without an error
        raise RuntimeError(f"ONNX Runtime could not start {provider} and would have run on {session.get_providers()[0]}")
    return session
