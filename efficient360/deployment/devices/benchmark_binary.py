"""The contract of a runtime's own benchmark binary, which a user brings for a device that runs no Python."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from efficient360.deployment.runtimes.runtime import Artefact


@final
@dataclass(frozen=True)
class Said:
    """What one call of a binary said. Seconds and bytes.

    Args:
        runs: Single timed runs, as printed.
        load: Loading the artefact.
        first: The first inference.
        memory: Most resident memory of its process; ``None`` where it was not asked for or not told.
        summary: The lines with figures, word for word.
    """

    runs: Sequence[float]
    load: float
    first: float
    memory: int | None
    summary: Sequence[str]


class BenchmarkBinary(ABC):
    """A binary that runs an artefact as it is, and prints times of single runs. One that fills in weights of its own measures another network."""

    runtime: ClassVar[str]
    """Name of the runtime."""
    file: ClassVar[str]
    """Name of the binary."""
    get: ClassVar[str]
    """Where to get it."""
    sampling: ClassVar[str]
    """What a sample is, in words."""
    runs: ClassVar[int]
    """Single runs that one call yields."""

    @abstractmethod
    def arguments(self, artefact: Artefact, folder: str, threads: int, warm: tuple[int, float]) -> Sequence[str]:
        """What to call it with for a timed call.

        Args:
            artefact: The artefact.
            folder: Where it lies there.
            threads: Threads.
            warm: Least runs and seconds of its warm-up.
        """

    @abstractmethod
    def memory_arguments(self, artefact: Artefact, folder: str, threads: int) -> Sequence[str]:
        """What to call it with to be told its memory; times of such a call don't count."""

    @abstractmethod
    def read(self, said: str) -> Said:
        """The figures in what it printed.

        Raises:
            ValueError: There are none.
        """
