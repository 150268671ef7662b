"""Two of every four weights left out, the pattern that sparse tensor cores run."""

from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Size, Tensor, nn

from efficient360.core.measurement import Conditions
from efficient360.methods.compression.compressor import Coder, Compressed, Parts
from efficient360.methods.compression.packing import packed, unpacked
from efficient360.methods.compression.weights import coded

RUN: Final = 4
KEPT: Final = 2
PLACE_BITS: Final = 2
OUTPUTS, INPUTS = 8, 16
"""The weights that sparse tensor cores take have multiples of these, as NVIDIA's ASP has it; others, a first convolution or a small classifier, stay whole."""
WHOLE: Final = "float32"


@final
@dataclass(frozen=True)
class TwoOfFour(Coder):
    """Of every four consecutive inputs (of a convolution: input channels) the two smallest weights set to zero, without training after.

    Mishra et al. 2021, Accelerating Sparse Deep Neural Networks, section 3. Stored as the float32 values that stay and two bits for the place of each;
    weights whose outputs are no multiple of 8 or whose inputs are none of 16 stay as they are.
    """

    name: ClassVar[str] = "two_of_four"
    title: ClassVar[str] = "2:4 sparsity"

    @property
    def strength(self) -> Conditions:
        return {}

    def compress(self, network: nn.Module) -> Compressed:
        return coded(network, self, _encode)

    def decode(self, parts: Parts, shape: Size) -> Tensor:
        """As :meth:`Coder.decode`: the values that stay at their places, zeros between; or the whole weight."""
        if WHOLE in parts:
            return parts[WHOLE].float().reshape(shape)
        rows = shape.numel() // RUN
        places = unpacked(parts["places"], PLACE_BITS, rows * KEPT).reshape(rows, KEPT)
        found = torch.zeros(rows, RUN).scatter_(1, places, parts["values"].reshape(rows, KEPT))
        # Flat in between: the strides of a tensor that was never turned, by which convolutions choose how they compute.
        return found.reshape(shape[0], *shape[2:], shape[1]).movedim(-1, 1).reshape(-1).reshape(shape)


def _encode(weight: Tensor) -> Parts:
    if weight.shape[0] % OUTPUTS or weight.shape[1] % INPUTS:
        return {WHOLE: weight}
    runs = weight.movedim(1, -1).reshape(-1, RUN).cpu()
    places = runs.abs().topk(KEPT, dim=1).indices.sort(1).values
    return {"values": runs.gather(1, places).flatten(), "places": packed(places.flatten(), PLACE_BITS)}
