"""LiteRT with its XNNPACK delegate."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .naming import signature

MODULES = ("ai_edge_litert.interpreter",)
Images = NDArray[np.float32]


def version() -> str:
    """Version of the runtime."""
    return metadata.version("ai-edge-litert")


def load(folder: str, settings: dict[str, Any]) -> Callable[[Any], Any]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``; from named arrays to named arrays where settings name them.

    A quantized input or output is brought to and from float.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=f"{folder}/{settings['model']}", num_threads=settings["threads"])
    interpreter.allocate_tensors()
    names = signature(settings)
    if names is not None:
        return _named(interpreter, *names)
    given, wanted = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(images: Images) -> Images:
        interpreter.set_tensor(given["index"], _quantized(images, given))
        interpreter.invoke()
        return _real(interpreter.get_tensor(wanted["index"]), wanted)

    return run


def _named(interpreter: Any, inputs: "list[str]", outputs: "list[str]") -> Callable[[Any], Any]:
    """Inputs and outputs found through the file's one signature, where the converter numbers them in the program's order."""
    runner = interpreter.get_signature_runner()
    given = list(zip(inputs, _in_order(runner.get_input_details(), "args_"), strict=True))
    wanted = list(zip(outputs, _in_order(runner.get_output_details(), "output_"), strict=True))

    def answer(call: "dict[str, NDArray[Any]]") -> "dict[str, NDArray[Any]]":
        for name, tensor in given:
            # The converter narrows integers to 32 bits.
            interpreter.set_tensor(tensor["index"], _quantized(call[name], tensor) if call[name].dtype == np.float32 else call[name].astype(tensor["dtype"]))
        interpreter.invoke()
        results = {name: interpreter.get_tensor(tensor["index"]) for name, tensor in wanted}
        return {name: _real(results[name], tensor) if tensor["quantization"][0] else results[name] for name, tensor in wanted}

    return answer


def _in_order(details: "dict[str, Any]", prefix: str) -> "list[Any]":
    return [details[f"{prefix}{index}"] for index in range(len(details))]


def _quantized(values: Images, tensor: dict[str, Any]) -> NDArray[Any]:
    """The nearest numbers that a tensor of integers can hold; floats stay."""
    if tensor["dtype"] == np.float32:
        return values
    scale, zero = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    integers: NDArray[Any] = np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(tensor["dtype"])
    return integers


def _real(values: NDArray[Any], tensor: dict[str, Any]) -> Images:
    if tensor["dtype"] == np.float32:
        return values
    scale, zero = tensor["quantization"]
    real: Images = ((values.astype(np.float32) - zero) * scale).astype(np.float32)
    return real
