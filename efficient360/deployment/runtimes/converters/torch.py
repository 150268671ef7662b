"""PyTorch as it comes: operators one by one."""

import shutil
from typing import ClassVar, final

from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime, named
from efficient360.errors import Unsupported


@final
class Torch(Runtime):
    """The exported program, run operator by operator."""

    name: ClassVar[str] = "torch"
    title: ClassVar[str] = "PyTorch eager"
    extra: ClassVar[str] = ""
    converts_with: ClassVar[tuple[str, ...]] = ("torch",)
    any_program: ClassVar[bool] = True
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.BF16)
    version: ClassVar[int] = 2

    def convert(self, build: Build) -> Converted:
        """The program itself, in the arithmetic asked for."""
        return program_artefact(build, "cpu")


def program_artefact(build: Build, device: str) -> Converted:
    """Write the program as ``model.pt2``; its weights and its operators cast where the precision is not fp32.

    Args:
        build: What is asked for.
        device: ``cpu`` or ``cuda``: where the session is to run it.
    """
    import torch

    from efficient360.deployment.runtimes.program import cast_network, export_program, network

    target = build.folder / "model.pt2"
    if build.precision is Precision.FP32:
        shutil.copyfile(build.program, target)
    elif build.signature is not None:
        raise Unsupported("no-precision", f"a program with inputs of its own runs in fp32 in PyTorch, not in {build.precision}", "take fp32 or another runtime")
    else:
        kind = torch.bfloat16 if build.precision is Precision.BF16 else torch.float16
        export_program(cast_network(network(build.program), kind), build.size, build.batch, target)
    return Converted(settings={"model": target.name, "device": device, **named(build)})


RUNTIME = Torch()
