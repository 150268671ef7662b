"""OpenVINO."""

import re
from typing import ClassVar, final

from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime, named
from efficient360.errors import Unsupported

MODEL = "model.xml"
BF16, FP32 = "bf16", "f32"
"""The precision OpenVINO is told to compute floating-point operators in: left alone it takes bf16 wherever the CPU has it."""


@final
class OpenVino(Runtime):
    """OpenVINO's own representation, straight from the program."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"
    extra: ClassVar[str] = "openvino"
    converts_with: ClassVar[tuple[str, ...]] = ("openvino", "nncf")
    version: ClassVar[int] = 2
    any_program: ClassVar[bool] = True
    precisions: ClassVar[tuple[Precision, ...]] = (
        Precision.FP32,
        Precision.BF16,
        Precision.W16,
        Precision.W8,
        Precision.INT8_SMOOTH,
        Precision.INT8,
        Precision.W4_GPTQ,
        Precision.W4,
    )

    def convert(self, build: Build) -> Converted:
        """Write ``model.xml`` and ``model.bin``; bf16 is a matter of computing, its file is that of fp32.

        Raises:
            Unsupported: ``no-openvino-operator``: OpenVINO lacks an operator of the program; the message names it.
        """
        import openvino
        from openvino.frontend import OpConversionFailure

        from efficient360.deployment.runtimes.program import load_program

        try:
            model = openvino.convert_model(load_program(build.program), input=_shapes(build))  # left alone it forgets the shape
        except OpConversionFailure as error:
            lacks = re.findall(r"No conversion rule found for operations: (.+)", str(error))
            message = f"OpenVINO has no translation of {lacks[0]}" if lacks else " ".join(str(error).split())[:300]
            raise Unsupported("no-openvino-operator", message, "take another runtime") from error
        if build.signature is not None:
            for ports, names in ((model.inputs, build.signature.names), (model.outputs, build.signature.outputs)):
                for port, name in zip(ports, names, strict=True):
                    port.get_tensor().set_names({name})
        facts = {"converter": "PyTorch frontend"}
        if build.precision.quantized:
            from efficient360.deployment.runtimes.quantization.openvino_quantizer import quantize

            model, told = quantize(model, build)
            facts |= told
        in_half = build.precision is Precision.W16
        facts |= {"weights": "fp16, brought to float32 when the model is loaded"} if in_half else {}
        openvino.save_model(model, build.folder / MODEL, compress_to_fp16=in_half)
        return Converted(settings={"model": MODEL, "precision": BF16 if build.precision is Precision.BF16 else FP32, **named(build)}, facts=facts)


def _shapes(build: Build) -> list[list[int]]:
    return [[build.batch, *build.size]] if build.signature is None else [list(spec.shape) for spec in build.signature.inputs]


RUNTIME = OpenVino()
