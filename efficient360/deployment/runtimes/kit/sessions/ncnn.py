"""ncnn on the CPU, one image a call."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULES = ("ncnn",)
Images = NDArray[np.float32]


def version() -> str:
    """Version of the runtime."""
    return metadata.version("ncnn")


def load(folder: str, settings: dict[str, Any]) -> Callable[[Images], Images]:
    """A function from images float32 ``(1, 3, H, W)`` in [0, 1] to logits float32 ``(1, K)``."""
    import ncnn

    network = ncnn.Net()
    options = network.opt
    options.num_threads = settings["threads"]
    options.use_vulkan_compute = False
    options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
    options.use_bf16_storage = settings["precision"] == "bf16"
    path = f"{folder}/{settings['model']}"
    # Both only answer with a number; to go on after a failure ends in a segmentation fault.
    for code, file in ((network.load_param(f"{path}.param"), "param"), (network.load_model(f"{path}.bin"), "bin")):
        if code:
            raise RuntimeError(f"ncnn can't load model.{file}: code {code}")

    def run(images: Images) -> Images:
        """One image through the network; ``RuntimeError`` where ncnn can't compute."""
        extractor = network.create_extractor()
        extractor.input("in0", ncnn.Mat(images[0]))
        code, logits = extractor.extract("out0")
        if code:
            raise RuntimeError(f"ncnn can't compute: code {code}")
        return np.array(logits, np.float32).reshape(1, -1)

    return run
