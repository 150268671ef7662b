"""PyTorch on an NVIDIA GPU: operators one by one."""

from typing import ClassVar, final

from efficient360.deployment.runtimes.converters.torch import program_artefact
from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime, no_cuda


@final
class TorchCuda(Runtime):
    """The exported program, run operator by operator on a GPU."""

    name: ClassVar[str] = "torch_cuda"
    title: ClassVar[str] = "PyTorch eager on CUDA"
    extra: ClassVar[str] = ""
    converts_with: ClassVar[tuple[str, ...]] = ("torch",)
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.FP16, Precision.BF16)

    def convert(self, build: Build) -> Converted:
        """The program itself, in the arithmetic asked for; it is moved to the GPU when it is loaded."""
        return program_artefact(build, "cuda")

    def unavailable(self) -> str:
        return no_cuda()


RUNTIME = TorchCuda()
