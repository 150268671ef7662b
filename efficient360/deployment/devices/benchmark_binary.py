"""A runtime's own benchmark binary: what it is called with, and its printed figures as data."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from efficient360.deployment.runtimes.runtime import Artefact


@final
@dataclass(frozen=True)
class BinaryOutput:
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
    def read(self, output: str) -> BinaryOutput:
        """The figures in what it printed.

        Raises:
            ValueError: There are none.
        """


_STATISTICS = re.compile(r"count=(\d+)(?: first=(\d+))? curr=(\d+)")
_TIMINGS = re.compile(r"Inference timings in us: Init: (\d+), First inference: (\d+),.*")
_PEAK = re.compile(r"Overall peak memory footprint \(MB\) via periodic monitoring: ([\d.]+)")
_FIGURES = re.compile(r"count=.*|Inference timings in us:.*|Memory footprint delta.*|Overall peak memory footprint.*")


@final
class BenchmarkModel(BenchmarkBinary):
    """Of many runs it prints statistics, of two it prints both whole: the first and the last. So it is called for two at a time."""

    runtime: ClassVar[str] = "litert"
    file: ClassVar[str] = "benchmark_model"
    get: ClassVar[str] = "LiteRT's performance measurement page has a built one per ABI; rename it to benchmark_model"
    sampling: ClassVar[str] = "the first and the last of two runs, both as the tool prints them, from many calls"
    runs: ClassVar[int] = 2

    def arguments(self, artefact: Artefact, folder: str, threads: int, warm: tuple[int, float]) -> Sequence[str]:
        timed = [f"--num_runs={self.runs}", "--min_secs=0", f"--warmup_runs={warm[0]}", f"--warmup_min_secs={warm[1]:g}"]
        return [*_graph(artefact, folder, threads), *timed]

    def memory_arguments(self, artefact: Artefact, folder: str, threads: int) -> Sequence[str]:
        return [*_graph(artefact, folder, threads), "--num_runs=2", "--min_secs=0", "--warmup_min_secs=0", "--report_peak_memory_footprint=true"]

    def read(self, output: str) -> BinaryOutput:
        """What the TensorFlow Lite benchmark binary printed; ``ValueError`` where it printed no timings."""
        statistics, timings, peak = _STATISTICS.findall(output), _TIMINGS.search(output), _PEAK.search(output)
        if len(statistics) < 2 or timings is None:  # one of the warm-up, one of the timed runs
            raise ValueError("no timings")
        count, first, last = statistics[-1]
        runs = {"1": [last], "2": [first, last]}.get(count)
        if runs is None:
            raise ValueError(f"{count} runs where two were asked for")
        return BinaryOutput(
            runs=[int(run) / 1e6 for run in runs],
            load=int(timings[1]) / 1e6,
            first=int(timings[2]) / 1e6,
            memory=round(float(peak[1]) * 2**20) if peak else None,
            summary=_FIGURES.findall(output),
        )


def _graph(artefact: Artefact, folder: str, threads: int) -> list[str]:
    return [f"--graph={folder}/{artefact.converted.settings['model']}", f"--num_threads={threads}", "--use_xnnpack=true"]
