"""What the page shows, as one HTML file without scripts and as Markdown; every name is escaped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from efficient360.benchmark import scatter
from efficient360.benchmark.board import DeviceBoard, coverage, disturbances
from efficient360.benchmark.comparison_tables import (
    coverage_table,
    device_agreement_table,
    fastest_runtime_table,
    precision_gain_table,
    relative_speed_table,
    repeatability_table,
)
from efficient360.benchmark.ranking import fragmentation
from efficient360.benchmark.tables import BenchmarkTable, CellStyle, TableCell, column, costs_table, latency_table, matched_pairs_table, utilisation_table
from efficient360.benchmark.utilisation import matmul_peak
from efficient360.core import formatting
from efficient360.core.text import shown
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.reports import page as report_page


@final
@dataclass(frozen=True)
class HeadlineFigure:
    """One headline figure."""

    title: str
    value: str
    detail: str


@final
@dataclass(frozen=True)
class Exclusion:
    """Cells of a model without a valid result, and why; devices with the same reason are listed together."""

    model: str
    column: str
    where: str
    text: str
    hint: str


def headlines(board: DeviceBoard) -> list[HeadlineFigure]:
    """The figures at the top, of one device."""
    whole, fragment, top = coverage(board), fragmentation(board, Precision.FP32), matmul_peak(board)
    figures = [HeadlineFigure("Valid results", f"{100 * whole.counted / max(whole.cells, 1):.0f} %", f"{whole.counted} of {whole.cells}")]
    if fragment is not None:
        best, wins = next(iter(fragment.wins.items()))
        figures += [
            HeadlineFigure("Most wins", column(board, best), f"fastest for {wins} of {fragment.models} models"),
            HeadlineFigure("Runtimes with a win", str(len(fragment.wins)), f"{sum(fragment.clear.values())} of {fragment.models} wins clear"),
            HeadlineFigure("Slowest / fastest", f"{fragment.spread:.1f}×", "geometric mean over models"),
        ]
    if top is not None:
        figures.append(HeadlineFigure("Peak matrix-product speed", formatting.scaled(top.speed, "MAC/s"), f"in {top.label}"))
    return figures


def comparison_tables(boards: Sequence[DeviceBoard]) -> list[BenchmarkTable]:
    """The tables over all devices."""
    tables = [
        fastest_runtime_table(boards),
        relative_speed_table(boards),
        precision_gain_table(boards),
        device_agreement_table(boards),
        coverage_table(boards),
        repeatability_table(boards),
    ]
    return [table for table in tables if table is not None]


def device_tables(board: DeviceBoard) -> list[BenchmarkTable]:
    """The tables of one device."""
    return [table for table in (utilisation_table(board), matched_pairs_table(board), costs_table(board)) if table is not None]


def latency_tables(boards: Sequence[DeviceBoard]) -> list[BenchmarkTable]:
    """The matrix of each board."""
    return [latency_table(board) for board in boards]


def exclusions(boards: Sequence[DeviceBoard]) -> list[Exclusion]:
    """Why cells are missing or excluded, in the order of models and columns."""
    grouped: dict[tuple[str, str, str, str], list[str]] = {}
    for board in boards:
        for model in board.models:
            for label in board.labels:
                cell = board.cells.get((model.name, label))
                if cell is not None and cell.rankable is None:
                    hint = "" if cell.gap is None else cell.gap.hint
                    grouped.setdefault((model.name, column(board, label), cell.exclusion_reason, hint), []).append(board.name)
    names = [board.name for board in boards]
    return [
        Exclusion(model, head, "everywhere" if where == names and len(names) > 1 else ", ".join(where), text, hint)
        for (model, head, text, hint), where in grouped.items()
    ]


def provenance(boards: Sequence[DeviceBoard]) -> list[tuple[str, Mapping[str, Any]]]:
    """What the numbers depend on: titled sections."""
    sections: list[tuple[str, Mapping[str, Any]]] = []
    for board in boards:
        device = board.device
        cells = list(board.cells.values())
        facts = {
            "cpu": device.cpu,
            "architecture": device.architecture,
            "os": device.os,
            "cores": device.cores,
            "memory": formatting.scaled(device.memory, "B"),
            "instruction_sets": list(device.isa),
            "emulated": device.emulated or "no",
            "threads": board.threads,
            "batch": board.batch,
        }
        sections.append((f"Device {board.name}", facts))
        sections.append((f"Disturbances on {board.name}", {code: f"{n} of {len(cells)} cells" for code, n in disturbances(board).items()} or {"cells": "none"}))
    cells = [cell for board in boards for cell in board.cells.values()]
    sections.append(("Runtimes", {cell.target.runtime: cell.target.version or "not on the device" for cell in cells}))
    sections.append(("Weights", {cell.model.name: cell.model.weights for cell in cells}))
    newest = max(cells, key=lambda cell: cell.created)
    schedule = newest.schedule
    sections.append(
        (
            "Schedule",
            {
                "timed_runs_at_least": schedule.runs,
                "timed_seconds_at_least": schedule.seconds,
                "blocks_that_take_turns": schedule.blocks,
                "seconds_after_which_a_slow_model_stops": schedule.most,
                "warm_up_runs_at_least": schedule.warm_runs,
                "first_cell": min(c.created for c in cells),
                "last_cell": newest.created,
            },
        )
    )
    return sections


PACKAGE = "efficient360.benchmark"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render_html(boards: Sequence[DeviceBoard]) -> str:
    """The page over boards, at least one."""
    weights = {cell.model.weights for board in boards for cell in board.cells.values()}
    return (
        report_page.environment(PACKAGE)
        .get_template("matrix.html.j2")
        .render(
            boards=boards,
            headlines=headlines(boards[0]),
            latency_tables=list(zip(boards, latency_tables(boards), strict=True)),
            comparison_tables=comparison_tables(boards),
            devices=[(board, device_tables(board), scatter.scatters(board)) for board in boards],
            frame={
                "width": scatter.WIDTH,
                "height": scatter.HEIGHT,
                "left": scatter.LEFT,
                "right": scatter.RIGHT,
                "top": scatter.TOP,
                "bottom": scatter.BOTTOM,
            },
            exclusions=exclusions(boards),
            provenance=[(title, report_page.rows(part)) for title, part in provenance(boards)],
            random=any(source != "trained" for source in weights),
            style=CellStyle,
            policy=POLICY,
        )
    )


HOSTILE = str.maketrans({"|": r"\|", "<": "&lt;", ">": "&gt;", "`": "'", "*": r"\*", "[": r"\[", "]": r"\]", "\n": " ", "\r": " "})


def render_markdown(boards: Sequence[DeviceBoard]) -> str:
    """All tables of the page."""
    parts = ["# " + escape_markdown(f"Latency of {len(boards[0].models)} models on {', '.join(board.name for board in boards)}")]
    parts.append(
        "\n".join(
            f"- {escape_markdown(figure.title)}: **{escape_markdown(figure.value)}** ({escape_markdown(figure.detail)})" for figure in headlines(boards[0])
        )
    )
    parts += [
        _markdown_table(table)
        for table in (*latency_tables(boards), *comparison_tables(boards), *(table for board in boards for table in device_tables(board)))
    ]
    if excluded := exclusions(boards):
        parts.append(
            "## Missing and excluded results\n\n"
            + "\n".join(
                f"- {escape_markdown(reason.model)}, {escape_markdown(reason.column)} ({escape_markdown(reason.where)}): {escape_markdown(reason.text)}"
                for reason in excluded
            )
        )
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: str) -> str:
    """Text that no Markdown reader takes for markup."""
    return shown(text).translate(HOSTILE)


def _markdown_table(table: BenchmarkTable) -> str:
    lines = [f"## {escape_markdown(table.title)}", "", escape_markdown(table.note), ""]
    lines += [_markdown_row([escape_markdown(head) for head in table.head]), _markdown_row(["---", *["---:"] * (len(table.head) - 1)])]
    lines += [_markdown_row([_markdown_cell(cell) for cell in row]) for row in table.rows]
    return "\n".join(lines)


def _markdown_row(parts: Sequence[str]) -> str:
    return "| " + " | ".join(parts) + " |"


def _markdown_cell(cell: TableCell) -> str:
    text = f"**{escape_markdown(cell.text)}**" if cell.style is CellStyle.BEST else escape_markdown(cell.text)
    return f"{text} ({escape_markdown(cell.detail)})" if cell.detail else text
