"""From what a device gave to a cell."""

import time
from typing import Any

import numpy as np

from efficient360.benchmark.cells import ArtefactFacts, Gap, Measured
from efficient360.benchmark.subject import Subject
from efficient360.core.measurement import Failure
from efficient360.deployment.devices.cell import cell_of
from efficient360.deployment.devices.device import Reading
from efficient360.deployment.devices.timing import energy
from efficient360.deployment.runtimes.runtime import Artefact


def gap(stage: str, failure: Failure) -> Gap:
    """A failure as a cell's reason.

    Args:
        stage: ``conversion`` or ``measurement``.
        failure: What went wrong.
    """
    return Gap(stage, failure.status, failure.code, failure.message, failure.hint)


def artefact_facts(artefact: Artefact) -> ArtefactFacts:
    """What a reader should know of an artefact."""
    told = artefact.converted.delegation
    share = told.delegated / told.total if told is not None and told.total else None
    return ArtefactFacts(artefact.digest, artefact.bytes, dict(artefact.converter), artefact.seconds, dict(artefact.converted.facts), share)


def measured(subject: Subject, artefact: Artefact, reading: Reading) -> Measured:
    """A reading in numbers."""
    cell = cell_of(artefact, reading, subject.reference)
    timing = cell.timing
    assert timing is not None  # a reading always has one
    joules = energy(reading)
    return Measured(
        p50=timing.p50,
        low=timing.interval.low,
        high=timing.interval.high,
        p90=timing.p90,
        p99=timing.p99,
        clean=timing.clean,
        runs=timing.runs,
        repeated=reading.repeated,
        cold=tuple(reading.cold),
        memory=reading.memory,
        memory_before=reading.memory_before,
        energy=float(np.median(joules)) if joules else None,
        findings=timing.findings,
        parity=cell.parity,
    )


def samples(key: str, reading: Reading) -> dict[str, Any]:
    """Raw times of each block in microseconds, to a tenth: as much as the clock is worth."""
    return {
        "key": key,
        "wall_us": [[round(1e6 * seconds, 1) for seconds in block.wall] for block in reading.blocks],
        "cpu_us": [[round(1e6 * seconds, 1) for seconds in block.cpu] for block in reading.blocks],
    }


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
