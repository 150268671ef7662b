"""Spectra of convolutions and learned Fourier filters (GFNet) as the linear operators they are, at the image size they receive."""

import math
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from efficient360.methods.spectral.lanczos import largest_singular_value
from efficient360.methods.spectral.stable_rank import OperatorSpectrum, effective_rank, squared_singular_values

MAX_STEPS: Final = 60
"""Maximum number of Lanczos steps for the spectral norm."""
_WORK = 2e8
"""Budget for the effective rank: frequencies times the cube of a block's side."""


class _ConvolutionRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the arguments of the convolution that a module actually computes: padded input, weight as used, strides."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.arguments: tuple[Any, ...] = ()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.arguments = tuple(args)
        return func(*args, **(kwargs or {}))


def convolution_arguments(module: nn.Module, image: Tensor) -> tuple[Any, ...]:
    """What the module passes to ``aten.convolution``: (input, weight, bias, stride, padding, dilation, transposed, output padding, groups).

    Standardised weights and image-dependent padding are therefore as in a real forward pass. Empty if the module computes no convolution.

    Args:
        module: A convolution.
        image: ``(1, C, …)``.
    """
    with torch.no_grad(), _ConvolutionRecorder() as recorder:
        module(image)
    arguments: tuple[Any, ...] = recorder.arguments
    return arguments


