"""The matrix as Markdown, for a README or a terminal."""

from collections.abc import Sequence

from efficient360.benchmark.board import Board
from efficient360.benchmark.sheet import Box, Kind, Sheet
from efficient360.benchmark.view import device_sheets, headlines, matrices, reasons, sheets

HOSTILE = str.maketrans({"|": r"\|", "<": "&lt;", ">": "&gt;", "`": "'", "*": r"\*", "[": r"\[", "]": r"\]", "\n": " ", "\r": " "})


def render(boards: Sequence[Board]) -> str:
    """All tables of the page."""
    parts = ["# " + plain(f"Latency of {len(boards[0].models)} models on {', '.join(board.name for board in boards)}")]
    parts.append("\n".join(f"- {plain(one.title)}: **{plain(one.value)}** ({plain(one.detail)})" for one in headlines(boards[0])))
    parts += [_table(sheet) for sheet in (*matrices(boards), *sheets(boards), *(sheet for board in boards for sheet in device_sheets(board)))]
    if found := reasons(boards):
        parts.append(
            "## What has no number or does not count\n\n"
            + "\n".join(f"- {plain(reason.model)}, {plain(reason.column)} ({plain(reason.where)}): {plain(reason.text)}" for reason in found)
        )
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Text that no Markdown reader takes for markup."""
    return text.translate(HOSTILE)


def _table(sheet: Sheet) -> str:
    lines = [f"## {plain(sheet.title)}", "", plain(sheet.note), ""]
    lines += [_line([plain(head) for head in sheet.head]), _line(["---", *["---:"] * (len(sheet.head) - 1)])]
    lines += [_line([_box(box) for box in row]) for row in sheet.rows]
    return "\n".join(lines)


def _line(parts: Sequence[str]) -> str:
    return "| " + " | ".join(parts) + " |"


def _box(box: Box) -> str:
    text = f"**{plain(box.text)}**" if box.kind is Kind.BEST else plain(box.text)
    return f"{text} ({plain(box.detail)})" if box.detail else text
