"""OpenVINO."""

import logging
import re
from typing import Any, ClassVar, final

from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime, named
from efficient360.errors import Unsupported

MODEL = "model.xml"
HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16", Precision.INT8: "f32"}
"""The precision OpenVINO is told to compute floating-point operators in: left alone it takes bf16 wherever the CPU has it."""


@final
class OpenVino(Runtime):
    """OpenVINO's own representation, straight from the program."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"
    extra: ClassVar[str] = "openvino"
    converts_with: ClassVar[tuple[str, ...]] = ("openvino", "nncf")
    version: ClassVar[int] = 2
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.BF16, Precision.INT8)
    any_program: ClassVar[bool] = True

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
        if build.precision is Precision.INT8:
            model = _quantized(model, list(build.calibration_calls() if build.signature is None else build.calibration_inputs("")))
            facts["quantizer"] = "NNCF, transformer, weights in 7 of 8 bits"
        openvino.save_model(model, build.folder / MODEL, compress_to_fp16=False)
        return Converted(settings={"model": MODEL, "precision": HINTS[build.precision], **named(build)}, facts=facts)


def _shapes(build: Build) -> list[list[int]]:
    return [[build.batch, *build.size]] if build.signature is None else [list(spec.shape) for spec in build.signature.inputs]


def _quantized(model: Any, calls: list[Any]) -> Any:
    """NNCF's static quantization, all of it calibrated; weights keep 7 bits, since CPUs without VNNI overflow with 8 and answer wrongly without a word."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    nncf.set_log_level(logging.ERROR)
    advanced = AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE)
    transformer = nncf.ModelType.TRANSFORMER
    return nncf.quantize(model, nncf.Dataset(calls), model_type=transformer, subset_size=len(calls), advanced_parameters=advanced)


RUNTIME = OpenVino()
