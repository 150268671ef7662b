"""Where in a sequence of tokens the patches of the image stand, and which token the classifier reads."""

from dataclasses import dataclass
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True)
class TokenLayout:
    """The token sequence of a vision transformer: patches row by row, with class and register tokens before or after them.

    Args:
        rows: Rows of patches.
        columns: Patches a row.
        prefix: Number of tokens before the patches (class token, registers).
        suffix: Number of tokens after them.
        class_token: Index of the token that the classifier reads; ``None`` where it pools the patches.
        by_columns: Whether the patches stand column by column instead.
        batch_first: Whether tokens are ``(B, count, D)`` between the blocks; otherwise ``(count, B, D)``.
    """

    rows: int
    columns: int
    prefix: int = 0
    suffix: int = 0
    class_token: int | None = None
    by_columns: bool = False
    batch_first: bool = True

    @property
    def patch_count(self) -> int:
        """Number of patches."""
        return self.rows * self.columns

    @property
    def count(self) -> int:
        """Number of tokens."""
        return self.prefix + self.patch_count + self.suffix

    def tokens(self, tensor: Tensor) -> Tensor | None:
        """What a block takes or returns as ``(B, count, D)``; ``None`` if it is no sequence of these tokens."""
        if tensor.ndim != 3:
            return None
        tokens = tensor if self.batch_first else tensor.transpose(0, 1)
        return tokens if tokens.shape[1] == self.count else None

    def patches(self, values: Tensor) -> Tensor:
        """The patches' values, ``(B, rows, columns, …)``, of values of all tokens, ``(B, count, …)``."""
        own = values[:, self.prefix : self.prefix + self.patch_count]
        if self.by_columns:
            return own.reshape(len(own), self.columns, self.rows, *own.shape[2:]).transpose(1, 2)
        return own.reshape(len(own), self.rows, self.columns, *own.shape[2:])

    def pooled_relevance(self, relevance: Tensor) -> Tensor:
        """Relevance of each patch for what the classifier reads, ``(B, rows, columns)``.

        Args:
            relevance: ``(B, count, count)``, row = output token, column = input token.
        """
        if self.class_token is not None:
            return self.patches(relevance[:, self.class_token])
        return self.patches(relevance[:, self.prefix : self.prefix + self.patch_count].mean(1))
