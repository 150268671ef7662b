"""The machine that the kit runs on, in plain data."""

import importlib.util
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = {
    "torch": ("torch", "torch"),
    "torch_compile": ("torch", "torch"),
    "onnxruntime": ("onnxruntime", "onnxruntime"),
    "openvino": ("openvino", "openvino"),
    "litert": ("ai_edge_litert", "ai-edge-litert"),
    "executorch": ("executorch", "executorch"),
    "mnn": ("MNN", "MNN"),
    "ncnn": ("ncnn", "ncnn"),
    "tvm": ("tvm", "apache-tvm"),
}
"""Module and distribution of each runtime."""
ISAS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve")


def describe() -> dict[str, Any]:
    """CPU, cores open to this process, memory in bytes, operating system, instruction sets and runtimes with their versions."""
    return {
        "os": platform.platform(terse=True),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "isa": _isa(),
        "runtimes": {name: _version(dist) for name, (module, dist) in PACKAGES.items() if importlib.util.find_spec(module)},
    }


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # built from source, or under another name (onnxruntime-gpu)
        return "unknown"


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _cpu() -> str:
    for key in ("model name", "Model", "Hardware"):
        for line in _cpuinfo():
            if line.startswith(key):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _isa() -> list[str]:
    for line in _cpuinfo():
        if line.startswith(("flags", "Features")):
            has = set(line.partition(":")[2].split())
            return [name for name in ISAS if name in has]
    return []
