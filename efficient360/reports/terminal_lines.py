"""Lines that a run's result and the listing of all its metrics share in the terminal."""

from collections.abc import Iterator
from typing import Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from efficient360.core.text import one_line
from efficient360.reports.html import facts
from efficient360.reports.report import Axis, Report

_BAR: Final = 10
_BLOCK: Final = "\u2588"
"""Columns that a score of 1 fills, and the character that fills them."""


def heading(report: Report, room: int | None = None) -> Iterator[Text]:
    """The checkpoint's name, and what it is and was measured on.

    Args:
        report: The run's report.
        room: Most characters of the name and of each fact; as many as they have by default.
    """
    yield Text.assemble("\n", (one_line(report.name, room), "bold"))
    yield Text(" · ".join(one_line(fact, room) for fact in facts(report)), style="dim")


def unfinished(report: Report) -> Iterator[Text]:
    """That the run is incomplete, where it is."""
    if report.state == "incomplete":
        yield Text("This run is incomplete. Run the same command again to resume it.", style="yellow")


def axis_line(axis: Axis, width: int, told: str) -> Text:
    """An axis in one line, truncated to the terminal's width.

    Args:
        axis: The axis.
        width: Columns of its title.
        told: What stands behind its score: a value, or why there is none.
    """
    return Text.assemble(
        f"{one_line(axis.dimension.title):<{width}}  ",
        (f"{axis.score_text or '–':>6}", "bold"),
        (f"  {_BLOCK * round(_BAR * (axis.score or 0.0)):<{_BAR}}  ", "cyan"),
        (one_line(told), "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def indented(block: RenderableType) -> Padding:
    """A block two columns to the right."""
    return Padding(block, (0, 0, 0, 2), expand=False)