def as_matrix_blocks(arguments: tuple[Any, ...]) -> Tensor | None:
    """The blocks ``(groups, m, n)`` of a convolution whose windows do not overlap: one matrix, applied at every position.

    This holds for 1 × 1 kernels and for kernels as wide as their stride without padding (patch embeddings); ``None`` for all others.
    """
    _, weight, _, stride, padding, dilation, transposed, _, groups = arguments
    kernel = tuple(weight.shape[2:])
    single = all(side == 1 for side in kernel)
    disjoint = kernel == tuple(stride) and all(gap == 1 for gap in dilation)
    if any(padding) or not (single or disjoint):
        return None
    blocks: Tensor = weight.detach().reshape(groups, weight.shape[0] // groups, -1)
    return blocks.mT if transposed else blocks


def convolution_spectrum(module: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> OperatorSpectrum:
    """The spectrum of a convolution on images of the given shape.

    Spectral and Frobenius norm are those of the operator with its own padding. The effective rank is that of the same convolution with circular padding
    (Sedghi, Gupta & Long 2019), on a grid of frequencies where using all of them would be too expensive.

    Args:
        module: A convolution whose windows overlap.
        shape: Shape of one input, ``(1, C, …)``.
        generator: Draws the starting vector of the iteration.
    """
    weight = next(p for p in module.parameters() if p.ndim > 2)
    ones = torch.ones(shape, device=weight.device, dtype=weight.dtype)
    arguments = convolution_arguments(module, ones)
    padded, kernel, _, stride, padding, dilation, transposed, output_padding, groups = arguments
    with torch.no_grad():
        squared_rows = torch.ops.aten.convolution.default(
            padded.double(), kernel.double().square(), None, stride, padding, dilation, transposed, output_padding, groups
        )
        offset = module(torch.zeros_like(ones))
    rank = min(math.prod(shape), squared_rows.numel())
    start = torch.randn(shape, generator=generator).to(ones)
    norm = largest_singular_value(lambda x: module(x) - offset, start, min(MAX_STEPS, rank))
    share = _effective_rank_share(kernel, stride, dilation, groups)
    return OperatorSpectrum(norm, float(squared_rows.sum()), rank, share, _row_norm_sum(kernel, transposed, groups), np.empty(0))


def _row_norm_sum(kernel: Tensor, transposed: bool, groups: int) -> float:
    exact = kernel.detach().double()
    if transposed:  # (inputs, outputs of a group, …): the weights of one output form a column
        exact = exact.reshape(groups, exact.shape[0] // groups, *exact.shape[1:]).transpose(1, 2).flatten(0, 1)
    return float(exact.flatten(1).square().sum(1).sqrt().sum())


def _effective_rank_share(kernel: Tensor, stride: list[int], dilation: list[int], groups: int) -> float:
    exact = kernel.detach().double()
    rows, columns = exact.shape[0] // groups, exact.shape[1] * math.prod(stride)
    axes = exact.ndim - 2
    side = max(2, min(8, int((_WORK / min(rows, columns) ** 3) ** (1 / axes))))
    symbols = convolution_symbols(exact.reshape(groups, rows, *exact.shape[1:]), stride, dilation, side)
    values = squared_singular_values(symbols).sqrt().flatten().numpy()
    return effective_rank(values) / len(values)


def convolution_symbols(kernel: Tensor, stride: list[int], dilation: list[int], side: int) -> Tensor:
    """The diagonal blocks of a circular convolution in Fourier space, complex ``(frequencies, groups, m, n · strides)``.

    With a stride s, the s frequencies that alias along an axis stand side by side in a block, divided by √s.

    Args:
        kernel: float64 ``(groups, m, n, …)``.
        stride: Stride along each axis.
        dilation: Dilation along each axis.
        side: Output frequencies along each axis; with the input size over the stride, these are all there are.
    """
    symbols = kernel.to(torch.complex128)[None]  # (frequencies, groups, m, n · aliases, remaining axes)
    for step, gap in zip(stride, dilation, strict=True):
        length = symbols.shape[4]
        frequency = (torch.arange(side)[:, None] + side * torch.arange(step)[None]) / (side * step)
        wave = torch.exp(2j * math.pi * frequency[:, :, None] * gap * torch.arange(length)).to(symbols)  # (side, step, length)
        mixed = torch.einsum("fgmnl...,sal->fsgmna...", symbols, wave) / math.sqrt(step)
        symbols = mixed.flatten(4, 5).flatten(0, 1)
    return symbols


def fourier_filter(module: nn.Module) -> Tensor | None:
    """The complex filter ``(H, W // 2 + 1, C)`` of a module, or ``None`` where it has none.

    GFNet stores it as a real parameter ``complex_weight`` of shape ``(H, W // 2 + 1, C, 2)``; a complex parameter of three axes is recognised as well.
    """
    stored = getattr(module, "complex_weight", None)
    if isinstance(stored, Tensor) and not stored.is_complex() and stored.ndim == 4 and stored.shape[-1] == 2:
        return torch.view_as_complex(stored.detach().double().contiguous())
    candidates = [p.detach() for p in module.parameters(recurse=False) if p.is_complex() and p.ndim == 3]
    return candidates[0].to(torch.complex128) if len(candidates) == 1 else None


def filter_spectrum(weight: Tensor) -> OperatorSpectrum:
    """The spectrum of ``x → irfft2(rfft2(x) · weight)`` on real maps (Rao et al. 2021, Global Filter Networks).

    The operator is diagonal in Fourier space: its singular values are the moduli of the filter, each frequency with its mirror image. In the first and, for
    an even width, the last column, only the part that acts on real maps counts: the mean of a value and its mirror image's conjugate.

    Args:
        weight: complex ``(H, W // 2 + 1, C)``; W is taken as H where that fits, otherwise as even.
    """
    height, half, channels = weight.shape
    width = height if height // 2 + 1 == half else 2 * (half - 1)
    mirrored = torch.roll(weight.flip(0), 1, 0).conj()
    self_mirrored = [column for column in (0, half - 1 if width % 2 == 0 else 0) if column < half]
    effective = weight.clone()
    multiplicity = torch.full((half,), 2.0, dtype=torch.float64)
    for column in self_mirrored:
        effective[:, column] = (weight[:, column] + mirrored[:, column]) / 2
        multiplicity[column] = 1.0
    squares = effective.abs().square().cpu()
    spread = squares.repeat_interleave(multiplicity.long(), dim=1)
    energy = float(spread.sum())
    row_norms = float((spread.sum((0, 1)) / (height * width)).sqrt().sum())  # Parseval: the norm of each channel's kernel
    rank = height * width * channels
    share = effective_rank(spread.sqrt().flatten().numpy()) / rank
    return OperatorSpectrum(math.sqrt(float(squares.max())), energy, rank, share, row_norms, np.empty(0))
