"""Two of every four weights left out, the pattern that sparse tensor cores run."""

from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Size, Tensor, nn
from torch.nn import functional

from efficient360.compression.compressor import Coder, Compressed, Parts
from efficient360.compression.packing import packed, unpacked
from efficient360.compression.weights import coded
from efficient360.measurement import Conditions

RUN: Final = 4
KEPT: Final = 2
PLACE_BITS: Final = 2


@final
@dataclass(frozen=True)
class TwoOfFour(Coder):
    """Of every four consecutive inputs of an output the two smallest weights set to zero, without training after.

    Mishra et al. 2021, Accelerating Sparse Deep Neural Networks. Stored as the float32 values that stay and two bits for the place of each.
    """

    name: ClassVar[str] = "two_of_four"
    title: ClassVar[str] = "2:4 sparsity"

    @property
    def strength(self) -> Conditions:
        return {}

    def compress(self, network: nn.Module) -> Compressed:
        return coded(network, self, _encode)

    def decode(self, parts: Parts, shape: Size) -> Tensor:
        inputs = shape[1:].numel()
        rows, runs = shape[0], -(-inputs // RUN)
        places = unpacked(parts["places"], PLACE_BITS, len(parts["values"])).reshape(rows, runs, KEPT)
        found = torch.zeros(rows, runs, RUN).scatter_(-1, places, parts["values"].reshape(rows, runs, KEPT))
        return found.flatten(1)[:, :inputs].reshape(shape)


def _encode(weight: Tensor) -> Parts:
    runs = _in_fours(weight.flatten(1).cpu())
    places = runs.abs().topk(KEPT, dim=-1).indices.sort(-1).values
    return {"values": runs.gather(-1, places).flatten(), "places": packed(places.flatten(), PLACE_BITS)}


def _in_fours(matrix: Tensor) -> Tensor:
    return functional.pad(matrix, (0, -matrix.shape[1] % RUN)).reshape(len(matrix), -1, RUN)
