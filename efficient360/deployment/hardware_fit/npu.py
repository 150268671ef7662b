"""What an embedded accelerator's own compiler estimates for a network. Nothing here is measured."""

import csv
import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

from efficient360.core.measurement import Failure, Status
from efficient360.core.processes import environment
from efficient360.deployment.runtimes.runtime import Artefact

COMMAND = (sys.executable, "-P", "-m", "efficient360.deployment.hardware_fit.npu_process")
ACCELERATOR = "ethos-u85-256"
COMPILER = "ethos-u-vela"
NEEDS = ("ethosu", "ai_edge_quantizer", "ai_edge_litert")


@final
@dataclass(frozen=True)
class Estimate:
    """The compiler's own estimate for a network in int8.

    Args:
        seconds: Of one inference, the part on the accelerator alone.
        operators: Share of the operators that it puts on the accelerator, in [0, 1].
        system: The system configuration it assumes (memories and clock).
    """

    seconds: float
    operators: float
    system: str


def estimate(artefact: Artefact, images: Path, timeout: float) -> Estimate | Failure:
    """Quantize a LiteRT artefact in fp32 throughout and compile it for :data:`ACCELERATOR`, in a process of its own.

    Args:
        artefact: Of the runtime ``litert``.
        images: ``.npy`` of images float32 ``(n, 3, H, W)`` that give the ranges.
        timeout: Seconds that it may take.
    """
    absent = [module for module in NEEDS if importlib.util.find_spec(module) is None]
    if absent:
        message = f"an estimate for {ACCELERATOR} needs {', '.join(absent)}, not installed"
        return Failure(Status.UNSUPPORTED, "npu-not-installed", message, "pip install 'efficient360[npu]', and LiteRT's converter")
    with TemporaryDirectory(prefix="efficient360-") as folder:
        model = artefact.folder / str(artefact.converted.settings["model"])
        request = {"model": str(model.resolve()), "images": str(images.resolve()), "folder": folder, "accelerator": ACCELERATOR}
        try:
            done = subprocess.run(
                COMMAND, input=json.dumps(request), capture_output=True, text=True, timeout=timeout, check=False, errors="replace", env=environment()
            )
        except subprocess.TimeoutExpired:
            return Failure(Status.FAILED, "npu-slow", f"{COMPILER} took longer than {timeout:.0f} s and was ended", "the other numbers do not need it")
        summaries = sorted(Path(folder).glob("*_summary_*.csv"))
        if done.returncode or not summaries:
            words = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            last = words[-1][:300] if words else f"it ended with code {done.returncode}"
            return Failure(Status.FAILED, "npu-failed", f"{COMPILER} gave no estimate: {last}", "the other numbers do not need it")
        return parsed(summaries[0].read_text(encoding="utf-8"), done.stdout)


def parsed(summary: str, output: str) -> Estimate | Failure:
    """The estimate in the compiler's summary (CSV) and in what it printed."""
    row = next(csv.DictReader(summary.splitlines()), {})
    share = re.search(r"NPU operators = \d+ \(([\d.]+)%\)", output)
    if share is None or "inference_time" not in row or float(share[1]) == 0:
        return Failure(Status.UNSUPPORTED, "npu-refused", f"{COMPILER} put nothing of the network on {ACCELERATOR}", "the other numbers do not need it")
    return Estimate(float(row["inference_time"]), float(share[1]) / 100, row["system_config"])
