"""What the benchmark command is to do: models times runtimes times devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from efficient360.benchmark.zoo import Entry
from efficient360.deployment.devices.device import Schedule
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.errors import SettingsError

What = tuple[str, Precision]
"""A runtime, by name or a plug-in's file, and its arithmetic."""
SCHEDULE = Schedule(runs=30, seconds=0.8, blocks=5, warm_runs=3, warm_seconds=0.3, most=6.0, repeats=1, starts=1, timeout=300.0)
"""Short enough for hundreds of cells, long enough for an interval of the median: thirty runs or six seconds."""


@final
@dataclass(frozen=True)
class MatrixPlan:
    """All that determines a matrix.

    Args:
        models: Its rows.
        targets: Runtimes with their precisions.
        devices: Addresses, as typed.
        out: Folder of cells, artefacts and page.
        batch: Images in a call.
        threads: Threads for the runtimes; 0 takes as many as a device has cores.
        turns: Passes over the whole matrix.
        seed: Of random weights and invented images.
        schedule: How often and how long a cell is run.
        convert_only: Stop after the conversions and leave the artefacts for a later call.
        keep_artefacts: Leave them in any case.
        retry_failed: Take up again what failed in an earlier call.
    """

    models: Sequence[Entry]
    targets: Sequence[What]
    devices: Sequence[str]
    out: Path
    batch: int = 1
    threads: int = 0
    turns: int = 1
    seed: int = 0
    schedule: Schedule = SCHEDULE
    convert_only: bool = False
    keep_artefacts: bool = False
    retry_failed: bool = False

    def __post_init__(self) -> None:
        for name, value, least in (("--batch", self.batch, 1), ("--threads", self.threads, 0), ("--repeat", self.turns, 1)):
            if value < least:
                raise SettingsError("bad-option", f"{name} is {value}", f"give a number of at least {least}")


def read_targets(text: str) -> list[What]:
    """The runtimes of what was typed for ``--runtimes``, each once and in order.

    Args:
        text: Parts with commas between them: ``all`` (every runtime that this hardware can have, in fp32: one that is not installed is told), ``installed``, or
            ``runtime[:precision]``.

    Raises:
        SettingsError: No runtime, an unknown one, or a precision that it does not have.
    """
    found: list[What] = []
    for part in (part.strip() for part in text.split(",")):
        many = _all() if part == "all" else catalogue.targets([part]) if part else []
        found += [one for one in many if one not in found]
    if not found:
        raise SettingsError("no-runtimes", f"--runtimes {text!r} names no runtime", f"give all, installed, or some of {', '.join(catalogue.names())}")
    return found


def _all() -> list[What]:
    return [(name, Precision.FP32) for name in catalogue.names() if not catalogue.runtime(name).unavailable()]


def read_devices(text: str) -> list[str]:
    """The addresses of what was typed for ``--device``, each once and in order.

    Raises:
        SettingsError: There are none.
    """
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not found:
        raise SettingsError("no-devices", f"--device {text!r} names no device", "give local, or several with commas")
    return found
