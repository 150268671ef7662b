"""What a run says while it goes on. Plain data: it crosses the worker's pipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from efficient360.core.findings import Finding
from efficient360.core.outcome import Record


@final
@dataclass(frozen=True)
class Opened:
    """The checkpoint and the data are open. Told again when foreign evaluators join, with all that was told before.

    Args:
        header: What ``report.json`` says of checkpoint, dataset, environment and protocol.
        keys: Key of each planned evaluator, in order.
        corrupt: How many lines of the run's outcomes can't be read and are left out.
        stored: The evaluators among them whose outcomes an earlier run stored: they are not run again.
        seconds_per_image: What the model takes for a clean image here; ``None`` where nothing is left to run.
    """

    header: Mapping[str, Any]
    keys: Mapping[str, str]
    corrupt: int = 0
    stored: tuple[str, ...] = ()
    seconds_per_image: float | None = None


@final
@dataclass(frozen=True)
class Importing:
    """Foreign code is about to be imported: the code of these evaluators."""

    evaluators: tuple[str, ...]


@final
@dataclass(frozen=True)
class Started:
    """An evaluator begins; ``index`` counts from 0 among ``total``."""

    evaluator: str
    index: int
    total: int


@final
@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` steps of what ``work`` names."""

    work: str
    done: int
    total: int


@final
@dataclass(frozen=True)
class Finished:
    """An evaluator's outcomes are stored; ``cached`` when an earlier run had them."""

    evaluator: str
    records: Sequence[Record]
    cached: bool


@final
@dataclass(frozen=True)
class Found:
    """What the predictions say against trusting the run, together with what was known when it was opened: all findings, to show first."""

    findings: Sequence[Finding]


Event = Opened | Importing | Started | Progress | Finished | Found
