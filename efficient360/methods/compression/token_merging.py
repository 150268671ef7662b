"""Token merging (ToMe): similar tokens of a vision transformer are merged from block to block, so that later blocks compute with fewer.

Bolya et al. 2023, Token Merging: Your ViT But Faster.
"""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError, Unsupported
from efficient360.methods.compression.compressor import CompressedNetwork, Compressor
from efficient360.models.compressed_file import stored_tensors


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
        if not isinstance(merging, VisionTransformer) or not all(map(_plain, merging.blocks)):
            message = f"{type(network).__name__} is no plain vision transformer: token merging is implemented only for timm's standard blocks"
            raise Unsupported("no-plain-blocks", message, "choose another compressor")
        merging.blocks = MergingBlocks(merging.blocks, merging.num_prefix_tokens, self.percent)
        return CompressedNetwork(merging, stored_tensors(network), rebuilt=True)


def _plain(block: Any) -> bool:
    """Whether a block does what :class:`MergingBlocks` computes: attention over all tokens, then an MLP."""
    return type(block) is Block and type(block.attn) is Attention and block.attn.gate is None


@final
class MergingBlocks(nn.Module):
    """timm's plain transformer blocks in sequence, with patches merged between attention and MLP of each.

    After the last block every patch is given back the token into which it was merged, so that the head (class token, mean or attention pooling) weighs
    tokens by the number of patches that they represent.

    Args:
        blocks: :class:`timm.models.vision_transformer.Block`, each with :class:`timm.layers.Attention`.
        prefix: Leading tokens that are not patches (class token, registers) and are never merged.
        percent: Share of the patches to merge away by the last block.
    """

    def __init__(self, blocks: nn.Module, prefix: int, percent: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks.children())
        self.prefix, self.percent = prefix, percent

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens ``(B, N, D)`` after the last block, of tokens before the first."""
        prefix, patches = tokens[:, : self.prefix], tokens[:, self.prefix :]
        images, initial = patches.shape[:2]
        sizes = torch.ones_like(patches[..., 0])
        places = torch.arange(initial, device=tokens.device).expand(images, initial)
        merged = initial * self.percent // 100
        depth = len(self.blocks)
        for index, block in enumerate(self.blocks):
            prefix, patches, keys = _attend(block, prefix, patches, sizes)
            r = merged * (index + 1) // depth - merged * index // depth
            if r:
                patches, sizes, places = _merge(bipartite_soft_matching(keys, r), patches, sizes, places)
            prefix, patches = _mlp(block, prefix), _mlp(block, patches)
        unmerged = patches.gather(1, places.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))
        return torch.cat([prefix, unmerged], 1)


def _attend(block: Any, prefix: Tensor, patches: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Prefix and patches after a block's attention, and the patches' keys averaged over heads, ``(B, P, d)``."""
    tokens = torch.cat([prefix, patches], 1)
    attention = block.attn
    normed = block.norm1(tokens)
    images, count, _ = normed.shape
    queries, keys, values = attention.qkv(normed).reshape(images, count, 3, attention.num_heads, attention.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
    queries, keys = attention.q_norm(queries), attention.k_norm(keys)
    # Proportional attention: a token counts as many times as it represents patches.
    log_sizes = torch.cat([torch.ones_like(prefix[..., 0]), sizes], 1).log()[:, None, None, :]
    mixed = ((queries * attention.scale) @ keys.transpose(-2, -1) + log_sizes).softmax(-1) @ values
    mixed = attention.norm(mixed.transpose(1, 2).reshape(images, count, attention.attn_dim))
    tokens = tokens + block.ls1(attention.proj(mixed))
    return tokens[:, : prefix.shape[1]], tokens[:, prefix.shape[1] :], keys.mean(1)[:, prefix.shape[1] :]


def _mlp(block: Any, tokens: Tensor) -> Tensor:
    """Tokens after a block's MLP."""
    after: Tensor = tokens + block.ls2(block.mlp(block.norm2(tokens)))
    return after


def _merge(matching: "Matching", patches: Tensor, sizes: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Patches as means weighted by size, their sizes, and the current index of each of the initial patches."""
    summed = matching.merge(patches * sizes.unsqueeze(-1))
    total = matching.merge(sizes.unsqueeze(-1))
    return summed / total, total.squeeze(-1), matching.destinations.gather(1, places)


@final
@dataclass(frozen=True)
class Matching:
    """Into which token each of ``P`` tokens is merged.

    Args:
        destinations: New index of each token, int64 ``(B, P)``.
        remaining: Number of tokens after merging.
    """

    destinations: Tensor
    remaining: int

    def merge(self, tokens: Tensor) -> Tensor:
        """Sums ``(B, remaining, D)`` of the tokens ``(B, P, D)`` that share a destination."""
        sums = tokens.new_zeros(tokens.shape[0], self.remaining, tokens.shape[2])
        return sums.scatter_add(1, self.destinations.unsqueeze(-1).expand_as(tokens), tokens)


def bipartite_soft_matching(keys: Tensor, r: int) -> Matching:
    """Merge the ``r`` tokens at even indices that are most similar to a token at an odd index into that token.

    Bolya et al. 2023, section 3.2: tokens alternate between two sets; each token of the first has an edge to the token of the second whose key has the highest
    cosine similarity, and the ``r`` best edges are kept. Tokens of the first set that remain come first, in order; then the second set.

    Args:
        keys: ``(B, P, d)``.
        r: At least 1; at most half of the tokens are merged.
    """
    images, count, _ = keys.shape
    r = min(r, count // 2)
    unit = functional.normalize(keys, dim=-1)
    best, partner = (unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)).max(-1)
    first, second = best.shape[1], count // 2
    ranked = best.argsort(dim=1, descending=True, stable=True)
    merged, kept = ranked[:, :r], ranked[:, r:].sort(1).values
    first_destinations = torch.empty((images, first), dtype=torch.int64, device=keys.device)
    first_destinations = first_destinations.scatter(1, kept, torch.arange(first - r, device=keys.device).expand(images, -1))
    first_destinations = first_destinations.scatter(1, merged, partner.gather(1, merged) + first - r)
    destinations = torch.empty((images, count), dtype=torch.int64, device=keys.device)
    destinations[:, ::2] = first_destinations
    destinations[:, 1::2] = torch.arange(second, device=keys.device) + first - r
    return Matching(destinations, count - r)
