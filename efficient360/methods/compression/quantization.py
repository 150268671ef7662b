"""Fewer bits a weight: bfloat16, and integers with a scale for each group."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError
from efficient360.methods.compression.compressor import CompressedNetwork, Compressor, encode_weights
from efficient360.models.weight_codes import Parts, pack_bits, quantization_groups, quantization_levels


@final
@dataclass(frozen=True)
class HalfPrecision(Compressor):
    """Weights in bfloat16, which has float32's range: the baseline, which costs next to nothing for any network.

    Micikevicius et al. 2018, Mixed Precision Training; Kalamkar et al. 2019, A Study of BFLOAT16 for Deep Learning Training.
    """

    name: ClassVar[str] = "half"
    title: ClassVar[str] = "bfloat16"

    @property
    def strength(self) -> Conditions:
        return {}

    def compress(self, network: nn.Module) -> CompressedNetwork:
        return encode_weights(network, self, lambda weight: {"bfloat16": weight.to(torch.bfloat16)})


@final
@dataclass(frozen=True)
class Quantization(Compressor):
    """Symmetric round-to-nearest to ``2**bits - 1`` levels, with a bfloat16 absmax scale for every 64 inputs of an output: weights only, no calibration.

    The round-to-nearest baseline of Frantar et al. 2023 (GPTQ) and Dettmers & Zettlemoyer 2023 (The case for 4-bit precision).

    Args:
        bits: Of a weight, 2 to 8; the scales add a quarter of a bit per weight.

    Raises:
        SettingsError: Bits out of this range.
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

    def compress(self, network: nn.Module) -> CompressedNetwork:
        return encode_weights(network, self, self._encode)

    def _encode(self, weight: Tensor) -> Parts:
        groups, levels = quantization_groups(weight.flatten(1).cpu()), quantization_levels(self.bits)
        # bfloat16 has float32's range, so the scale of a layer with tiny weights does not underflow.
        scales = (groups.abs().amax(-1) / levels).bfloat16()
        divisor = scales.float().unsqueeze(-1)
        codes = torch.where(divisor > 0, groups / divisor, 0.0).round().clamp(-levels, levels)
        inputs = weight.flatten(1).shape[1]
        return {"scales": scales, "codes": pack_bits((codes.flatten(1)[:, :inputs] + levels).flatten(), self.bits)}
