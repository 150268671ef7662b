"""PyTorch as it comes: operators one by one."""

import shutil
from typing import ClassVar, final

from efficient360.runtimes.runtime import Build, Converted, Precision, Runtime


@final
class Torch(Runtime):
    """The exported program, run operator by operator."""

    name: ClassVar[str] = "torch"
    title: ClassVar[str] = "PyTorch eager"
    extra: ClassVar[str] = ""
    converts_with: ClassVar[tuple[str, ...]] = ("torch",)
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.BF16)

    def convert(self, build: Build) -> Converted:
        """The program itself is the artefact; bf16 is cast when it is loaded."""
        shutil.copyfile(build.program, build.folder / "model.pt2")
        return Converted(settings={"model": "model.pt2", "precision": build.precision.value})


RUNTIME = Torch()
