"""Weights set to zero by magnitude: anywhere in the network, or two of every four (2:4 sparsity)."""

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np
import torch
from torch import Tensor, nn

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError
from efficient360.methods.compression.compressor import CompressedNetwork, Compressor, encode_weights, weights_of
from efficient360.models.weight_codes import SPARSE_KEPT, SPARSE_PLACE_BITS, SPARSE_RUN, Parts, pack_bits

OUTPUTS_MULTIPLE: Final = 8
INPUTS_MULTIPLE: Final = 16
"""Sparse tensor cores take weights whose sides are multiples of these (after NVIDIA's ASP); others, such as a first convolution, stay dense."""


@final
@dataclass(frozen=True)
class MagnitudePruning(Compressor):
    """Global magnitude pruning: the smallest weights of the whole network set to zero, whatever their layer, without training after.

    Han et al. 2015, Learning both Weights and Connections; Blalock et al. 2020, What is the State of Neural Network Pruning?
    Stored as a bit for every weight and the float32 values of those that are kept.

    Args:
        percent: Share of the weights that is pruned, 1 to 99 %.

    Raises:
        SettingsError: A share out of this range.
    """

    name: ClassVar[str] = "pruning"
    title: ClassVar[str] = "Pruning"
    percent: int

    def __post_init__(self) -> None:
        if not 1 <= self.percent <= 99:
            raise SettingsError("bad-strength", f"pruning {self.percent} percent of the weights is not offered", "give 1 to 99")

    @property
    def strength(self) -> Conditions:
        return {"left_out": f"{self.percent} %"}

    def compress(self, network: nn.Module) -> CompressedNetwork:
        magnitudes = np.concatenate([weight.detach().float().abs().flatten().cpu().numpy() for weight in weights_of(network).values()])
        pruned = len(magnitudes) * self.percent // 100
        # The smallest magnitude that is kept; of ties all are kept.
        threshold = float(np.partition(magnitudes, pruned)[pruned])
        return encode_weights(network, self, lambda weight: _encode_sparse(weight, weight.abs() >= threshold))


def _encode_sparse(weight: Tensor, kept: Tensor) -> Parts:
    return {"mask": pack_bits(kept.flatten().to(torch.uint8), 1), "values": weight[kept].cpu()}


@final
@dataclass(frozen=True)
class TwoOfFourSparsity(Compressor):
    """2:4 sparsity: of every four consecutive inputs (of a convolution: input channels) the two smallest weights set to zero, without training after.

    Mishra et al. 2021, Accelerating Sparse Deep Neural Networks, section 3. Stored as the float32 values that are kept and two bits for the place of each;
    weights whose outputs are no multiple of 8 or whose inputs are no multiple of 16 stay dense.
    """

    name: ClassVar[str] = "two_of_four"
    title: ClassVar[str] = "2:4 sparsity"

    @property
    def strength(self) -> Conditions:
        return {}

    def compress(self, network: nn.Module) -> CompressedNetwork:
        return encode_weights(network, self, _encode_two_of_four)


def _encode_two_of_four(weight: Tensor) -> Parts:
    if weight.shape[0] % OUTPUTS_MULTIPLE or weight.shape[1] % INPUTS_MULTIPLE:
        return {"float32": weight}
    runs = weight.movedim(1, -1).reshape(-1, SPARSE_RUN).cpu()
    places = runs.abs().topk(SPARSE_KEPT, dim=1).indices.sort(1).values
    return {"values": runs.gather(1, places).flatten(), "places": pack_bits(places.flatten(), SPARSE_PLACE_BITS)}
