"""MNN in float32 on the CPU."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULES = ("MNN", "MNN.nn", "MNN.expr")
Images = NDArray[np.float32]


def version() -> str:
    """Version of the runtime."""
    return metadata.version("MNN")


def load(folder: str, settings: dict[str, Any]) -> Callable[[Images], Images]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``."""
    import MNN.expr
    import MNN.nn

    # "high" is float32 also where the CPU has half precision and MNN would choose it.
    runtime = MNN.nn.create_runtime_manager(({"backend": "CPU", "numThread": settings["threads"], "precision": "high"},))
    network = MNN.nn.load_module_from_file(f"{folder}/{settings['model']}", ["images"], ["logits"], runtime_manager=runtime)

    def run(images: Images) -> Images:
        answer = network.forward([MNN.expr.const(images, list(images.shape), MNN.expr.NCHW)])
        return np.array(answer[0].read(), np.float32)

    return run
