"""LiteRT (TensorFlow Lite), whose XNNPACK delegate computes on CPUs."""

from typing import ClassVar, final

from efficient360.runtimes.program import images_for, load_program
from efficient360.runtimes.runtime import Build, Converted, Precision, Runtime
from efficient360.runtimes.unfused import unfused

MODEL = "model.tflite"


@final
class LiteRt(Runtime):
    """Converted by litert-torch from the program with plain attention: fused attention with shared keys converts to wrong answers without a word."""

    name: ClassVar[str] = "litert"
    title: ClassVar[str] = "LiteRT"
    extra: ClassVar[str] = "litert"
    converts_with: ClassVar[tuple[str, ...]] = ("litert_torch", "litert_converter", "ai_edge_litert")
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32,)

    def convert(self, build: Build) -> Converted:
        """Write ``model.tflite``."""
        import litert_torch

        sample = (images_for(build.size, build.batch),)
        model = litert_torch.convert(unfused(load_program(build.program)), sample)
        model.export(str(build.folder / MODEL))
        return Converted(settings={"model": MODEL}, facts={"exporter": "litert_torch", "attention": "plain operators"})


RUNTIME = LiteRt()
