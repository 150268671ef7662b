"""PyTorch's compiler: the program fused into C++ by TorchInductor, on the device itself."""

from typing import ClassVar, final

from efficient360.deployment.runtimes.converters.torch import program_artefact
from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime


@final
class TorchCompile(Runtime):
    """The exported program under ``torch.compile``. The artefact is the program; the session compiles it where it runs."""

    name: ClassVar[str] = "torch_compile"
    title: ClassVar[str] = "torch.compile"
    extra: ClassVar[str] = ""
    converts_with: ClassVar[tuple[str, ...]] = ("torch",)
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.BF16)

    def convert(self, build: Build) -> Converted:
        """The program itself, in the arithmetic asked for."""
        return program_artefact(build, "cpu")


RUNTIME = TorchCompile()
