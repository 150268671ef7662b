"""Raw times summarised: undisturbed runs, quantiles with intervals, disturbances; and an artefact on a device with its timing and parity."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.core.findings import Finding
from efficient360.core.measurement import LEVEL, Failure, Interval
from efficient360.core.statistics import student
from efficient360.deployment.devices.device import DeviceReading, TimingBlock
from efficient360.deployment.runtimes.parity import Parity, parity
from efficient360.deployment.runtimes.runtime import Artefact

WAITING = 0.06
"""A run is clean when it waited for at most this share of its wall time more than undisturbed ones do."""
FEWEST = 30
"""Clean runs that a median wants."""
FEWEST_P90, FEWEST_P99 = 50, 1000
BETWEEN_RUNS = 0.05
"""Relative half-width of what differs from one run to the next on the same machine and is constant within a run: ambient load, temperature, clock."""
BETWEEN_PROCESSES = 0.10
"""The same of what differs from one process to the next, told where there was only one."""
UNCHECKED = "the device returns no logits to check"
"""Why a latency does not count whose artefact's answers nobody has seen."""
WIDEST = 10.0
"""Largest half-width on the log scale: two processes that disagree say nothing, and still in finite numbers."""


@final
@dataclass(frozen=True)
class Timing:
    """Raw times, summarised. Seconds throughout.

    Args:
        p50: Median of the clean runs, of all where fewer than three are clean.
        interval: 95 % interval of the median as a rerun would show it, by :func:`quantile_interval`.
        p90: 90th percentile of all runs, disturbed ones included; ``None`` under 50 runs.
        p90_interval: Its 95 % interval, likewise.
        p99: 99th percentile of all runs; ``None`` under 1000 runs.
        p99_interval: Its 95 % interval.
        clean: Number of clean runs.
        runs: Number of runs.
        samples: The runs that ``p50`` rests on.
        findings: What disturbed it.
    """

    p50: float
    interval: Interval
    p90: float | None
    p90_interval: Interval | None
    p99: float | None
    p99_interval: Interval | None
    clean: int
    runs: int
    samples: tuple[float, ...]
    findings: tuple[Finding, ...]

    @property
    def noisy(self) -> bool:
        """Whether the number should not be relied on."""
        return any(finding.code == "noisy" for finding in self.findings)


def analyse(reading: DeviceReading) -> Timing:
    """Summarise a reading's blocks."""
    blocks = reading.blocks
    wall = np.concatenate([np.asarray(b.wall) for b in blocks])
    keep = clean(blocks, reading.threads)
    enough = int(keep.sum()) >= 3
    used = [np.asarray(b.wall)[part] if enough else np.asarray(b.wall) for b, part in zip(blocks, _split(keep, blocks), strict=True)]
    samples = np.concatenate(used)
    timed = [(b.process, part) for b, part in zip(blocks, used, strict=True) if len(part)]
    whole = [(b.process, np.asarray(b.wall)) for b in blocks]
    p50, p90, p99 = float(np.median(samples)), float(np.percentile(wall, 90)), float(np.percentile(wall, 99))
    tail = len(wall) >= FEWEST_P90, len(wall) >= FEWEST_P99
    findings = [*_disturbances(blocks, reading.threads), *_few(reading, keep)]
    return Timing(
        p50=p50,
        interval=quantile_interval(p50, timed, 50),
        p90=p90 if tail[0] else None,
        p90_interval=quantile_interval(p90, whole, 90) if tail[0] else None,
        p99=p99 if tail[1] else None,
        p99_interval=quantile_interval(p99, whole, 99) if tail[1] else None,
        clean=int(keep.sum()),
        runs=len(wall),
        samples=tuple(samples.tolist()),
        findings=tuple(findings),
    )


def clean(blocks: Sequence[TimingBlock], threads: int) -> NDArray[np.bool_]:
    """Which runs nothing disturbed.

    A run that had to wait for a CPU has less process-CPU time in its wall time than the others. One thread that is never kept waiting uses all of it;
    with more threads, some of which wait for each other by nature, the least waiting quarter of the runs sets the measure.

    Returns:
        Bool ``(n,)`` over the runs of all blocks in order.
    """
    wall = np.concatenate([np.asarray(b.wall) for b in blocks])
    cpu = np.concatenate([np.asarray(b.cpu) for b in blocks])
    if len(cpu) < len(wall) or _risen(blocks, "throttled") > 0:  # no CPU times are told; or a CPU quota makes every run wait, which is no disturbance
        return np.ones(len(wall), np.bool_)
    waiting = 1 - cpu / (threads * wall)
    usual = 0.0 if threads == 1 else float(np.percentile(waiting, 25))
    kept: NDArray[np.bool_] = waiting <= usual + WAITING
    return kept


