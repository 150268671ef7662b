"""One cell of the matrix in plain data: a model in a runtime on a device, with its numbers or the reason there are none."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, final

from efficient360.benchmark.zoo import Family
from efficient360.core.findings import Finding
from efficient360.core.measurement import Status
from efficient360.deployment.devices.device import ColdStart, DeviceDescription, Schedule
from efficient360.deployment.devices.timing import UNCHECKED
from efficient360.deployment.runtimes.parity import Parity
from efficient360.deployment.runtimes.runtime import Precision


class RowRole(StrEnum):
    """Whether a row is a model or the reference for peak speed."""

    MODEL = "model"
    PEAK = "peak"
    """A stack of matrix products, whose best speed stands for the device's peak."""


@final
@dataclass(frozen=True)
class ModelFacts:
    """What a reader should know of a model.

    Args:
        name: What its row is called.
        role: A model, or the matrix-product reference.
        family: What it is made of.
        weights: ``trained``, or what was done for random ones.
        identity: Digest of weights, architecture, preprocessing and what was done to them.
        size: ``(3, H, W)`` of its images.
        classes: Number of logits.
        parameters: Number of parameters.
        macs: Multiply-adds of one image; ``None`` where an operator can't be counted.
    """

    name: str
    role: RowRole
    family: Family
    weights: str
    identity: str
    size: tuple[int, int, int]
    classes: int
    parameters: int
    macs: int | None


@final
@dataclass(frozen=True)
class DeviceFacts:
    """What a device is, without the runtimes on it; the fields of :class:`efficient360.deployment.devices.device.DeviceDescription`."""

    name: str
    cpu: str
    architecture: str
    os: str
    cores: int
    memory: int
    isa: tuple[str, ...]
    emulated: str

    @classmethod
    def of(cls, facts: DeviceDescription) -> "DeviceFacts":
        """What stays of a device's facts."""
        return cls(facts.name, facts.cpu, facts.architecture, facts.os, facts.cores, facts.memory, tuple(facts.isa), facts.emulated)


@final
@dataclass(frozen=True)
class RuntimeFacts:
    """What runs a model, and how.

    Args:
        runtime: Stable name.
        title: As its makers write it.
        version: Of the runtime on the device; ``""`` where it is not there.
        precision: Arithmetic.
        batch: Images in a call.
        threads: Threads the runtime was given.
    """

    runtime: str
    title: str
    version: str
    precision: Precision
    batch: int
    threads: int

    @property
    def label(self) -> str:
        """``runtime:precision``."""
        return f"{self.runtime}:{self.precision}"


@final
@dataclass(frozen=True)
class ArtefactFacts:
    """What was run.

    Args:
        digest: SHA-256 of its files.
        bytes: Their size.
        converter: Versions of what converted it, by module.
        seconds: What the conversion took.
        facts: What the converter says (exporter, rewrites, tuned or not).
        delegated: Share of the operators that the runtime's fast path took, in [0, 1], where the converter tells it.
    """

    digest: str
    bytes: int
    converter: Mapping[str, str]
    seconds: float
    facts: Mapping[str, Any]
    delegated: float | None


@final
@dataclass(frozen=True)
class CellNumbers:
    """The numbers of a cell, seconds and bytes. ``p50`` to ``findings`` as in :class:`efficient360.deployment.devices.timing.Timing`.

    Args:
        p50: Median latency of a call.
        low: Lower end of its 95 % interval, for what a rerun would show.
        high: Upper end.
        p90: 90th percentile; ``None`` with too few runs.
        p99: 99th percentile; ``None`` with too few runs.
        clean: Undisturbed runs.
        runs: All runs.
        repeated: How often it was taken again because it was noisy.
        cold: Import, load and first inference, each of a fresh process; empty where the device does not tell.
        memory: Most resident bytes of the process.
        memory_before: Resident bytes with the runtime imported, before the model was loaded.
        energy: Median joules of a call above the machine at rest; ``None`` without a counter.
        findings: What disturbed it.
        parity: How far the logits are from the model's own; ``None`` where the device hands none back.
    """

    p50: float
    low: float
    high: float
    p90: float | None
    p99: float | None
    clean: int
    runs: int
    repeated: int
    cold: tuple[ColdStart, ...]
    memory: int | None
    memory_before: int | None
    energy: float | None
    findings: tuple[Finding, ...]
    parity: Parity | None


@final
@dataclass(frozen=True)
class MissingNumbers:
    """Why a cell has no numbers.

    Args:
        stage: ``conversion`` or ``measurement``.
        status: As of a :class:`efficient360.core.measurement.Failure`, the rest likewise.
    """

    stage: str
    status: Status
    code: str
    message: str
    hint: str


@final
@dataclass(frozen=True)
class BenchmarkCell:
    """A model in a runtime on a device.

    Args:
        key: Digest of all that it depends on; two cells of one key are the same measurement.
        created: When, UTC, ISO 8601.
        model: Which model.
        target: Which runtime, precision, batch and threads.
        device: Where.
        schedule: How often and how long.
        turn: Pass over the matrix, from 1.
        artefact: What was run; ``None`` where the conversion gave none.
        measured: The numbers, or
        gap: the reason there are none: exactly one of them is there.
        samples: File of the raw times, relative to the store's folder; ``""`` where there are none.
    """

    key: str
    created: str
    model: ModelFacts
    target: RuntimeFacts
    device: DeviceFacts
    schedule: Schedule
    turn: int
    artefact: ArtefactFacts | None
    measured: CellNumbers | None
    gap: MissingNumbers | None
    samples: str

    def __post_init__(self) -> None:
        if (self.measured is None) == (self.gap is None):
            raise ValueError(f"cell {self.key} has both numbers and a reason for having none, or neither")

    @property
    def rankable(self) -> CellNumbers | None:
        """Its numbers if they enter rankings: measured, and the logits pass the parity check."""
        numbers = self.measured
        return numbers if numbers is not None and numbers.parity is not None and numbers.parity.passed else None

    @property
    def exclusion_reason(self) -> str:
        """Why it is excluded from rankings; ``""`` when it is not."""
        if self.gap is not None:
            return self.gap.message
        parity = None if self.measured is None else self.measured.parity
        return UNCHECKED if parity is None else parity.reason


def cell_key(model: tuple[str, tuple[int, int, int]], target: RuntimeFacts, code: str, device: DeviceFacts, schedule: Schedule, turn: int) -> str:
    """Digest of all that a cell depends on.

    Args:
        model: Identity and image size of the model.
        target: Which runtime in which version, precision, batch, threads.
        code: Digest of the code that converts and times.
        device: Where.
        schedule: How often and how long.
        turn: Which pass.
    """
    parts = [
        *model,
        dataclasses.asdict(target),
        code,
        dataclasses.asdict(device),
        [schedule.runs, schedule.seconds, schedule.blocks, schedule.warm_runs, schedule.warm_seconds, schedule.most, schedule.starts],
        turn,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def to_json(cell: BenchmarkCell) -> dict[str, Any]:
    """A cell as plain JSON data."""
    return dataclasses.asdict(cell)


def from_json(data: Mapping[str, Any]) -> BenchmarkCell:
    """What :func:`to_json` gave.

    Raises:
        ValueError: It is something else.
    """
    cell: BenchmarkCell = _adapter().validate_python(dict(data))
    return cell


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(BenchmarkCell)
