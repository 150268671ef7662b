"""ONNX Runtime."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, final

from efficient360.core.measurement import Scalar
from efficient360.deployment.runtimes.onnx_file import INPUT, NEEDS, onnx_file
from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime, named
from efficient360.deployment.runtimes.signature import Call

MODEL = "model.onnx"
QUANTIZATION = {"quantized": "Conv, Gemm, MatMul with weights", "weights": "7 of 8 bits by channel", "activations": "8 bits by tensor, from least to most"}


@final
class OnnxRuntime(Runtime):
    """The program's ONNX file, quantized or as it is: ONNX Runtime optimises it for the device when it loads it."""

    name: ClassVar[str] = "onnxruntime"
    title: ClassVar[str] = "ONNX Runtime"
    extra: ClassVar[str] = "onnxruntime"
    converts_with: ClassVar[tuple[str, ...]] = ("onnxruntime", *NEEDS)
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.INT8)
    any_program: ClassVar[bool] = True

    def convert(self, build: Build) -> Converted:
        """Write ``model.onnx``."""
        target, settings = build.folder / MODEL, {"model": MODEL, **named(build)}
        if build.precision is Precision.INT8:
            _quantize(onnx_file(build), build.calibration_inputs(INPUT), target)
            return Converted(settings=settings, facts=_graph(target) | QUANTIZATION)
        shutil.copyfile(onnx_file(build), target)
        return Converted(settings=settings, facts=_graph(target))


def _quantize(source: Path, calls: Iterator[Call], target: Path) -> None:
    """Static quantization with pairs of quantize and dequantize operators around the layers that carry weights.

    Weights keep 7 bits: CPUs without VNNI add two products of 8 by 8 bits in 16, which overflows and ruins the answers without a word. Products of two
    activations (attention) stay in float: quantizing them costs accuracy and saved no time here. ONNX Runtime's guide "Quantize ONNX models" has the first.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        """Hands the calibration calls over one at a time."""

        def get_next(self) -> Call | None:
            """The next call by the names of the inputs, ``None`` after the last."""
            return next(calls, None)

    with TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        constant = {value.name for value in graph.initializer} | {node.output[0] for node in graph.node if node.op_type == "Constant"}
        products = [node.name for node in graph.node if node.op_type == "MatMul" and not constant & set(node.input)]
        quantize_static(
            str(prepared),
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            nodes_to_exclude=products,
        )


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
