"""A convolution as the linear operator that it is, on the image size that it sees."""

import math
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from efficient360.methods.spectral.lanczos import largest_singular_value
from efficient360.methods.spectral.singular_values import Spectrum, effective_rank, squared_singular_values

STEPS: Final = 60
"""The most steps of Lanczos' method for the norm."""
_WORK = 2e8
"""Frequencies times the cube of a block's side: what is spent on the effective rank."""


class _Caught(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the arguments of the convolution that a module really computes: padded input, weight as used, strides."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.arguments: tuple[Any, ...] = ()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.arguments = tuple(args)
        return func(*args, **(kwargs or {}))


def caught(module: nn.Module, image: Tensor) -> tuple[Any, ...]:
    """What the module hands to ``aten.convolution``: (input, weight, bias, stride, padding, dilation, transposed, output padding, groups).

    So weights that are standardised on the way and padding that depends on the image are as in a real pass. Empty where the module computes no convolution.

    Args:
        module: A convolution.
        image: ``(1, C, …)``.
    """
    with torch.no_grad(), _Caught() as mode:
        module(image)
    arguments: tuple[Any, ...] = mode.arguments
    return arguments


def blocks_of(arguments: tuple[Any, ...]) -> Tensor | None:
    """The blocks ``(groups, m, n)`` of a convolution that looks at every input once: it is one matrix, used at every position.

    True of kernels of one pixel and of kernels as wide as their stride without padding (patch embeddings); ``None`` for all others.
    """
    _, weight, _, stride, padding, dilation, transposed, _, groups = arguments
    kernel = tuple(weight.shape[2:])
    single = all(side == 1 for side in kernel)
    apart = kernel == tuple(stride) and all(gap == 1 for gap in dilation)
    if any(padding) or not (single or apart):
        return None
    found: Tensor = weight.detach().reshape(groups, weight.shape[0] // groups, -1)
    return found.mT if transposed else found


def convolution_spectrum(module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> Spectrum:
    """The spectrum of a convolution on images of the shape that it sees.

    Spectral norm and Frobenius norm are those of the operator with its own padding. The effective rank is that of the same convolution on a torus
    (Sedghi, Gupta & Long 2019), at a grid of frequencies where all of them would be too many.

    Args:
        module: A convolution whose kernel overlaps itself.
        shape: Shape of one input, ``(1, C, …)``.
        generator: Draws the start of the iteration.
    """
    weight = next(p for p in module.parameters() if p.ndim > 2)
    ones = torch.ones(shape, device=weight.device, dtype=weight.dtype)
    arguments = caught(module, ones)
    padded, kernel, _, stride, padding, dilation, transposed, beyond, groups = arguments
    with torch.no_grad():
        reach = torch.ops.aten.convolution.default(padded.double(), kernel.double().square(), None, stride, padding, dilation, transposed, beyond, groups)
        still = module(torch.zeros_like(ones))
    rank = min(math.prod(shape), reach.numel())
    start = torch.randn(shape, generator=generator).to(ones)
    norm = largest_singular_value(lambda x: module(x) - still, start, min(STEPS, rank))
    return Spectrum(norm, float(reach.sum()), rank, _effective_share(kernel, stride, dilation, groups), _row_norms(kernel, transposed, groups), np.empty(0))


def _row_norms(kernel: Tensor, transposed: bool, groups: int) -> float:
    exact = kernel.detach().double()
    if transposed:  # (inputs, outputs of a group, …): the weights of one output stand in a column
        exact = exact.reshape(groups, exact.shape[0] // groups, *exact.shape[1:]).transpose(1, 2).flatten(0, 1)
    return float(exact.flatten(1).square().sum(1).sqrt().sum())


def _effective_share(kernel: Tensor, stride: list[int], dilation: list[int], groups: int) -> float:
    exact = kernel.detach().double()
    rows, columns = exact.shape[0] // groups, exact.shape[1] * math.prod(stride)
    axes = exact.ndim - 2
    side = max(2, min(8, int((_WORK / min(rows, columns) ** 3) ** (1 / axes))))
    symbols = symbols_of(exact.reshape(groups, rows, *exact.shape[1:]), stride, dilation, side)
    values = squared_singular_values(symbols).sqrt().flatten().numpy()
    return effective_rank(values) / len(values)


def symbols_of(kernel: Tensor, stride: list[int], dilation: list[int], side: int) -> Tensor:
    """The blocks into which a convolution on a torus falls apart in Fourier space, complex ``(frequencies, groups, m, n · strides)``.

    With a stride s, the s frequencies that fall onto one another along an axis stand side by side in a block, divided by √s.

    Args:
        kernel: float64 ``(groups, m, n, …)``.
        stride: Step along each axis.
        dilation: Distance of the kernel's pixels along each axis.
        side: Output frequencies along each axis; with the size of the torus over the stride, these are all there are.
    """
    symbols = kernel.to(torch.complex128)[None]  # (frequencies, groups, m, n · aliases, remaining axes)
    for step, gap in zip(stride, dilation, strict=True):
        length = symbols.shape[4]
        frequency = (torch.arange(side)[:, None] + side * torch.arange(step)[None]) / (side * step)
        wave = torch.exp(2j * math.pi * frequency[:, :, None] * gap * torch.arange(length)).to(symbols)  # (side, step, length)
        mixed = torch.einsum("fgmnl...,sal->fsgmna...", symbols, wave) / math.sqrt(step)
        symbols = mixed.flatten(4, 5).flatten(0, 1)
    return symbols
