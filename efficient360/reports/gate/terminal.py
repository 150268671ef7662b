"""A check in the terminal: whether it passed, then each rule, what fails first; readable at 80 columns."""

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from efficient360.core.text import one_line
from efficient360.reports.gate import words
from efficient360.reports.gate.results import Check, RuleResult, State

MARKS: Final = {State.PASSED: ("✓", "green"), State.UNDECIDED: ("?", "yellow"), State.MISSING: ("–", "yellow"), State.FAILED: ("✗", "red")}


def text(result: Check) -> RenderableType:
    """The verdict, every rule with its values, and how it was decided."""
    return Group(_headline(result), *(line for r in words.in_order(result) for line in _lines(r)), *(Text(note, "dim") for note in words.notes(result)))


def summary(result: Check) -> RenderableType:
    """The verdict, and the rules that fail."""
    return Group(_headline(result), *(line for r in words.in_order(result) if r.fails for line in _lines(r)))


def _headline(result: Check) -> Text:
    return Text.assemble((words.headline(result), "bold green" if result.passed else "bold red"), f"\n{one_line(words.against(result))}\n")


def _lines(r: RuleResult) -> Iterator[RenderableType]:
    mark, style = MARKS[State.FAILED if r.fails else r.state]
    yield Text.assemble(
        (mark, style), " ", (one_line(r.rule.title), "bold" if r.fails else ""), ("" if r.state in (State.PASSED, State.FAILED) else f"  {r.state}", style)
    )
    yield Padding(Text(one_line(words.sentence(r)), "" if r.fails else "dim"), (0, 0, 0, 4))
    if r.fails and r.rule.why:
        yield Padding(Text(one_line(r.rule.why)), (0, 0, 0, 4))
