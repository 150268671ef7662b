"""LiteRT with its XNNPACK delegate."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULES = ("ai_edge_litert.interpreter",)
Images = NDArray[np.float32]


def version() -> str:
    """Version of the runtime."""
    return metadata.version("ai-edge-litert")


def load(folder: str, settings: dict[str, Any]) -> Callable[[Images], Images]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``; a quantized input or output is brought to and from float."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=f"{folder}/{settings['model']}", num_threads=settings["threads"])
    interpreter.allocate_tensors()
    given, wanted = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(images: Images) -> Images:
        interpreter.set_tensor(given["index"], _quantized(images, given))
        interpreter.invoke()
        return _real(interpreter.get_tensor(wanted["index"]), wanted)

    return run


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
