"""The tokens of a vision transformer: which of them are patches, and which of them the classifier reads."""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from efficient360.errors import Unsupported
from efficient360.methods.attribution.grid import patches_of
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class Tokens:
    """One sequence of tokens: class and register tokens first, then the patches row by row.

    Args:
        prefix: Tokens before the patches.
        rows: Patches from top to bottom.
        columns: Patches from left to right.
        by_class_token: Whether the classifier reads the first token; else it pools the patches.
    """

    prefix: int
    rows: int
    columns: int
    by_class_token: bool

    @property
    def count(self) -> int:
        """All tokens."""
        return self.prefix + self.rows * self.columns

    def patches(self, values: Tensor) -> Tensor:
        """Values at the patches, ``(B, rows, columns)``, of values at all tokens, ``(B, count)``."""
        return values[:, self.prefix :].reshape(-1, self.rows, self.columns)

    def read(self, flow: Tensor) -> Tensor:
        """What each patch contributes to what the classifier reads, ``(B, rows, columns)``.

        Args:
            flow: ``(B, count, count)``, row = the token that receives, column = the token it comes from.
        """
        return self.patches(flow[:, 0] if self.by_class_token else flow[:, self.prefix :].mean(1))


def tokens_of(model: TorchModel) -> Tokens:
    """The tokens of a timm vision transformer.

    Raises:
        Unsupported: It is none: no patches, no blocks, or no plain sequence of tokens.
    """
    network: Any = model.network
    patches, prefix = patches_of(model), getattr(network, "num_prefix_tokens", None)
    if patches is None or prefix is None or not hasattr(network, "blocks"):
        raise Unsupported("no-tokens", f"{type(network).__name__} keeps no sequence of patch tokens", "use a plain vision transformer, or another explainer")
    pooled = getattr(network, "global_pool", "token")
    return Tokens(int(prefix), *patches, by_class_token=int(prefix) > 0 and pooled == "token")


def probe(model: TorchModel) -> Tensor:
    """One mid-grey image, ``(1, 3, H, W)``, to see what a network does."""
    return torch.full((1, *model.input_size), 0.5, device=model.device)
