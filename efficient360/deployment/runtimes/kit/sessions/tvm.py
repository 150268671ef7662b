"""Machine code compiled by TVM, run by its Relax virtual machine."""

import os
import re
import sys
import time
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


def operators(folder: str, settings: "dict[str, Any]", images: Images) -> "list[dict[str, Any]]":
    """Seconds of each compiled function of the program, mean of a call; the machine's own bookkeeping is left out."""
    tvm = _imported(settings["threads"])
    machine = tvm.runtime.vm.VirtualMachine(tvm.runtime.load_module(f"{folder}/{settings['model']}"), tvm.cpu())
    given = tvm.runtime.tensor(images)
    machine["main"](given)
    spent: dict[str, float] = {}
    began = [0.0]

    def watch(_function: Any, name: str, before: bool, *_rest: Any) -> int:
        if before:
            began[0] = time.perf_counter()
        else:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - began[0]
        return 0  # go on as without it

    machine.set_instrument(watch)
    for _ in range(ROUNDS):
        machine["main"](given)
    own = [name for name in spent if not name.startswith("vm.builtin.")]
    # TVM numbers functions of the same operators apart: fused_matmul1_add2
    return [{"name": name, "kind": re.sub(r"\d+(?=_|$)", "", name), "seconds": spent[name] / ROUNDS, "place": "cpu"} for name in own]
