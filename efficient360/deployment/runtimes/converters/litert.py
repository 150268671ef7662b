"""LiteRT (TensorFlow Lite), whose XNNPACK delegate computes on CPUs."""

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from efficient360.deployment.runtimes.runtime import Build, Converted, Delegation, Precision, Runtime, named

MODEL = "model.tflite"
IN_INT8 = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE")
"""What int8 quantizes. With every operator in int8, softmax, GELU and normalisation lose accuracy, and XNNPACK takes a transformer in dozens of pieces."""


@final
class LiteRt(Runtime):
    """Converted by litert-torch from the program with plain attention: fused attention with shared keys converts to wrong answers without a word."""

    name: ClassVar[str] = "litert"
    title: ClassVar[str] = "LiteRT"
    extra: ClassVar[str] = "litert"
    converts_with: ClassVar[tuple[str, ...]] = ("litert_torch", "litert_converter", "ai_edge_litert", "ai_edge_quantizer")
    precisions: ClassVar[tuple[Precision, ...]] = (Precision.FP32, Precision.INT8)
    any_program: ClassVar[bool] = True
    hint: ClassVar[str] = "pip install 'efficient360[litert]', then pip install --no-deps litert-torch litert-converter ai-edge-quantizer"

    def convert(self, build: Build) -> Converted:
        """Write ``model.tflite``."""
        import litert_torch

        from efficient360.deployment.runtimes.graph_rewrites import decompose_attention
        from efficient360.deployment.runtimes.program import load_program, samples_for

        model = litert_torch.convert(decompose_attention(load_program(build.program)), samples_for(build))
        path = build.folder / MODEL
        model.export(str(path))
        facts = {"exporter": "litert_torch", "attention": "plain operators"}
        if build.precision is Precision.INT8:
            _quantize(path, build)
            facts |= {"quantization": "static activations", "quantized": ", ".join(IN_INT8)}
        return Converted(settings={"model": MODEL, **named(build)}, facts=facts, delegation=_delegation(path))


def _quantize(path: Path, build: Build) -> None:
    """Put the model with weights in 8 bits by channel, activations in 8 bits by tensor, in place of the one in float."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    ((signature, names),) = Interpreter(str(path)).get_signature_list().items()
    recipe = recipe_manager.RecipeManager()
    for operation in IN_INT8:
        recipe.add_static_config(".*", qtyping.TFLOperationName(operation), activation_num_bits=8, weight_num_bits=8)
    # Its own moving average forgets extremes, and what lies beyond the range is cut off: the whole range serves transformers better.
    observer = calibrator.Calibrator(str(path), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    calls: Any = build.calibration_inputs(names["inputs"][0])
    if build.signature is not None:
        calls = ({f"args_{i}": _narrow(call[name]) for i, name in enumerate(build.signature.names)} for call in calls)
    observer.calibrate({signature: list(calls)}, recipe)
    model = quantizer.Quantizer(str(path), recipe.get_quantization_recipe())
    model.quantize(observer.get_model_qsvs(), enable_progress_report=False).export_model(str(path), overwrite=True)


def _narrow(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.int32) if array.dtype == np.int64 else array


def _delegation(path: Path) -> Delegation:
    """What XNNPACK takes on this machine: the operators between the inputs and outputs of the nodes that the interpreter has put in their place."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    nodes = interpreter._get_ops_details()  # the operators of the file, and behind them the delegate's nodes
    operators = [node for node in nodes if node["op_name"] != "DELEGATE"]
    delegates = [node for node in nodes if node["op_name"] == "DELEGATE"]
    delegated: set[int] = set().union(*(_between(node, operators) for node in delegates))
    left = Counter(node["op_name"] for node in operators if node["index"] not in delegated)
    return Delegation("XNNPACK", len(delegated), len(operators), len(delegates), dict(left))


def _between(delegate: dict[str, Any], operators: list[dict[str, Any]]) -> set[int]:
    """Indices of the operators from which a delegate's outputs come, back to its inputs."""
    maker = {int(tensor): node for node in operators for tensor in node["outputs"]}
    inputs = {int(tensor) for tensor in delegate["inputs"]}
    indices: set[int] = set()
    wanted = [int(tensor) for tensor in delegate["outputs"]]
    while wanted:
        tensor = wanted.pop()
        node = None if tensor in inputs else maker.get(tensor)
        if node is not None and node["index"] not in indices:
            indices.add(node["index"])
            wanted += [int(source) for source in node["inputs"]]
    return indices


RUNTIME = LiteRt()
