"""What an evaluator may ask of the inside of a vision transformer, and how a network of one's own answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, final

from efficient360.errors import Unsupported
from efficient360.models.view.calls import Tap
from efficient360.models.view.layout import TokenLayout

ATTRIBUTE: Final = "efficient360_view"
"""Attribute, or method without arguments, by which a module states its view."""
HOW_TO_STATE: Final = f"a network of your own can say where it is by a method {ATTRIBUTE} (docs/extending.md); or leave this evaluator out"


@final
@dataclass(frozen=True)
class Places:
    """Where tokens can be seen during a forward pass.

    Args:
        entrances: What enters each block.
        exits: What leaves each block.
        attended: What enters the first weights of each block's attention.
    """

    entrances: tuple[Tap, ...] = ()
    exits: tuple[Tap, ...] = ()
    attended: tuple[Tap, ...] = ()


@final
@dataclass(frozen=True)
class ViTView:
    """The parts of a vision transformer by their dotted names, whatever library it is from.

    A network states those of its parts that can't be found, as an attribute or method ``efficient360_view``; the others are found by structure::

        class Mine(nn.Module):
            def efficient360_view(self) -> ViTView:
                return ViTView(tokens=TokenLayout(rows=8, columns=8, prefix=1, class_token=0), head="classify.2")

    Args:
        blocks: The blocks, in order.
        attention: The layers in which tokens look at tokens, in order.
        probabilities: Modules whose output is an attention matrix ``(B, heads, queries, keys)``, in order; only needed where a network computes
            attention without torch's softmax or fused attention.
        embedding: The layer that makes tokens of patches, where it is a convolution or linear layer on patches that do not overlap.
        tokens: How the tokens between the blocks stand; ``None`` for a hierarchy, or where it can't be found.
        head: The linear layer that returns the logits; its input ``(B, D)`` is the features.
        features: A module whose output is the features ``(B, D)``, where no single linear layer returns the logits.
        missing: Why a part could not be found, by its name.
        places: Where tokens can be seen; found, never stated.
    """

    blocks: tuple[str, ...] = ()
    attention: tuple[str, ...] = ()
    probabilities: tuple[str, ...] = ()
    embedding: str = ""
    tokens: TokenLayout | None = None
    head: str = ""
    features: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    places: Places = Places()

    def require_tokens(self, network: str) -> TokenLayout:
        """How the tokens stand.

        Args:
            network: Its class name, for the message.

        Raises:
            Unsupported: It could not be found (``no-tokens``).
        """
        if self.tokens is None:
            reason = self.missing.get("tokens", "its tokens could not be found")
            raise Unsupported("no-tokens", f"{network} has no sequence of patch tokens: {reason}", f"use a plain vision transformer; {HOW_TO_STATE}")
        return self.tokens
