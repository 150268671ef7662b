"""Latency in numbers and figures: metrics, the measurements of an artefact, and what the report draws."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from efficient360.core.figures import Bars, Curve, Figure, Series, Table
from efficient360.core.findings import disturbances_table
from efficient360.core.formatting import number, scaled, significant
from efficient360.core.measurement import BYTE, JOULE, ONE, SECOND, Better, Conditions, Failure, Measurement, Metric, Outcome, Status, Unit
from efficient360.core.statistics import bootstrap_mean, value_range, wilson
from efficient360.deployment.devices.device import DeviceDescription, DeviceReading
from efficient360.deployment.devices.timing import ArtefactResult, Timing, energy, energy_interval
from efficient360.deployment.runtimes.parity import Parity
from efficient360.deployment.runtimes.runtime import Precision

PER_SECOND = Unit("image/s")
BEST = Metric(
    "best_latency",
    SECOND,
    Better.LOWER,
    "Median time of one image, one at a time, in the fastest runtime whose answers agree with the checkpoint's.",
    low=0,
)
P50 = Metric("latency_p50", SECOND, Better.LOWER, "Median wall-clock time of one image over undisturbed runs, in processes of its own after warm-up.", low=0)
P90 = Metric("latency_p90", SECOND, Better.LOWER, "90th percentile over all runs of one image, disturbed ones included.", low=0)
P99 = Metric("latency_p99", SECOND, Better.LOWER, "99th percentile over all runs of one image, disturbed ones included; told from 1,000 runs on.", low=0)
THROUGHPUT = Metric("throughput", PER_SECOND, Better.HIGHER, "Images a second at this batch size: batch over median time of a call.", low=0)
BEST_THROUGHPUT = Metric(
    "best_throughput",
    PER_SECOND,
    Better.HIGHER,
    "Images a second in the runtime and at the batch size, among those measured, that give most.",
    low=0,
)
COLD_START = Metric("cold_start", SECOND, Better.LOWER, "Loading the artefact and the first inference in a fresh process, the runtime already imported.", low=0)
RUNTIME_MEMORY = Metric(
    "runtime_memory", BYTE, Better.LOWER, "Peak resident memory of a process that runs the artefact, Python and runtime included; the median of several.", low=0
)
ARTEFACT_BYTES = Metric("artefact_bytes", BYTE, Better.LOWER, "Size of the files that a device needs to run it.", low=0)
LOGIT_DIFFERENCE = Metric(
    "logit_difference",
    ONE,
    Better.LOWER,
    "Mean absolute difference of the artefact's logits from the checkpoint's, as a share of their spread.",
    low=0,
)
AGREEMENT = Metric("top1_agreement", ONE, Better.HIGHER, "Share of probe images for which artefact and checkpoint name the same class.", low=0, high=1)
ENERGY = Metric("energy_per_image", JOULE, Better.LOWER, "Energy of one image from a hardware counter, what the machine draws at rest subtracted.")


def conditions(runtime: str, precision: Precision, device: str, batch: int) -> Conditions:
    """Conditions of one cell."""
    return {"runtime": Path(runtime).stem, "precision": precision.value, "device": device, "batch": batch}


def outcomes(cell: ArtefactResult, device: str) -> Iterator[Outcome]:
    """Everything told of one cell; the one Failure that says why where it has no latency that counts."""
    artefact = cell.artefact
    where = conditions(artefact.runtime, artefact.precision, device, artefact.batch)
    main = P50 if artefact.batch == 1 else THROUGHPUT
    if cell.failure is not None:
        yield replace(cell.failure, metric=main, conditions=where)
    if cell.timing is None or cell.reading is None:
        return
    if cell.parity is not None and not cell.parity.passed:
        hint = "its time is left out: a wrong answer's speed says nothing"
        yield Failure(Status.FAILED, "parity", f"the artefact does not answer as the checkpoint does: {cell.parity.reason}", hint, main, where)
        yield from _answers(cell.parity, where)
        return
    yield from _times(cell.timing, artefact.batch, where)
    if cell.parity is not None:
        yield from _answers(cell.parity, where)
    if artefact.batch == 1:
        yield Measurement(ARTEFACT_BYTES, artefact.bytes, conditions=where)
        yield from _process(cell.reading, where)


def _answers(parity: Parity, where: Conditions) -> Iterator[Outcome]:
    if parity.per_image:
        yield Measurement(LOGIT_DIFFERENCE, parity.relative, parity.images, bootstrap_mean(np.asarray(parity.per_image), 0), where)
        same = round(parity.agreement * parity.images)
        yield Measurement(AGREEMENT, parity.agreement, parity.images, wilson(same, parity.images), where)


def _times(timing: Timing, batch: int, where: Conditions) -> Iterator[Outcome]:
    if batch == 1:
        yield Measurement(P50, timing.p50, len(timing.samples), timing.interval, where, tuple(round(s, 10) for s in timing.samples))
        if timing.p90 is not None:
            yield Measurement(P90, timing.p90, timing.runs, timing.p90_interval, where)
        if timing.p99 is not None:
            yield Measurement(P99, timing.p99, timing.runs, timing.p99_interval, where)
    interval = replace(timing.interval, low=batch / timing.interval.high, high=batch / timing.interval.low)
    yield Measurement(THROUGHPUT, batch / timing.p50, len(timing.samples), interval, where)


def _process(reading: DeviceReading, where: Conditions) -> Iterator[Outcome]:
    if reading.cold:
        starts = tuple(cold.load + cold.first for cold in reading.cold)
        yield Measurement(COLD_START, statistics.median(starts), len(starts), value_range(starts), where, starts, repeatable=False)
    if reading.memory:
        peaks = tuple(map(float, reading.memories)) or (float(reading.memory),)
        yield Measurement(RUNTIME_MEMORY, reading.memory, len(peaks), value_range(peaks), where, peaks, repeatable=False)
    joules = energy(reading)
    if joules:
        yield Measurement(ENERGY, sum(joules) / len(joules), len(joules), energy_interval(reading), where, tuple(joules), repeatable=False)


def no_energy(device: str) -> Failure:
    """That a device counts no energy."""
    message = "this device has no energy counter that can be read, and energy is not estimated"
    hint = "run on a machine whose counters can be read: RAPL (as root), NVML, Jetson rails"
    return Failure(Status.UNSUPPORTED, "no-energy-counter", message, hint, ENERGY, {"device": device})


def figures(cells: Sequence[ArtefactResult], device: DeviceDescription) -> tuple[Figure, ...]:
    """Bars of the median by runtime, raw times in order, the table of all cells, findings, the device."""
    single = [cell for cell in cells if cell.artefact.batch == 1]
    return tuple(figure for figure in (*_bars(single), *_trace(single), _table(cells), *_findings(cells), _device(device)) if figure is not None)


def _ranked(cells: Sequence[ArtefactResult]) -> list[ArtefactResult]:
    return sorted((cell for cell in cells if cell.rankable), key=lambda cell: cell.timing.p50 if cell.timing else 0.0)


def _bars(cells: Sequence[ArtefactResult]) -> Iterator[Figure]:
    ranked = _ranked(cells)
    timings = [cell.timing for cell in ranked if cell.timing is not None]
    if timings:
        yield Bars(
            "Median time of one image by runtime",
            "",
            "ms",
            tuple(cell.artefact.label for cell in ranked),
            tuple(1e3 * t.p50 for t in timings),
            tuple(1e3 * t.interval.low for t in timings),
            tuple(1e3 * t.interval.high for t in timings),
        )


def _trace(cells: Sequence[ArtefactResult]) -> Iterator[Figure]:
    """Block medians in the order they were taken: drift shows as a slope that all share."""
    series = []
    for cell in _ranked(cells):
        blocks = () if cell.reading is None else cell.reading.blocks
        medians = [sorted(block.wall)[len(block.wall) // 2] for block in blocks]
        series.append(Series(cell.artefact.label, tuple(float(i) for i in range(1, len(medians) + 1)), tuple(1e3 * m for m in medians)))
    if series:
        yield Curve("Median of each block, in the order taken", "block", "ms", tuple(series), y_log=True)


def _table(cells: Sequence[ArtefactResult]) -> Figure:
    columns = ("Runtime", "Version", "Batch", "Threads", "p50", "Clean runs", "Load + first", "Memory", "Artefact", "Logits off by", "Verdict")
    return Table("Every artefact", columns, tuple(_row(cell) for cell in cells))


def _row(cell: ArtefactResult) -> tuple[str | int | float, ...]:
    artefact, reading, timing = cell.artefact, cell.reading, cell.timing
    size = scaled(artefact.bytes, "B")
    if reading is None or timing is None:
        why = cell.failure.message if cell.failure is not None else ""
        return (artefact.label, "", artefact.batch, "", "", "", "", "", size, "", why)
    cold = scaled(reading.cold[0].load + reading.cold[0].first, "s") if reading.cold else ""
    parity = cell.parity
    difference = f"{significant(100 * parity.relative, 2)} %" if parity is not None else "not compared"
    verdict = "counts" if cell.rankable else f"left out: {cell.exclusion_reason}"
    return (
        artefact.label,
        reading.version,
        artefact.batch,
        reading.threads,
        number(timing.p50, P50),
        f"{timing.clean} of {timing.runs}",
        cold,
        scaled(reading.memory, "B") if reading.memory else "",
        size,
        difference,
        verdict,
    )


def _findings(cells: Sequence[ArtefactResult]) -> Iterator[Figure]:
    disturbed = [
        (f"{cell.artefact.label}, batch {cell.artefact.batch}", finding) for cell in cells if cell.timing is not None for finding in cell.timing.findings
    ]
    if disturbed:
        yield disturbances_table(disturbed)


def _device(device: DeviceDescription) -> Figure:
    rows: list[tuple[str, str]] = [
        ("Device", device.name),
        ("CPU", device.cpu),
        ("Architecture", f"{device.architecture}, {', '.join(device.isa) or 'no vector extension known'}"),
        ("Cores", str(device.cores)),
        ("Memory", scaled(device.memory, "B")),
        ("System", device.os),
    ]
    if device.emulated:
        rows.append(("Emulated", device.emulated))
    return Table("The device", ("", ""), tuple(rows))
