"""Weights as small whole numbers, with a scale for each group of them."""

from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Size, Tensor, nn
from torch.nn import functional

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError
from efficient360.methods.compression.compressor import Coder, Compressed, Parts
from efficient360.methods.compression.packing import packed, unpacked
from efficient360.methods.compression.weights import coded

GROUP: Final = 64
"""Consecutive inputs of an output that share a scale."""


@final
@dataclass(frozen=True)
class Quantization(Coder):
    """Weights rounded to the nearest of ``2**bits - 1`` steps around zero, a bfloat16 scale for every 64 inputs of an output: weights only, no calibration.

    The round-to-nearest baseline of Frantar et al. 2023 (GPTQ) and Dettmers & Zettlemoyer 2023 (The case for 4-bit precision), absmax scales.

    Args:
        bits: Of a weight, 2 to 8; beside them a scale costs a quarter of a bit a weight.

    Raises:
        SettingsError: Bits outside these.
    """

    name: ClassVar[str] = "quantization"
    title: ClassVar[str] = "Quantization"
    bits: int

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise SettingsError("bad-strength", f"quantization to {self.bits} bits is not offered", "give 2 to 8 bits")

    @property
    def strength(self) -> Conditions:
        return {"bits": self.bits}

    def compress(self, network: nn.Module) -> Compressed:
        return coded(network, self, self._encode)

    @property
    def _steps(self) -> int:
        return (1 << (self.bits - 1)) - 1

    def _encode(self, weight: Tensor) -> Parts:
        groups = _grouped(weight.flatten(1).cpu())
        # bfloat16 has float32's range: the scale of a layer of tiny weights does not vanish.
        scales = (groups.abs().amax(-1) / self._steps).bfloat16()
        divisor = scales.float().unsqueeze(-1)
        steps = torch.where(divisor > 0, groups / divisor, 0.0).round().clamp(-self._steps, self._steps)
        inputs = weight.flatten(1).shape[1]
        return {"scales": scales, "codes": packed((steps.flatten(1)[:, :inputs] + self._steps).flatten(), self.bits)}

    def decode(self, parts: Parts, shape: Size) -> Tensor:
        codes = unpacked(parts["codes"], self.bits, shape.numel()).reshape(shape[0], -1)
        groups = _grouped(codes.float() - self._steps) * parts["scales"].float().unsqueeze(-1)
        return groups.flatten(1)[:, : codes.shape[1]].reshape(shape)


def _grouped(matrix: Tensor) -> Tensor:
    """``(out, in)`` as ``(out, groups, GROUP)``, the last group filled up with zeros."""
    return functional.pad(matrix, (0, -matrix.shape[1] % GROUP)).reshape(len(matrix), -1, GROUP)
