"""OpenVINO."""

from typing import ClassVar, final

from efficient360.runtimes.program import load_program
from efficient360.runtimes.runtime import Build, Converted, Precision, Runtime

MODEL = "model.xml"
HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16"}
"""The precision OpenVINO is told to compute floating-point operators in: left alone it takes bf16 wherever the CPU has it."""


@final
class OpenVino(Runtime):
    """OpenVINO's own representation, straight from the program."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"
    extra: ClassVar[str] = "openvino"
    converts_with: ClassVar[tuple[str, ...]] = ("openvino", "nncf")
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.BF16)

    def convert(self, build: Build) -> Converted:
        """Write ``model.xml`` and ``model.bin``; bf16 is a matter of computing, its file is that of fp32."""
        import openvino

        model = openvino.convert_model(load_program(build.program))
        openvino.save_model(model, build.folder / MODEL, compress_to_fp16=False)
        return Converted(settings={"model": MODEL, "precision": HINTS[build.precision]}, facts={"converter": "PyTorch frontend"})


RUNTIME = OpenVino()