def noisy(blocks: Sequence[TimingBlock], threads: int) -> bool:
    """Whether too many runs were disturbed: fewer than half of them clean."""
    return not blocks or float(clean(blocks, threads).mean()) < 0.5


def quantile_interval(value: float, blocks: Sequence[tuple[int, NDArray[np.float64]]], percent: float) -> Interval:
    """95 % interval of a quantile, for what a rerun would show: Student's t over processes, and what differs between runs, in quadrature on a log scale.

    Runs within a process are alike in what its start decided (where memory lies, which kernels were chosen) and in the drift of its time, so their number
    says little: the processes are the repeats. Drift that is slower than the whole measurement can't be seen from within, so it is told:
    :data:`BETWEEN_RUNS`. With a single process the blocks are the repeats, and what its start decided is told too: :data:`BETWEEN_PROCESSES`.

    Args:
        value: The quantile over all blocks, above 0.
        blocks: Process and seconds of each block, at least one.
        percent: Which quantile.
    """
    processes = sorted({process for process, _ in blocks})
    if len(processes) > 1:
        parts = [np.concatenate([seconds for process, seconds in blocks if process == p]) for p in processes]
        method, told = f"student-t over {len(parts)} processes, {BETWEEN_RUNS:.0%} between runs", BETWEEN_RUNS
    else:
        parts, told = [seconds for _, seconds in blocks], math.hypot(BETWEEN_PROCESSES, BETWEEN_RUNS)
        method = f"student-t over {len(parts)} blocks in one process, {told:.0%} between processes and runs"
    logs = np.log([np.percentile(part, percent) for part in parts])
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(logs) - 1) * np.std(logs, ddof=1) / len(logs) ** 0.5) if len(logs) > 1 else 0.0
    factor = math.exp(min(math.hypot(half, told), WIDEST))
    return Interval(value / factor, value * factor, method)


def energy(reading: DeviceReading) -> tuple[float, ...]:
    """Joules of one run, one value a block, what the machine draws by itself subtracted; empty without a counter."""
    return tuple(joules for _, joules in energies(reading))


def energy_interval(reading: DeviceReading) -> Interval | None:
    """95 % interval of the mean of :func:`energy`: Student's t over the processes, or over the blocks of a single one; ``None`` for a single value."""
    by_process = energies(reading)
    processes = {process for process, _ in by_process}
    if len(processes) > 1:
        values = [float(np.mean([joules for p, joules in by_process if p == process])) for process in processes]
        interval = student(np.asarray(values), f"student-t over {len(values)} processes")
    elif len(by_process) > 1:
        interval = student(np.asarray([joules for _, joules in by_process]), "student-t over blocks").given("one process")
    else:
        return None
    mean = float(np.mean([joules for _, joules in by_process]))
    return replace(interval, low=min(interval.low, mean), high=max(interval.high, mean))


def energies(reading: DeviceReading) -> list[tuple[int, float]]:
    """Process and joules of one run, of each block."""
    if reading.idle is None:
        return []
    energies = []
    for block in reading.blocks:
        joules = drawn(block.before, block.after)
        if joules is not None:
            energies.append((block.process, (joules - reading.idle * block.seconds) / len(block.wall)))
    return energies


def drawn(before: Mapping[str, float], after: Mapping[str, float]) -> float | None:
    """Joules between two readings of the counters, one start from 0 in between made up for; ``None`` where they don't tell."""
    if "energy" not in before or "energy" not in after:
        return None
    risen = after["energy"] - before["energy"]
    whole = risen if risen >= 0 else risen + after.get("energy_range", 0.0)
    return whole if whole >= 0 else None


def _split(keep: NDArray[np.bool_], blocks: Sequence[TimingBlock]) -> list[NDArray[np.bool_]]:
    return np.split(keep, np.cumsum([len(b.wall) for b in blocks])[:-1])


