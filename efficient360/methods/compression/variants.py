"""Compressors by name and strength: ``clustering:64``, ``quantization:4``, ``half``."""

from collections.abc import Callable, Mapping
from typing import Final

from efficient360.core.close_names import did_you_mean
from efficient360.errors import SettingsError
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compressor import Compressor
from efficient360.methods.compression.low_rank import LowRankFactorization
from efficient360.methods.compression.pruning import MagnitudePruning, TwoOfFourSparsity
from efficient360.methods.compression.quantization import HalfPrecision, Quantization
from efficient360.methods.compression.token_merging import TokenMerging
from efficient360.models.weight_codes import index_bits

WITH_STRENGTH: Final[Mapping[str, Callable[[int], Compressor]]] = {
    each.name: each for each in (Quantization, Clustering, MagnitudePruning, LowRankFactorization, TokenMerging)
}
WITHOUT_STRENGTH: Final[Mapping[str, Callable[[], Compressor]]] = {each.name: each for each in (HalfPrecision, TwoOfFourSparsity)}
LADDER: Final = (
    "half",
    *(f"quantization:{bits}" for bits in (8, 6, 5, 4, 3, 2)),
    *(f"clustering:{clusters}" for clusters in (256, 64, 32, 16, 8, 4)),
    *(f"pruning:{percent}" for percent in (30, 50, 60, 70, 80)),
    "two_of_four",
    *(f"low_rank:{percent}" for percent in (75, 50, 25)),
    *(f"token_merging:{percent}" for percent in (10, 20, 40, 60, 80)),
)
"""Variants tried by default, from mild to strong for each compressor."""


def parse(variant: str) -> Compressor:
    """The compressor written ``NAME`` or ``NAME:STRENGTH``.

    Raises:
        SettingsError: No such compressor, or no such strength.
    """
    name, colon, strength = variant.partition(":")
    if name in WITHOUT_STRENGTH and not colon:
        return WITHOUT_STRENGTH[name]()
    if name in WITH_STRENGTH and strength.isdecimal():
        return WITH_STRENGTH[name](int(strength))
    hint = f"write {', '.join((*WITHOUT_STRENGTH, *(f'{each}:N' for each in WITH_STRENGTH)))}, N a whole number"
    raise SettingsError("unknown-compressor", f"there is no compressor {variant!r}", did_you_mean(name, [*WITHOUT_STRENGTH, *WITH_STRENGTH], listed=hint))


def index_bits_of(compressor: Compressor) -> int | None:
    """Bits of the code that a compressor stores for each weight; ``None`` where it stores no codes."""
    if isinstance(compressor, Clustering):
        return index_bits(compressor.clusters)
    return compressor.bits if isinstance(compressor, Quantization) else None
