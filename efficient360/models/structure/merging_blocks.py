"""Token merging (ToMe): the blocks of a vision transformer, with similar tokens merged from block to block, so that later blocks compute with fewer.

Bolya et al. 2023, Token Merging: Your ViT But Faster. Indices are compared with a range instead of being gathered or scattered: every runtime has a
comparison and a matrix product, and few have a scatter that adds.
"""

from dataclasses import dataclass
from typing import Any, final

import torch
from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from efficient360.errors import Unsupported


def require_plain_blocks(network: nn.Module) -> None:
    """Ask before any work is done.

    Raises:
        Unsupported: It is not timm's plain vision transformer (``no-plain-blocks``).
    """
    if not isinstance(network, VisionTransformer) or not all(map(_plain, network.blocks)):
        message = f"{type(network).__name__} is no plain vision transformer: token merging is implemented only for timm's standard blocks"
        raise Unsupported("no-plain-blocks", message, "choose another compressor")


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
        initial = patches.shape[1]
        sizes = torch.ones_like(patches[..., 0])
        merged = initial * self.percent // 100
        depth = len(self.blocks)
        places: Tensor | None = None
        for index, block in enumerate(self.blocks):
            prefix, patches, keys = _attend(block, prefix, patches, sizes)
            r = merged * (index + 1) // depth - merged * index // depth
            if r and patches.shape[1] > 1:
                matching = bipartite_soft_matching(keys, r)
                patches, sizes = _merge(matching, patches, sizes)
                places = matching.one_hot if places is None else matching.one_hot @ places
            prefix, patches = _mlp(block, prefix), _mlp(block, patches)
        return torch.cat([prefix, patches if places is None else places.transpose(1, 2) @ patches], 1)


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
    tokens = tokens + block.drop_path1(block.ls1(attention.proj(mixed)))
    return tokens[:, : prefix.shape[1]], tokens[:, prefix.shape[1] :], keys.mean(1)[:, prefix.shape[1] :]


def _mlp(block: Any, tokens: Tensor) -> Tensor:
    """Tokens after a block's MLP."""
    after: Tensor = tokens + block.drop_path2(block.ls2(block.mlp(block.norm2(tokens))))
    return after


def _merge(matching: "Matching", patches: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Patches as means weighted by size, and their sizes."""
    summed = matching.merge(patches * sizes.unsqueeze(-1))
    total = matching.merge(sizes.unsqueeze(-1))
    return summed / total, total.squeeze(-1)


@final
@dataclass(frozen=True)
class Matching:
    """Into which token each of ``P`` tokens is merged.

    Args:
        destinations: New index of each token, whole numbers in float32, ``(B, P)``.
        remaining: Number of tokens after merging.
    """

    destinations: Tensor
    remaining: int

    @property
    def one_hot(self) -> Tensor:
        """1 where a token is merged into a new one, ``(B, remaining, P)``."""
        return _equal(self.destinations[:, None, :], torch.arange(self.remaining, dtype=torch.float32, device=self.destinations.device)[None, :, None])

    def merge(self, tokens: Tensor) -> Tensor:
        """Sums ``(B, remaining, D)`` of the tokens ``(B, P, D)`` that share a destination."""
        return self.one_hot @ tokens


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
    first, second = (count + 1) // 2, count // 2
    unit = functional.normalize(keys, dim=-1)
    similarity = unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)
    best = similarity.amax(-1)
    order = torch.arange(first, dtype=torch.float32, device=keys.device)
    # The rank of an edge is the number of edges that come before it: better ones, and of equal ones those at a lower index.
    other, own = best[:, None, :], best[:, :, None]
    before = (other > own).to(keys.dtype) + (other == own).to(keys.dtype) * (order[None, :] < order[:, None]).to(keys.dtype)
    merged = (before.sum(-1) < r).to(keys.dtype)
    # Tokens that remain are numbered in order: by the remaining ones that come before.
    kept = (order[None, :] < order[:, None]).to(keys.dtype) @ (1 - merged)[:, :, None]
    partner = similarity.argmax(-1).to(keys.dtype)
    destinations = merged * (partner + (first - r)) + (1 - merged) * kept.squeeze(-1)
    fixed = (torch.arange(second, dtype=keys.dtype, device=keys.device) + (first - r)).expand(images, second)
    # Back in the order of the tokens, the sets alternating.
    padded = functional.pad(fixed, (0, first - second))
    return Matching(torch.stack([destinations, padded], -1).reshape(images, 2 * first)[:, :count], count - r)


def _equal(left: Tensor, right: Tensor) -> Tensor:
    return (left == right).to(torch.float32)
