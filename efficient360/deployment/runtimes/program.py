"""A network as an exported program on disk, from which every runtime converts; and as TorchScript for converters that read nothing newer."""

import os
import warnings
from pathlib import Path
from typing import final

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from efficient360.deployment.runtimes.runtime import Build
from efficient360.deployment.runtimes.signature import Signature
from efficient360.errors import Unsupported


def export_program(module: nn.Module, size: tuple[int, int, int], batch: int, path: Path) -> None:
    """Export a network with a fixed batch size and write it, atomically.

    Args:
        module: Pixels float32 ``(B, 3, H, W)`` in [0, 1] to logits ``(B, K)``, in eval mode.
        size: ``(3, H, W)``.
        batch: ``B``.
        path: File to write (``.pt2``).

    Raises:
        Unsupported: ``torch.export`` can't trace it; the message says why.
    """
    export_called(module, (images_for(size, batch),), path)


def export_called(module: nn.Module, inputs: tuple[torch.Tensor, ...], path: Path) -> None:
    """As :func:`export_program` for a network with any inputs, their shapes fixed as they are.

    Args:
        module: In eval mode.
        inputs: What to trace it with, in the order in which it takes them.
        path: File to write (``.pt2``).

    Raises:
        Unsupported: ``no-export``: ``torch.export`` can't trace it; the message says why.
    """
    cpu = module if next(module.parameters(), inputs[0]).device.type == "cpu" else module.cpu()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(cpu, inputs)
    except Exception as error:  # the exporter's own error types are many and not public
        cause = " ".join(str(error).split())[:300]
        raise Unsupported("no-export", f"torch.export can't trace this network: {cause}", "rewrite its data-dependent control flow") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part.pt2")
    torch.export.save(program, part)
    part.replace(path)


def load_program(path: Path) -> ExportedProgram:
    """The program of a file that :func:`export_program` wrote, its weights and constants laid out in order.

    litert-torch 0.10 knows a constant by the address of its contiguous copy, which is freed at once where the tensor was laid out otherwise: the next copy
    may lie at the same address, and then is taken for the one before (weights of one layer in another's place, without a word).
    """
    program = torch.export.load(path)
    for tensor in (*program.state_dict.values(), *program.constants.values()):
        if isinstance(tensor, torch.Tensor):
            tensor.data = tensor.data.contiguous()
    return program


def images_for(program_size: tuple[int, int, int], batch: int) -> torch.Tensor:
    """Seeded example images float32 ``(batch, 3, H, W)`` in [0, 1] to trace with."""
    return torch.rand((batch, *program_size), generator=torch.Generator().manual_seed(0))


def samples_of(signature: Signature) -> tuple[torch.Tensor, ...]:
    """Seeded example inputs to trace with, in order: floats in [0, 1], integers 0, which every table has."""
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.rand(spec.shape, generator=generator) if spec.dtype == "float32" else torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))
        for spec in signature.inputs
    )


def samples_for(build: Build) -> tuple[torch.Tensor, ...]:
    """Example inputs of what a build's program takes."""
    return (images_for(build.size, build.batch),) if build.signature is None else samples_of(build.signature)


def network(path: Path) -> fx.GraphModule:
    """The program of a file as a module to call or trace again."""
    module: fx.GraphModule = load_program(path).module()
    return module


def cast_network(module: nn.Module, kind: torch.dtype) -> nn.Module:
    """A network that computes in another floating type; pixels stay float32 going in and logits float32 coming out.

    Weights and constants are cast, and so is every place where the graph names float32 as the type of what it makes (a softmax in float32, a range of
    positions), since its operators want one type throughout; its assertions on types go.

    Args:
        module: What :func:`network` gives; changed in place.
        kind: ``torch.bfloat16`` or ``torch.float16``.
    """
    for graph in [part for part in module.modules() if isinstance(part, fx.GraphModule)]:
        for node in list(graph.graph.nodes):
            if node.target is torch.ops.aten._assert_tensor_metadata.default:
                graph.graph.erase_node(node)
            elif node.op == "call_function":
                node.args = fx.node.map_aggregate(node.args, lambda a: kind if a is torch.float32 else a)
                node.kwargs = fx.node.map_aggregate(node.kwargs, lambda a: kind if a is torch.float32 else a)
        graph.recompile()
    for part in module.modules():
        for name, value in vars(part).items():  # constants that are neither parameters nor buffers
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                setattr(part, name, value.to(kind))
    return _Cast(module.to(kind), kind)


@final
class _Cast(nn.Module):
    def __init__(self, inner: nn.Module, kind: torch.dtype) -> None:
        super().__init__()
        self.inner = inner
        self.kind = kind

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.inner(images.to(self.kind))
        return logits.float()


@final
class _Evaluable(nn.Module):
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
        traced = torch.jit.trace(_Evaluable(module), (images_for(size, 1),), check_trace=False)  # type: ignore[no-untyped-call]
    torch.jit.save(traced, str(path))
