"""LiteRT (TensorFlow Lite), whose XNNPACK delegate computes on CPUs."""

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, final

from efficient360.deployment.runtimes.runtime import Build, Converted, Delegation, Precision, Runtime, named

MODEL = "model.tflite"


@final
class LiteRt(Runtime):
    """Converted by litert-torch from the program with plain attention: fused attention with shared keys converts to wrong answers without a word."""

    name: ClassVar[str] = "litert"
    title: ClassVar[str] = "LiteRT"
    extra: ClassVar[str] = "litert"
    converts_with: ClassVar[tuple[str, ...]] = ("litert_torch", "litert_converter", "ai_edge_litert", "ai_edge_quantizer")
    precisions: ClassVar[tuple[Precision, ...]] = (
        Precision.FP32,
        Precision.W16,
        Precision.W8,
        Precision.INT8_DYNAMIC,
        Precision.INT8_SMOOTH,
        Precision.INT8,
        Precision.INT4_DYNAMIC,
    )
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
        if build.precision is not Precision.FP32:
            from efficient360.deployment.runtimes.quantization.litert_quantizer import quantize

            facts |= quantize(path, build)
        return Converted(settings={"model": MODEL, **named(build)}, facts=facts, delegation=_delegation(path))


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
