"""A program as a TorchScript file, for converters that read nothing newer."""

from pathlib import Path
from typing import final

import torch
from torch import fx, nn

from efficient360.deployment.runtimes.program import images_for


@final
class _Plain(nn.Module):
    """An exported graph refuses ``eval()`` and the like; a module around it does not."""

    def __init__(self, inner: fx.GraphModule) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.inner(images)
        return logits


def write_traced(module: fx.GraphModule, size: tuple[int, int, int], path: Path) -> None:
    """Trace a program's graph with one image of ``(3, H, W)`` and write it."""
    for node in [n for n in module.graph.nodes if n.op == "call_module" and not n.users]:  # checks of shapes, true by construction
        module.graph.erase_node(node)
    module.recompile()
    with torch.no_grad():
        traced = torch.jit.trace(_Plain(module), (images_for(size, 1),), check_trace=False)  # type: ignore[no-untyped-call]
    torch.jit.save(traced, str(path))
