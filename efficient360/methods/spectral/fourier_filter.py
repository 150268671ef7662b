"""Learned filters in Fourier space, as GFNet mixes tokens with: diagonal operators whose singular values are moduli."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from efficient360.methods.spectral.singular_values import Spectrum, effective_rank


def filter_of(module: nn.Module) -> Tensor | None:
    """The complex filter ``(H, W // 2 + 1, C)`` of a module, or ``None`` where it holds none.

    GFNet's own is a real parameter ``complex_weight`` of shape ``(H, W // 2 + 1, C, 2)``; a complex parameter of three axes is taken as one as well.
    """
    found = getattr(module, "complex_weight", None)
    if isinstance(found, Tensor) and not found.is_complex() and found.ndim == 4 and found.shape[-1] == 2:
        return torch.view_as_complex(found.detach().double().contiguous())
    whole = [p.detach() for p in module.parameters(recurse=False) if p.is_complex() and p.ndim == 3]
    return whole[0].to(torch.complex128) if len(whole) == 1 else None


def filter_spectrum(weight: Tensor) -> Spectrum:
    """The spectrum of ``x → irfft2(rfft2(x) · weight)`` on real maps (Rao et al. 2021, Global Filter Networks).

    The moduli of the filter, each frequency with its mirror image. Of the first and, for an even width, the last column only the part counts that a real
    map can show: the mean of a value and its mirror image's conjugate.

    Args:
        weight: complex ``(H, W // 2 + 1, C)``; W is taken as H where that fits, else as even.
    """
    height, half, channels = weight.shape
    width = height if height // 2 + 1 == half else 2 * (half - 1)
    mirrored = torch.roll(weight.flip(0), 1, 0).conj()
    own = [column for column in (0, half - 1 if width % 2 == 0 else 0) if column < half]
    effective = weight.clone()
    times = torch.full((half,), 2.0, dtype=torch.float64)
    for column in own:
        effective[:, column] = (weight[:, column] + mirrored[:, column]) / 2
        times[column] = 1.0
    squares = effective.abs().square().cpu()
    spread = squares.repeat_interleave(times.long(), dim=1)
    energy = float(spread.sum())
    rows = float((spread.sum((0, 1)) / (height * width)).sqrt().sum())  # Parseval: the length of a channel's kernel
    rank = height * width * channels
    share = effective_rank(spread.sqrt().flatten().numpy()) / rank
    return Spectrum(math.sqrt(float(squares.max())), energy, rank, share, rows, np.empty(0))
