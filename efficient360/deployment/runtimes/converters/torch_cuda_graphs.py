"""PyTorch on an NVIDIA GPU: the whole network recorded once as a CUDA graph and replayed."""

from typing import ClassVar, final

from efficient360.deployment.runtimes.converters.torch import program_artefact
from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime, no_cuda


@final
class TorchCudaGraphs(Runtime):
    """The exported program, recorded once on a GPU and replayed: one launch in place of one for each kernel."""

    name: ClassVar[str] = "torch_cuda_graphs"
    title: ClassVar[str] = "PyTorch with CUDA graphs"
    extra: ClassVar[str] = ""
    converts_with: ClassVar[tuple[str, ...]] = ("torch",)
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.FP16, Precision.BF16)

    def convert(self, build: Build) -> Converted:
        """The program itself, in the arithmetic asked for; it is moved to the GPU when it is loaded."""
        return program_artefact(build, "cuda")

    def unavailable(self) -> str:
        return no_cuda()


RUNTIME = TorchCudaGraphs()
