"""PyTorch on an NVIDIA GPU, the network recorded once as a CUDA graph. Both copies, to the GPU and back, count in a call; recording counts as loading."""

from collections.abc import Callable
from typing import Any

from .torch import MODULES, Images, opened, version

__all__ = ["MODULES", "load", "version"]
WARM_UPS = 3


def load(folder: str, settings: dict[str, Any]) -> Callable[[Images], Images]:
    """A function from images float32 ``(B, 3, H, W)`` in [0, 1] to logits float32 ``(B, K)``.

    Raises:
        RuntimeError: There is no CUDA device.
    """
    import torch

    module, grey = opened(folder, settings)
    with torch.inference_mode():
        held = torch.from_numpy(grey).to("cuda")  # a graph reads its input at one address for ever
        side: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries choose kernels and allocate in their first calls, which a recording forbids
            for _ in range(WARM_UPS):
                module(held)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = module(held)

    def run(images: Images) -> Images:
        with torch.inference_mode():
            held.copy_(torch.from_numpy(images))
            graph.replay()
            answer: Images = logits.cpu().numpy()
            return answer

    return run
