"""Which tokens to merge: bipartite soft matching."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional


@final
@dataclass(frozen=True)
class Matching:
    """What each of ``P`` tokens becomes one of.

    Args:
        moved: New place of each token, int64 ``(B, P)``.
        left: Tokens that are left.
    """

    moved: Tensor
    left: int

    def merge(self, tokens: Tensor) -> Tensor:
        """Sums ``(B, left, D)`` of tokens ``(B, P, D)`` that come to the same place."""
        found = tokens.new_zeros(tokens.shape[0], self.left, tokens.shape[2])
        return found.scatter_add(1, self.moved.unsqueeze(-1).expand_as(tokens), tokens)


def matched(keys: Tensor, gone: int) -> Matching:
    """Merge the ``gone`` tokens at even places that are most like one at an odd place into that one.

    Bolya et al. 2023, section 3.2: two sets by turns, from each token of the first an edge to the one of the second whose key is most like its own by the
    cosine, and of these edges the best are kept. What stays comes first, in order; then the second set.

    Args:
        keys: ``(B, P, d)``.
        gone: At least 1; no more than every other token can go.
    """
    images, count, _ = keys.shape
    gone = min(gone, count // 2)
    unit = functional.normalize(keys, dim=-1)
    best, partner = (unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)).max(-1)
    first, second = best.shape[1], count // 2
    ranked = best.argsort(dim=1, descending=True, stable=True)
    leaving, staying = ranked[:, :gone], ranked[:, gone:].sort(1).values
    places = torch.empty((images, first), dtype=torch.int64, device=keys.device)
    places = places.scatter(1, staying, torch.arange(first - gone, device=keys.device).expand(images, -1))
    places = places.scatter(1, leaving, partner.gather(1, leaving) + first - gone)
    moved = torch.empty((images, count), dtype=torch.int64, device=keys.device)
    moved[:, ::2] = places
    moved[:, 1::2] = torch.arange(second, device=keys.device) + first - gone
    return Matching(moved, count - gone)
