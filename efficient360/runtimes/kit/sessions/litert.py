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
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=f"{folder}/{settings['model']}", num_threads=settings["threads"])
    interpreter.allocate_tensors()
    given, wanted = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(images: Images) -> Images:
        interpreter.set_tensor(given, images)
        interpreter.invoke()
        logits: Images = interpreter.get_tensor(wanted)
        return logits

    return run
