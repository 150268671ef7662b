"""What two corruption results must share before one may be divided by the other, as a table that a report carries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from efficient360.core.figures import Table
from efficient360.methods.corruptions.tables import COMMON, SEVERITIES

TITLE = "Corruption protocol"


@final
@dataclass(frozen=True)
class Protocol:
    """How images were corrupted, and which.

    Args:
        corruptions: Names, in order.
        severities: In order.
        table: Whose strengths: ``imagenet-c`` or ``cifar-c``.
        size: Height and width of the images.
        examples: How many.
        digest: SHA-256 over them.
        seed: Of the randomness.
    """

    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    table: str
    size: tuple[int, int]
    examples: int
    digest: str
    seed: int

    @property
    def over(self) -> str:
        """What a mean was taken over, in words; less than the usual is never passed over."""
        return f"{self.over_corruptions}, {self.over_severities}"

    @property
    def over_corruptions(self) -> str:
        """The corruptions in words."""
        missing = [name for name in COMMON if name not in self.corruptions]
        if set(self.corruptions) == set(COMMON):
            return "15 corruptions"
        if set(self.corruptions) < set(COMMON) and len(missing) < 4:
            return f"{len(self.corruptions)} corruptions, without {' and '.join(missing)}"
        return " ".join(self.corruptions)

    @property
    def over_severities(self) -> str:
        """The severities in words."""
        if set(self.severities) == set(SEVERITIES):
            return "5 severities"
        return f"{'severity' if len(self.severities) == 1 else 'severities'} {' '.join(map(str, self.severities))}"

    def as_table(self) -> Table:
        """For a report, and for :func:`differences`."""
        rows = (
            ("corruptions", " ".join(self.corruptions)),
            ("severities", " ".join(map(str, self.severities))),
            ("strengths", self.table),
            ("image size", f"{self.size[0]} × {self.size[1]}"),
            ("examples", self.examples),
            ("digest of the examples", self.digest[:16]),
            ("seed", self.seed),
        )
        return Table(TITLE, ("what", "which"), rows)


def differences(mine: Table, theirs: Sequence[Sequence[object]]) -> list[str]:
    """Names of the rows in which another result's protocol differs.

    Args:
        mine: Of this result.
        theirs: Rows of the other's table, as JSON holds them.
    """
    other = {row[0]: row[1] for row in theirs}
    return [str(row[0]) for row in mine.rows if other.get(row[0]) != row[1]]
