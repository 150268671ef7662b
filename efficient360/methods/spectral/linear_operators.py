"""Every weight of a network that acts as a linear operator: matrices, convolutions and Fourier filters, collected by walking its modules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from efficient360.methods.spectral.convolution_spectra import as_matrix_blocks, convolution_arguments, fourier_filter
from efficient360.methods.spectral.weight_roles import FUSED, ProjectionRows, WeightRole, head_count, role_of, split_fused, structural_role
from efficient360.models.view.protocol import ViTView
from efficient360.models.view.stated import stated_classifier

CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
WITH_HEADS: Final = (WeightRole.QUERY, WeightRole.KEY, WeightRole.VALUE)


@final
@dataclass(frozen=True)
class MatrixWeight:
    """A weight that is a matrix, applied at every position: linear layers, 1 × 1 convolutions, patch embeddings.

    Args:
        name: Dotted name of the module, followed by the role where several were fused.
        role: What it does.
        blocks: ``(b, m, n)``; more than one block where channels are grouped.
        heads: Number of heads of equal size that the rows divide into.
    """

    name: str
    role: WeightRole
    blocks: Tensor
    heads: int = 1


@final
@dataclass(frozen=True)
class ConvolutionWeight:
    """A convolution whose windows overlap.

    Args:
        name: Dotted name of the module.
        role: What it does.
        module: The module.
        shape: Shape of one of its inputs, ``(1, C, …)``.
    """

    name: str
    role: WeightRole
    module: nn.Module
    shape: tuple[int, ...]


@final
@dataclass(frozen=True)
class FilterWeight:
    """A filter in Fourier space, complex ``(H, W // 2 + 1, C)``."""

    name: str
    weight: Tensor
    role: WeightRole = WeightRole.FILTER


OperatorWeight = MatrixWeight | ConvolutionWeight | FilterWeight


@final
@dataclass(frozen=True)
class OperatorInventory:
    """The linear operators of a network.

    Args:
        weights: In module order.
        covered_parameters: Number of parameters that they hold.
        total_parameters: Number of parameters of the network.
        unused: Names of convolutions that the forward pass never reaches.
    """

    weights: Sequence[OperatorWeight]
    covered_parameters: int
    total_parameters: int
    unused: Sequence[str] = field(default=())


def find_operators(network: nn.Module, image: Tensor, view: ViTView) -> OperatorInventory:
    """Walk the modules of a network, with one forward pass to learn the input shapes of its convolutions.

    Args:
        network: In eval mode, on normalised images.
        image: ``(1, 3, H, W)``.
        view: Of the network; it tells what names that say nothing stand for.
    """
    shapes = _input_shapes(network, image)
    weights: list[OperatorWeight] = []
    unused: list[str] = []
    covered: set[int] = set()
    for name, module in network.named_modules():
        if isinstance(module, CONVOLUTIONS) and name not in shapes:
            unused.append(name)
            continue
        operators = list(_operators_of(network, view, name, module, shapes))
        weights += operators
        covered |= {id(p) for p in module.parameters(recurse=False) if p.ndim > 1} if operators else set()
    sizes = {id(p): p.numel() for p in network.parameters()}
    return OperatorInventory(weights, sum(sizes[key] for key in covered), sum(sizes.values()), unused)


def _operators_of(network: nn.Module, view: ViTView, name: str, module: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[OperatorWeight]:
    if isinstance(module, CONVOLUTIONS):
        weight = next(iter(module.parameters(recurse=False)))
        arguments = convolution_arguments(module, torch.ones(shapes[name], device=weight.device, dtype=weight.dtype))
        blocks = as_matrix_blocks(arguments)
        if blocks is None:
            role = role_of(name)
            yield ConvolutionWeight(name, role if role is WeightRole.EMBEDDING else WeightRole.CONVOLUTION, module, shapes[name])
        else:
            yield from _split(network, view, name, blocks, WeightRole.CONVOLUTION)
    elif isinstance(module, nn.Linear):
        yield from _split(network, view, name, module.weight.detach()[None], WeightRole.OTHER)
    elif isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
        yield from _split_rows(name, module.in_proj_weight.detach()[None], split_fused(module, "in_proj_weight", len(module.in_proj_weight)))
    elif (complex_filter := fourier_filter(module)) is not None:
        yield FilterWeight(name, complex_filter)


def _split(network: nn.Module, view: ViTView, name: str, blocks: Tensor, default: WeightRole) -> Iterator[MatrixWeight]:
    """The weight itself, or its queries, keys and values where they are fused; ``default`` is the role where the name reveals none."""
    components = name.split(".")
    index = next((i for i in range(len(components) - 1, -1, -1) if components[i] in FUSED), None)
    rows = blocks.shape[0] * blocks.shape[1]
    if index is not None and len(blocks) == 1:
        projections = split_fused(network.get_submodule(".".join(components[:index])), components[index], rows)
        if projections:
            yield from _split_rows(name, blocks, projections)
            return
    named = _role(network, view, name)
    role = default if named is WeightRole.OTHER else named
    heads = head_count(network.get_submodule(".".join(components[:-1]))) if role in WITH_HEADS and len(blocks) == 1 else 1
    yield MatrixWeight(name, role, blocks, heads if rows % heads == 0 else 1)


def _split_rows(name: str, blocks: Tensor, projections: Sequence[ProjectionRows]) -> Iterator[MatrixWeight]:
    for projection in projections:
        rows = projection.rows.flatten().to(blocks.device)
        yield MatrixWeight(f"{name} {projection.role}", projection.role, blocks[:, rows], len(projection.rows))


def _role(network: nn.Module, view: ViTView, name: str) -> WeightRole:
    """By what a library states, by name, and where the name says nothing by place."""
    classifier = stated_classifier(network)[1]
    if classifier is not None and network.get_submodule(name) is classifier:
        return WeightRole.CLASSIFIER
    role, place = role_of(name), structural_role(network, view, name)
    return place if role is WeightRole.OTHER or place is WeightRole.CLASSIFIER else role


def _input_shapes(network: nn.Module, image: Tensor) -> dict[str, tuple[int, ...]]:
    """Shape ``(1, C, …)`` of the first input of each convolution, by name."""
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name: str) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            shapes.setdefault(name, (1, *inputs[0].shape[1:]))

        return hook

    hooks = [m.register_forward_pre_hook(record(name)) for name, m in network.named_modules() if isinstance(m, CONVOLUTIONS)]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes
