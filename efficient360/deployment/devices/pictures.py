"""What a report draws of a device: times by runtime, the whole table, what disturbed them, the device itself."""

from collections.abc import Iterator, Sequence

from efficient360.core.figures import Bars, Curve, Figure, Series, Table
from efficient360.core.formatting import number, scaled, significant
from efficient360.deployment.devices.cell import Cell
from efficient360.deployment.devices.device import Facts
from efficient360.deployment.devices.metrics import P50


def figures(cells: Sequence[Cell], device: Facts) -> tuple[Figure, ...]:
    """Bars of the median by runtime, raw times in order, the table of all cells, findings, the device."""
    single = [cell for cell in cells if cell.artefact.batch == 1]
    return tuple(figure for figure in (*_bars(single), *_trace(single), _table(cells), *_findings(cells), _device(device)) if figure is not None)


def _ranked(cells: Sequence[Cell]) -> list[Cell]:
    return sorted((cell for cell in cells if cell.counts), key=lambda cell: cell.timing.p50 if cell.timing else 0.0)


def _bars(cells: Sequence[Cell]) -> Iterator[Figure]:
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


def _trace(cells: Sequence[Cell]) -> Iterator[Figure]:
    """Block medians in the order they were taken: drift shows as a slope that all share."""
    series = []
    for cell in _ranked(cells):
        assert cell.reading is not None
        medians = [sorted(block.wall)[len(block.wall) // 2] for block in cell.reading.blocks]
        series.append(Series(cell.artefact.label, tuple(float(i) for i in range(1, len(medians) + 1)), tuple(1e3 * m for m in medians)))
    if series:
        yield Curve("Median of each block, in the order taken", "block", "ms", tuple(series), y_log=True)


def _table(cells: Sequence[Cell]) -> Figure:
    columns = ("Runtime", "Version", "Batch", "Threads", "p50", "Clean runs", "Load + first", "Memory", "Artefact", "Logits off by", "Verdict")
    return Table("Every artefact", columns, tuple(_row(cell) for cell in cells))


def _row(cell: Cell) -> tuple[str | int | float, ...]:
    artefact, reading, timing = cell.artefact, cell.reading, cell.timing
    size = scaled(artefact.bytes, "B")
    if reading is None or timing is None:
        why = cell.failure.message if cell.failure is not None else ""
        return (artefact.label, "", artefact.batch, "", "", "", "", "", size, "", why)
    cold = scaled(reading.cold[0].load + reading.cold[0].first, "s") if reading.cold else ""
    parity = cell.parity
    difference = f"{significant(100 * parity.relative, 2)} %" if parity is not None else "not compared"
    verdict = "counts" if cell.counts else f"left out: {parity.reason}" if parity is not None else ""
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


def _findings(cells: Sequence[Cell]) -> Iterator[Figure]:
    rows = tuple(
        (f"{cell.artefact.label}, batch {cell.artefact.batch}", finding.message, finding.advice)
        for cell in cells
        if cell.timing is not None
        for finding in cell.timing.findings
    )
    if rows:
        yield Table("What disturbed the measurement", ("Artefact", "Seen", "Advice"), rows)


def _device(device: Facts) -> Figure:
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