def _few(reading: DeviceReading, keep: NDArray[np.bool_]) -> Iterator[Finding]:
    runs, kept = len(keep), int(keep.sum())
    if not reading.steady:
        yield Finding("unsteady", "the warm-up did not become steady", "look for a clock that changes or another load")
    if kept < 0.5 * runs:
        again = f", also after {reading.repeated} repeat" if reading.repeated else ""
        yield Finding("noisy", f"only {kept} of {runs} runs were undisturbed{again}", "measure again on a machine that does nothing else")
    elif kept < FEWEST:
        yield Finding("few-runs", f"the median rests on {kept} runs; {FEWEST} are wanted", "allow more time for so slow a model")


def _disturbances(blocks: Sequence[TimingBlock], threads: int) -> Iterator[Finding]:
    seconds = sum(b.seconds for b in blocks)
    others = (_risen(blocks, "busy") - _risen(blocks, "own")) / seconds
    if others > 0.10:
        yield Finding("foreign-load", f"other processes used {others:.2f} of a CPU core meanwhile", "stop them and measure again")
    stolen = _risen(blocks, "steal") / seconds
    if stolen > 0.01:
        yield Finding("steal-time", f"the hypervisor took {100 * stolen:.1f} % of a CPU away", "take a dedicated machine")
    held = _risen(blocks, "throttled") / seconds
    if held > 0:
        yield Finding("cpu-quota", f"a CPU quota held it back for {100 * held:.0f} % of the time", "read it as a figure of that quota")
    if not all(len(b.cpu) for b in blocks):
        yield Finding("no-cpu-times", "the device tells no CPU times, so nobody knows which runs were disturbed", "stop what else runs there")
    switches = _risen(blocks, "involuntary") / seconds
    if switches > 50 * threads and not held:  # a quota that is used up looks like preemption
        yield Finding("preempted", f"it was preempted {switches:.0f} times a second", "stop other processes, or give it cores of its own")
    if _risen(blocks, "throttles") > 0:
        yield Finding("throttled", f"the CPU throttled {_risen(blocks, 'throttles'):.0f} times for heat", "let it cool, or call it a sustained-load figure")
    clocks = [b.after["frequency"] for b in blocks if "frequency" in b.after]
    if clocks and max(clocks) > 1.1 * min(clocks):
        yield Finding("clock-changed", f"the CPU clock went from {max(clocks) / 1e9:.2f} to {min(clocks) / 1e9:.2f} GHz", "fix the frequency governor")


def _risen(blocks: Sequence[TimingBlock], counter: str) -> float:
    """By how much a counter rose within the blocks; 0 where the device does not count it."""
    return sum(b.after[counter] - b.before[counter] for b in blocks if counter in b.before and counter in b.after)


@final
@dataclass(frozen=True)
class ArtefactResult:
    """An artefact on a device.

    Args:
        artefact: What ran.
        reading: Raw; ``None`` when there is a failure.
        timing: Its summary.
        parity: How its answers compare with the checkpoint's; ``None`` where the device hands none back.
        failure: Why there is no reading.
    """

    artefact: Artefact
    reading: DeviceReading | None
    timing: Timing | None
    parity: Parity | None
    failure: Failure | None

    @property
    def rankable(self) -> bool:
        """Whether its latency counts: it was measured, and its answers are known to agree with the checkpoint's."""
        return self.timing is not None and self.parity is not None and self.parity.passed

    @property
    def exclusion_reason(self) -> str:
        """Why its latency does not count; ``""`` when it does."""
        if self.failure is not None:
            return self.failure.message
        return UNCHECKED if self.parity is None else self.parity.reason


def result_of(artefact: Artefact, outcome: DeviceReading | Failure, reference: NDArray[np.float32] | None) -> ArtefactResult:
    """Summarise what a device gave for an artefact.

    Args:
        artefact: What ran.
        outcome: What :meth:`efficient360.deployment.devices.device.Device.measure` yielded for it.
        reference: The checkpoint's logits ``(n, K)`` of the probe images; ``None`` when there is nothing to compare with.
    """
    if isinstance(outcome, Failure):
        return ArtefactResult(artefact, None, None, None, outcome)
    compared = None if reference is None or outcome.logits is None else parity(reference, outcome.logits, artefact.precision)
    return ArtefactResult(artefact, outcome, analyse(outcome), compared, None)
