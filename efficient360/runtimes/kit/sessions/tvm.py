"""Machine code compiled by TVM, run by its Relax virtual machine."""

import os
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULES = ()  # what importing it takes is part of load(): the environment must be set first
Images = NDArray[np.float32]
ROUNDS = 3


def version() -> str:
    """Version of the runtime."""
    return metadata.version("apache-tvm")


def load(folder: str, settings: "dict[str, Any]") -> "Callable[[Images], Images]":
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``."""
    tvm = _imported(settings["threads"])
    library = tvm.runtime.load_module(f"{folder}/{settings['model']}")
    main = tvm.runtime.vm.VirtualMachine(library, tvm.cpu())["main"]

    def run(images: Images) -> Images:
        answer = main(tvm.runtime.tensor(images))
        logits: Images = (answer if hasattr(answer, "numpy") else answer[0]).numpy()
        return logits

    return run


def _imported(threads: int) -> Any:
    """TVM's runtime without its compiler, nor PyTorch, which it would import where it is installed: memory and cold start are to be its own."""
    os.environ["TVM_NUM_THREADS"] = str(threads)
    os.environ["TVM_USE_RUNTIME_LIB"] = "1"
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]
    import tvm
    import tvm.runtime.vm

    if hidden:
        del sys.modules["torch"]
    return tvm
