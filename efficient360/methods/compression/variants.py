"""Compressors by name and strength: ``clustering:64``, ``quantization:4``, ``half``."""

from collections.abc import Callable, Mapping
from typing import Final

from efficient360.errors import SettingsError
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compressor import Compressor
from efficient360.methods.compression.half import Half
from efficient360.methods.compression.low_rank import LowRank
from efficient360.methods.compression.pruning import Pruning
from efficient360.methods.compression.quantization import Quantization
from efficient360.methods.compression.token_merging import TokenMerging
from efficient360.methods.compression.two_of_four import TwoOfFour

GRADED: Final[Mapping[str, Callable[[int], Compressor]]] = {each.name: each for each in (Quantization, Clustering, Pruning, LowRank, TokenMerging)}
"""Those that take a strength."""
PLAIN: Final[Mapping[str, Callable[[], Compressor]]] = {each.name: each for each in (Half, TwoOfFour)}
"""Those that take none."""
CODERS: Final = ("half", "quantization:BITS", "clustering:CLUSTERS", "pruning:PERCENT", "two_of_four")
"""How those are written whose result is a weights file of the same architecture."""
LADDER: Final = (
    "half",
    *(f"quantization:{bits}" for bits in (8, 6, 5, 4, 3, 2)),
    *(f"clustering:{clusters}" for clusters in (256, 64, 32, 16, 8, 4)),
    *(f"pruning:{percent}" for percent in (30, 50, 60, 70, 80)),
    "two_of_four",
    *(f"low_rank:{percent}" for percent in (75, 50, 25)),
    *(f"token_merging:{percent}" for percent in (10, 20, 40, 60, 80)),
)
"""From gentle to harsh in each way."""


def parse(variant: str) -> Compressor:
    """The compressor that ``NAME`` or ``NAME:STRENGTH`` stands for.

    Raises:
        SettingsError: No such compressor, or no such strength.
    """
    name, colon, strength = variant.partition(":")
    if name in PLAIN and not colon:
        return PLAIN[name]()
    if name in GRADED and strength.isdecimal():
        return GRADED[name](int(strength))
    hint = f"write {', '.join((*PLAIN, *(f'{each}:N' for each in GRADED)))}, N a whole number"
    raise SettingsError("unknown-compressor", f"there is no compressor {variant!r}", hint)
