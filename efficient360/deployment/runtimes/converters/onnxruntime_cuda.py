"""ONNX Runtime on an NVIDIA GPU."""

import importlib.util
import shutil
from typing import ClassVar, final

from efficient360.deployment.runtimes.converters.onnxruntime import MODEL
from efficient360.deployment.runtimes.onnx_file import NEEDS, onnx_file
from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime, no_cuda

PROVIDER = "CUDAExecutionProvider"


@final
class OnnxRuntimeCuda(Runtime):
    """The program's ONNX file under the CUDA execution provider; what that can't do runs on the CPU beside it, and the operators' profile tells."""

    name: ClassVar[str] = "onnxruntime_cuda"
    title: ClassVar[str] = "ONNX Runtime on CUDA"
    extra: ClassVar[str] = "onnxruntime"
    converts_with: ClassVar[tuple[str, ...]] = ("onnxruntime", *NEEDS)
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.FP16)
    hint: ClassVar[str] = "pip uninstall onnxruntime, then pip install onnxruntime-gpu 'efficient360[onnxruntime]' --no-deps"

    def convert(self, build: Build) -> Converted:
        """Write ``model.onnx``, in fp16 with images and logits still float32."""
        target, settings = build.folder / MODEL, {"model": MODEL, "provider": PROVIDER}
        if build.precision is not Precision.FP16:
            shutil.copyfile(onnx_file(build), target)
            return Converted(settings=settings)
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(onnx_file(build)), keep_io_types=True), target)
        return Converted(settings=settings, facts={"images and logits": "fp32"})

    def unavailable(self) -> str:
        """No GPU, or a build of ONNX Runtime without CUDA."""
        if (reason := no_cuda()) or importlib.util.find_spec("onnxruntime") is None:
            return reason
        providers = importlib.import_module("onnxruntime").get_available_providers()
        return "" if PROVIDER in providers else f"this build of ONNX Runtime has no {PROVIDER}"


RUNTIME = OnnxRuntimeCuda()
