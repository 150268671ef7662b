"""Bytes of weights that one inference reads: as they are stored, and in the next form that ordinary loads reach without unpacking bits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from torch import Tensor, nn

from efficient360.methods.compression.compressor import CompressedNetwork, Compressor
from efficient360.methods.compression.variants import index_bits_of
from efficient360.models.compressed_file import stored_tensors

PACKED: Final = (":indices", ":codes")
"""Ends of the names of tensors that hold codes packed bit by bit."""


@final
@dataclass(frozen=True)
class WeightTraffic:
    """Bytes of everything that a network stores, each tensor read once an inference. Counted, not measured.

    Args:
        original: In float32.
        packed: As stored, codes packed bit by bit: what a kernel reads that computes on the codes.
        bytewise: With a byte for each code; ``None`` where the codes take whole bytes or there are none.
    """

    original: int
    packed: int
    bytewise: int | None

    @property
    def ratio(self) -> float:
        """How many times fewer bytes, packed."""
        return self.original / self.packed

    @property
    def bytewise_ratio(self) -> float | None:
        """How many times fewer bytes, with a byte for each code."""
        return None if self.bytewise is None else self.original / self.bytewise


def weight_traffic(network: nn.Module, compressor: Compressor, compressed: CompressedNetwork) -> WeightTraffic:
    """Of a network and what a compressor made of it.

    Args:
        network: The original.
        compressor: What compressed it.
        compressed: The outcome.
    """
    packed, bits = _bytes(compressed.stored), index_bits_of(compressor)
    codes = sum(tensor.numel() for name, tensor in compressed.stored.items() if name.endswith(PACKED))
    bytewise = None if bits is None or bits == 8 else packed + codes * (8 - bits) // bits
    return WeightTraffic(_bytes(stored_tensors(network)), packed, bytewise)


def _bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
