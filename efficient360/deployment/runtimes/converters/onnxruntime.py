"""ONNX Runtime."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, final

from efficient360.core.measurement import Scalar
from efficient360.deployment.runtimes.onnx_file import NEEDS, onnx_file
from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime, named

MODEL = "model.onnx"


@final
class OnnxRuntime(Runtime):
    """The program's ONNX file, quantized or as it is: ONNX Runtime optimises it for the device when it loads it."""

    name: ClassVar[str] = "onnxruntime"
    title: ClassVar[str] = "ONNX Runtime"
    extra: ClassVar[str] = "onnxruntime"
    converts_with: ClassVar[tuple[str, ...]] = ("onnxruntime", *NEEDS)
    any_program: ClassVar[bool] = True
    precisions: ClassVar[tuple[Precision, ...]] = (
        Precision.FP32,
        Precision.W16,
        Precision.W8,
        Precision.INT8_DYNAMIC,
        Precision.INT8_SMOOTH,
        Precision.INT8,
        Precision.W4_GPTQ,
        Precision.W4,
        Precision.INT4_DYNAMIC,
    )

    def convert(self, build: Build) -> Converted:
        """Write ``model.onnx``."""
        target = build.folder / MODEL
        facts: dict[str, str] = {}
        if build.precision is Precision.FP32:
            shutil.copyfile(onnx_file(build), target)
        else:
            from efficient360.deployment.runtimes.quantization.onnx_quantizer import quantize

            facts = quantize(onnx_file(build), build, target)
        return Converted(settings={"model": MODEL, **named(build)}, facts=_graph(target) | facts)


def _graph(path: Path) -> dict[str, Scalar]:
    """How many nodes the file has, and how many are left once ONNX Runtime has optimised it for the CPU it is converted on."""
    import onnx
    import onnxruntime

    with TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = f"{folder}/optimised.onnx"
        options.log_severity_level = 3  # it warns that such a file fits this CPU alone
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        left = onnx.load(options.optimized_model_filepath).graph.node
        return {"nodes": len(onnx.load(path).graph.node), "nodes_optimised": len(left)}


RUNTIME = OnnxRuntime()
