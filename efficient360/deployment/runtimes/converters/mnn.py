"""MNN, converted from ONNX by the library's own converter."""

import subprocess
import sys
from pathlib import Path
from typing import ClassVar, final

from efficient360.core.processes import environment
from efficient360.deployment.runtimes.onnx_file import NEEDS, onnx_file
from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime
from efficient360.errors import Unsupported

MODEL = "model.mnn"
# The console script mnnconvert installs packages and reports to its makers before it converts; the native module beneath it only converts.
CONVERTER = (sys.executable, "-P", "-c", "import sys, _tools; _tools.mnnconvert(sys.argv)")


@final
class Mnn(Runtime):
    """Its converter tells success in words alone, so those are what is checked."""

    name: ClassVar[str] = "mnn"
    title: ClassVar[str] = "MNN"
    extra: ClassVar[str] = "mnn"
    converts_with: ClassVar[tuple[str, ...]] = ("MNN", *NEEDS)
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32,)

    def convert(self, build: Build) -> Converted:
        """Write ``model.mnn``."""
        _write(onnx_file(build), build.folder / MODEL)
        return Converted(settings={"model": MODEL}, facts={"exporter": "onnx"})


def _write(source: Path, target: Path) -> None:
    command = [*CONVERTER, "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "efficient360"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace", env=environment())
    if done.returncode or "onverted Success" not in done.stdout or not target.is_file():
        words = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip() and "The device supports" not in line]
        output = " ".join(words[-4:])[-300:]
        raise Unsupported("no-mnn", f"MNN's converter can't convert this network: {output}", "take another runtime")


RUNTIME = Mnn()
