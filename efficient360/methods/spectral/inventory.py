"""Every weight of a network that acts as a linear operator, found by walking its modules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from efficient360.methods.spectral.convolution import blocks_of, caught
from efficient360.methods.spectral.fourier_filter import filter_of
from efficient360.methods.spectral.fused import FUSED, Part, heads_of, parts_of
from efficient360.methods.spectral.kinds import Kind, kind_of

CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
HEADED: Final = (Kind.QUERY, Kind.KEY, Kind.VALUE)


@final
@dataclass(frozen=True)
class MatrixWeight:
    """A weight that is a matrix, used at every position: linear layers, convolutions of one pixel, patch embeddings.

    Args:
        name: Dotted name of the module, with the part where it was fused.
        kind: What it does.
        blocks: ``(b, m, n)``; more than one block where channels are grouped.
        heads: Rows fall into this many heads of equal size.
    """

    name: str
    kind: Kind
    blocks: Tensor
    heads: int = 1


@final
@dataclass(frozen=True)
class ConvolutionWeight:
    """A convolution whose kernel overlaps itself.

    Args:
        name: Dotted name.
        kind: What it does.
        module: The module.
        shape: Shape of one of its inputs, ``(1, C, …)``.
    """

    name: str
    kind: Kind
    module: nn.Module
    shape: tuple[int, ...]


@final
@dataclass(frozen=True)
class FilterWeight:
    """A filter in Fourier space, complex ``(H, W // 2 + 1, C)``."""

    name: str
    weight: Tensor
    kind: Kind = Kind.FILTER


Weight = MatrixWeight | ConvolutionWeight | FilterWeight


@final
@dataclass(frozen=True)
class Inventory:
    """What there is.

    Args:
        weights: In order of the modules.
        seen: Parameters that they hold.
        total: Parameters of the network.
        unused: Convolutions that a pass never reaches, by name.
    """

    weights: Sequence[Weight]
    seen: int
    total: int
    unused: Sequence[str] = field(default=())


def inventory(network: nn.Module, image: Tensor) -> Inventory:
    """Walk a network, with one pass of one image to see how large the maps are that its convolutions meet.

    Args:
        network: In eval mode, on normalised images.
        image: ``(1, 3, H, W)``.
    """
    shapes = _input_shapes(network, image)
    weights: list[Weight] = []
    unused: list[str] = []
    seen: set[int] = set()
    for name, module in network.named_modules():
        if isinstance(module, CONVOLUTIONS) and name not in shapes:
            unused.append(name)
            continue
        found = list(_weights_of(network, name, module, shapes))
        weights += found
        seen |= {id(p) for p in module.parameters(recurse=False) if p.ndim > 1} if found else set()
    sizes = {id(p): p.numel() for p in network.parameters()}
    return Inventory(weights, sum(sizes[key] for key in seen), sum(sizes.values()), unused)


def _weights_of(network: nn.Module, name: str, module: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Weight]:
    if isinstance(module, CONVOLUTIONS):
        weight = next(iter(module.parameters(recurse=False)))
        arguments = caught(module, torch.ones(shapes[name], device=weight.device, dtype=weight.dtype))
        blocks = blocks_of(arguments)
        if blocks is None:
            kind = kind_of(name)
            yield ConvolutionWeight(name, kind if kind is Kind.EMBEDDING else Kind.CONVOLUTION, module, shapes[name])
        else:
            yield from _split(network, name, blocks, Kind.CONVOLUTION)
    elif isinstance(module, nn.Linear):
        yield from _split(network, name, module.weight.detach()[None], Kind.OTHER)
    elif isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
        yield from _pieces(name, module.in_proj_weight.detach()[None], parts_of(module, "in_proj_weight", len(module.in_proj_weight)))
    elif (weight_in_fourier := filter_of(module)) is not None:
        yield FilterWeight(name, weight_in_fourier)


def _split(network: nn.Module, name: str, blocks: Tensor, unnamed: Kind) -> Iterator[MatrixWeight]:
    parts = name.split(".")
    place = next((i for i in range(len(parts) - 1, -1, -1) if parts[i] in FUSED), None)
    rows = blocks.shape[0] * blocks.shape[1]
    if place is not None and len(blocks) == 1:
        pieces = parts_of(network.get_submodule(".".join(parts[:place])), parts[place], rows)
        if pieces:
            yield from _pieces(name, blocks, pieces)
            return
    told = _classifier_or(network, name, kind_of(name))
    kind = unnamed if told is Kind.OTHER else told
    heads = heads_of(network.get_submodule(".".join(parts[:-1]))) if kind in HEADED and len(blocks) == 1 else 1
    yield MatrixWeight(name, kind, blocks, heads if rows % heads == 0 else 1)


def _pieces(name: str, blocks: Tensor, parts: Sequence[Part]) -> Iterator[MatrixWeight]:
    for part in parts:
        yield MatrixWeight(f"{name} {part.kind}", part.kind, blocks[:, part.rows.flatten().to(blocks.device)], len(part.rows))


def _classifier_or(network: nn.Module, name: str, kind: Kind) -> Kind:
    get: Any = getattr(network, "get_classifier", None)
    final_layer = get() if callable(get) else None
    return Kind.CLASSIFIER if final_layer is not None and network.get_submodule(name) is final_layer else kind


def _input_shapes(network: nn.Module, image: Tensor) -> dict[str, tuple[int, ...]]:
    """Shape ``(1, C, …)`` of the first input that each convolution meets, by name."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(_module: nn.Module, given: tuple[Any, ...]) -> None:
            shapes.setdefault(name, (1, *given[0].shape[1:]))

        return hook

    hooks = [m.register_forward_pre_hook(note(name)) for name, m in network.named_modules() if isinstance(m, CONVOLUTIONS)]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes
