"""What two flip rates must share before one may be divided by the other, as a table that a report carries."""

from dataclasses import dataclass
from typing import final

from efficient360.core.figures import Table
from efficient360.methods.corruptions.sequence_tables import PERTURBATIONS
from efficient360.methods.corruptions.sequences import Sequences

TITLE = "Stability protocol"


@final
@dataclass(frozen=True)
class FlipProtocol:
    """Which images were shown, and how.

    Args:
        shown: Which sequences.
        size: Height and width of the images.
        examples: How many.
        digest: SHA-256 over them.
        seed: Of the randomness.
    """

    shown: Sequences
    size: tuple[int, int]
    examples: int
    digest: str
    seed: int

    @property
    def over(self) -> str:
        """What a mean was taken over, in words; fewer perturbations or frames than usual are never passed over."""
        names = self.shown.perturbations
        told = "10 perturbations" if set(names) == set(PERTURBATIONS) else " ".join(names)
        return f"{told}, at most {self.shown.frames} frames" if self.shown.shortened else told

    def as_table(self) -> Table:
        """For a report, and for another run's to be compared with."""
        frames = " ".join(str(len(self.shown.steps(name))) for name in self.shown.perturbations)
        rows = (
            ("perturbations", " ".join(self.shown.perturbations)),
            ("frames", frames),
            ("strengths", self.shown.table),
            ("image size", f"{self.size[0]} × {self.size[1]}"),
            ("examples", self.examples),
            ("digest of the examples", self.digest[:16]),
            ("seed", self.seed),
        )
        return Table(TITLE, ("what", "which"), rows)
