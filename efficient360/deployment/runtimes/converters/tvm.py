"""TVM: the program compiled to machine code of this machine, with its untuned default schedules."""

import os
import shutil
from pathlib import Path
from typing import ClassVar, final

from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime
from efficient360.errors import Unsupported

MODEL = "model.so"
AVX2 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}
LEVELS = {
    "x86-64-v4": AVX2 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "x86-64-v3": AVX2,
    "x86-64-v2": {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
}
"""Flags of /proc/cpuinfo that each level of the x86-64 psABI takes, the highest first."""


@final
class Tvm(Runtime):
    """Relax imports the exported program and LLVM compiles it; a C++ compiler links it."""

    name: ClassVar[str] = "tvm"
    title: ClassVar[str] = "TVM"
    extra: ClassVar[str] = "tvm"
    converts_with: ClassVar[tuple[str, ...]] = ("tvm",)
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32,)

    def convert(self, build: Build) -> Converted:
        """Write ``model.so``."""
        if shutil.which("g++") is None and shutil.which("clang++") is None:
            raise Unsupported("no-compiler", "TVM links its code with a C++ compiler, and there is none", "install a C++ compiler (g++ or clang++)")
        import tvm
        from tvm import relax
        from tvm.relax.frontend.torch import from_exported_program

        from efficient360.deployment.runtimes.program import load_program

        try:
            module = from_exported_program(load_program(build.program), keep_params_as_input=False, unwrap_unit_return_tuple=True)
        except Exception as error:  # the importer's errors are assertions, value errors and its own
            message = " ".join(str(error).split())[:300]
            raise Unsupported("no-relax", f"TVM can't import this network: {type(error).__name__}: {message}", "take another runtime") from error
        cpu = _cpu() or str(tvm.target.codegen.llvm_get_system_cpu())
        target = tvm.target.Target({"kind": "llvm", "mcpu": cpu, "num-cores": os.cpu_count() or 1})
        library = tvm.compile(relax.get_pipeline("zero")(module), target)
        library.export_library(str(build.folder / MODEL))
        return Converted(settings={"model": MODEL}, facts={"exporter": "relax", "tuned": False, "cpu": cpu})


def _cpu() -> str | None:
    """The x86-64 level of this machine; ``None`` on others.

    LLVM names the model it runs on, and compiles for all that this model has; a virtual machine may have some of that switched off, and the code crashes.
    """
    flags = {word for line in _cpuinfo() if line.startswith("flags") for word in line.split()}
    for level, needed in LEVELS.items():
        if needed <= flags:
            return level
    return None


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


RUNTIME = Tvm()
