"""Tokens that are alike merged from block to block, so that fewer are computed with."""

import copy
from dataclasses import dataclass
from typing import ClassVar, final

from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError, Unsupported
from efficient360.methods.compression.compressor import Compressed, Compressor
from efficient360.methods.compression.merging_blocks import MergingBlocks
from efficient360.methods.compression.tensors import stored_tensors


@final
@dataclass(frozen=True)
class TokenMerging(Compressor):
    """In every block the patches whose keys are most alike merged into one, the same number in each, without training after.

    Bolya et al. 2023, Token Merging: Your ViT But Faster (bipartite soft matching with proportional attention). The weights stay as they are.

    Args:
        percent: Share of the patches that are gone after the last block, 1 to 95 %.

    Raises:
        SettingsError: A share outside these.
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

    def compress(self, network: nn.Module) -> Compressed:
        """As :meth:`Compressor.compress`.

        Raises:
            Unsupported: It is no plain vision transformer of timm's (``no-plain-blocks``).
        """
        if not _plain(network):
            message = f"{type(network).__name__} is no plain vision transformer: its tokens can't be merged without writing its blocks anew"
            raise Unsupported("no-plain-blocks", message, "choose another compressor")
        copied = copy.deepcopy(network)
        assert isinstance(copied, VisionTransformer)  # _plain has looked
        copied.blocks = MergingBlocks(copied.blocks, copied.num_prefix_tokens, self.percent)
        return Compressed(copied, stored_tensors(network), rebuilt=True)


def _plain(network: nn.Module) -> bool:
    """Whether its blocks do what :class:`MergingBlocks` does, attention over all tokens and nothing between the blocks."""
    return isinstance(network, VisionTransformer) and all(
        type(block) is Block and type(block.attn) is Attention and block.attn.gate is None for block in network.blocks
    )
