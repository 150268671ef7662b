"""PyTorch, operator by operator."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULES = ("torch",)
Images = NDArray[np.float32]


def version() -> str:
    """Version of the runtime."""
    import torch

    return str(torch.__version__)


def load(folder: str, settings: dict[str, Any]) -> Callable[[Images], Images]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``."""
    import torch

    torch.set_num_threads(settings["threads"])
    module = torch.export.load(f"{folder}/{settings['model']}").module()
    kind = torch.bfloat16 if settings["precision"] == "bf16" else torch.float32
    module.to(kind)

    def run(images: Images) -> Images:
        with torch.inference_mode():
            logits: Images = module(torch.from_numpy(images).to(kind)).float().numpy()
            return logits

    return run
