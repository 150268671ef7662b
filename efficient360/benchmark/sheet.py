"""Tables as both the page and the Markdown file print them: boxes of text that know what they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final


class Kind(StrEnum):
    """What a box stands for."""

    PLAIN = "plain"
    BEST = "best"
    """The fastest that counts in its row."""
    WRONG = "wrong"
    """Measured, but the logits are not the model's: out of every ranking."""
    GAP = "gap"
    """No number, and the reason why."""


@final
@dataclass(frozen=True)
class Box:
    """One box of a table.

    Args:
        text: What it says.
        detail: A second, quieter line.
        kind: What it stands for.
        reason: Why it has no number or does not count; shown when one points at it.
    """

    text: str
    detail: str = ""
    kind: Kind = Kind.PLAIN
    reason: str = ""


@final
@dataclass(frozen=True)
class Sheet:
    """A table: the first box of a row is its head.

    Args:
        title: Its caption.
        note: How to read it.
        head: Column heads, the first over the row heads.
        rows: As many boxes a row as there are heads.
    """

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[Box]]


MISSING = Box("–", kind=Kind.GAP)
