"""The grid of weights in few bits that every runtime's artefact holds: symmetric codes, and a scale for each group of an output's inputs.

A weight that lies on the grid is rounded to itself, so that whatever chose the codes (:mod:`error_feedback`) reaches a runtime through its float values alone.
"""

from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

GROUPS: Final = (64, 32)
"""Inputs that share a scale: the first that divides the number of inputs. LiteRT and ONNX Runtime take no others that all of them have."""

EXACT: Final = 4
"""Bits of the codes whose scales are numbers of bfloat16."""


@final
@dataclass(frozen=True)
class GridWeight:
    """A weight ``(out, in)`` in codes.

    Args:
        codes: int8 ``(out, in)``, from ``-(2**(bits-1) - 1)`` to ``2**(bits-1) - 1``.
        scales: float32 ``(out, in / group)``; of codes of few bits each a number of bfloat16: products with codes
            are exact even in fp16, and so is the way back.
        bits: Of a code.
    """

    codes: Tensor
    scales: Tensor
    bits: int

    @property
    def group(self) -> int:
        """Inputs that share a scale."""
        return self.codes.shape[1] // self.scales.shape[1]

    @property
    def values(self) -> Tensor:
        """float32 ``(out, in)``."""
        return self.codes.float() * self.scales.repeat_interleave(self.group, 1)


def group_of(inputs: int) -> int | None:
    """Inputs that share a scale, ``None`` where a layer of so many can't be put on the grid."""
    return next((group for group in GROUPS if inputs % group == 0), None)


def scales_of(weight: Tensor, bits: int) -> Tensor:
    """Scales ``(out, in / group)`` by the largest weight of each group; 1 where all are zero.

    Raises:
        ValueError: No group divides the inputs.
    """
    group = group_of(weight.shape[1])
    if group is None:
        raise ValueError(f"{weight.shape[1]} inputs can't be split in groups of {GROUPS}")
    largest = weight.float().reshape(len(weight), -1, group).abs().amax(-1)
    scales = largest / largest_code(bits)
    scales = scales.bfloat16().float() if bits <= EXACT else scales
    return torch.where(scales > 0, scales, 1.0)


def round_to_nearest(weight: Tensor, bits: int) -> GridWeight:
    """The nearest codes of a weight ``(out, in)``."""
    scales = scales_of(weight, bits)
    columns = scales.repeat_interleave(weight.shape[1] // scales.shape[1], 1)
    levels = largest_code(bits)
    return GridWeight((weight.float() / columns).round().clamp(-levels, levels).to(torch.int8), scales, bits)


def largest_code(bits: int) -> int:
    """The largest code of so many bits: the range is symmetric."""
    return int(2 ** (bits - 1) - 1)
