"""Every measurement of a search, kept as soon as it is made."""

from dataclasses import dataclass
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True)
class TrialLog:
    """An append-only file of measurements (``trials.jsonl``). A kill at any moment leaves whole lines and at most one torn one, which is skipped.

    Args:
        path: The file; it is made by the first measurement.
    """

    path: Path
