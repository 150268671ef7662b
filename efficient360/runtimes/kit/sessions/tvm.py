"""Machine code compiled by TVM, run by its Relax virtual machine."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULES = ()  # imported in load(), once the number of threads is set
Images = NDArray[np.float32]


def version() -> str:
    """Version of the runtime."""
    import tvm

    return str(tvm.__version__)


def load(folder: str, settings: dict[str, Any]) -> Callable[[Images], Images]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``."""
    os.environ["TVM_NUM_THREADS"] = str(settings["threads"])
    import tvm
    from tvm import relax

    library = tvm.runtime.load_module(f"{folder}/{settings['model']}")
    main = relax.VirtualMachine(library, tvm.cpu())["main"]

    def run(images: Images) -> Images:
        answer = main(tvm.runtime.tensor(images))
        logits: Images = (answer if hasattr(answer, "numpy") else answer[0]).numpy()
        return logits

    return run
