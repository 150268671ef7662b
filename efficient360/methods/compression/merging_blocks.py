"""Blocks of a vision transformer that merge tokens on their way."""

from typing import Any, final

import torch
from torch import Tensor, nn

from efficient360.methods.compression.matching import Matching, matched


@final
class MergingBlocks(nn.Module):
    """timm's plain transformer blocks in a row, with patches merged between attention and MLP of each.

    Behind the last block every patch gets the token back into which it was merged, so that whatever follows (class token, mean, attention pooling) weighs
    tokens by the patches that they stand for.

    Args:
        blocks: :class:`timm.models.vision_transformer.Block`, each with :class:`timm.layers.Attention`.
        prefix: Leading tokens that are no patches and are never merged.
        percent: Share of the patches to merge away by the last block.
    """

    def __init__(self, blocks: nn.Module, prefix: int, percent: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks.children())
        self.prefix, self.percent = prefix, percent

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens ``(B, N, D)`` after the last block, of tokens before the first."""
        prefix, patches = tokens[:, : self.prefix], tokens[:, self.prefix :]
        images, whole = patches.shape[:2]
        sizes = torch.ones_like(patches[..., 0])
        places = torch.arange(whole, device=tokens.device).expand(images, whole)
        gone = whole * self.percent // 100
        depth = len(self.blocks)
        for index, block in enumerate(self.blocks):
            prefix, patches, keys = _attended(block, prefix, patches, sizes)
            due = gone * (index + 1) // depth - gone * index // depth
            if due:
                matching = matched(keys, due)
                patches, sizes, places = _merged(matching, patches, sizes, places)
            prefix, patches = _widened(block, prefix), _widened(block, patches)
        restored = patches.gather(1, places.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))
        return torch.cat([prefix, restored], 1)


def _attended(block: Any, prefix: Tensor, patches: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Prefix and patches after a block's attention, and the patches' keys, the mean over heads, ``(B, P, d)``."""
    tokens = torch.cat([prefix, patches], 1)
    attention = block.attn
    given = block.norm1(tokens)
    images, count, _ = given.shape
    queries, keys, values = attention.qkv(given).reshape(images, count, 3, attention.num_heads, attention.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
    queries, keys = attention.q_norm(queries), attention.k_norm(keys)
    # Proportional attention: a token counts as often as it stands for patches.
    weight = torch.cat([torch.ones_like(prefix[..., 0]), sizes], 1).log()[:, None, None, :]
    mixed = ((queries * attention.scale) @ keys.transpose(-2, -1) + weight).softmax(-1) @ values
    mixed = attention.norm(mixed.transpose(1, 2).reshape(images, count, attention.attn_dim))
    tokens = tokens + block.ls1(attention.proj(mixed))
    return tokens[:, : prefix.shape[1]], tokens[:, prefix.shape[1] :], keys.mean(1)[:, prefix.shape[1] :]


def _widened(block: Any, tokens: Tensor) -> Tensor:
    """Tokens after a block's MLP."""
    widened: Tensor = tokens + block.ls2(block.mlp(block.norm2(tokens)))
    return widened


def _merged(matching: Matching, patches: Tensor, sizes: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Patches as means weighted by size, their sizes, and where each of the first patches is now."""
    summed = matching.merge(patches * sizes.unsqueeze(-1))
    total = matching.merge(sizes.unsqueeze(-1))
    return summed / total, total.squeeze(-1), matching.moved.gather(1, places)
