"""The machine and the software a number was taken with, and which of it must agree before two numbers are compared."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("efficient360", "torch", "torchvision", "timm", "fvcore", "datasets", "numpy", "pillow", "scipy")


def describe() -> dict[str, Any]:
    """Operating system, CPU, memory, GPUs, versions, threads and git state as plain JSON data."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return {
        "os": platform.platform(terse=True),
        "python": platform.python_version(),
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": psutil.virtual_memory().total,
        "gpus": gpus,
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "git": git_state(Path(__file__).parents[1]),
    }


def machine(environment: dict[str, Any]) -> dict[str, Any]:
    """What must agree before a stored outcome that depends on the machine is taken up again."""
    return {key: environment[key] for key in ("os", "python", "cpu", "cores", "threads", "memory", "gpus")}


def cpu_name() -> str:
    """The CPU's model name, or the architecture where the system doesn't tell."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether files differ from it; ``None`` where the package is not run from a git checkout of its own."""
    try:
        top = _git(folder, "rev-parse", "--show-toplevel")
        if Path(top) != folder.parent:
            return None
        return {"commit": _git(folder, "rev-parse", "HEAD"), "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
