"""Token merging (ToMe): similar tokens of a vision transformer are merged from block to block, so that later blocks compute with fewer.

Bolya et al. 2023, Token Merging: Your ViT But Faster.
"""

import copy
from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError
from efficient360.methods.compression.compressor import CompressedNetwork, Compressor
from efficient360.models.compressed_file import stored_tensors
from efficient360.models.structure.structure import merge_tokens


@final
@dataclass(frozen=True)
class TokenMerging(Compressor):
    """In every block the patches with the most similar keys are merged, the same number in each block, without training after.

    Bipartite soft matching with proportional attention. The weights are unchanged.

    Args:
        percent: Share of the patches that has been merged away after the last block, 1 to 95 %.

    Raises:
        SettingsError: A share out of this range.
    """

    name: ClassVar[str] = "token_merging"
    title: ClassVar[str] = "Token merging"
    percent: int

    def __post_init__(self) -> None:
        if not 1 <= self.percent <= 95:
            raise SettingsError("bad-strength", f"merging {self.percent} percent of the patches is not offered", "give 1 to 95")

    @property
    def strength(self) -> Conditions:
        return {"merged": f"{self.percent} %"}

    def compress(self, network: nn.Module) -> CompressedNetwork:
        """As :meth:`Compressor.compress`.

        Raises:
            Unsupported: It is not timm's plain vision transformer (``no-plain-blocks``).
        """
        merging = copy.deepcopy(network)
        merge_tokens(merging, self.percent)
        return CompressedNetwork(merging, stored_tensors(network), rebuilt=True)
