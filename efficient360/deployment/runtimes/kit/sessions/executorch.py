"""ExecuTorch with the XNNPACK backend."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULES = ("executorch.runtime", "executorch.extension.pybindings.portable_lib")
Images = NDArray[np.float32]


def version() -> str:
    """Version of the runtime."""
    return metadata.version("executorch")


def load(folder: str, settings: dict[str, Any]) -> Callable[[Images], Images]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``."""
    import torch
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime

    _unsafe_reset_threadpool(settings["threads"])  # else a thread for every core, whatever torch is told and however few cores are open
    method = Runtime.get().load_program(f"{folder}/{settings['model']}").load_method("forward")

    def run(images: Images) -> Images:
        logits: Images = method.execute([torch.from_numpy(images)])[0].numpy()
        return logits

    return run
