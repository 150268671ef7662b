"""A search's result in the terminal: at most forty lines."""

from collections.abc import Iterator
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from efficient360.codesign import telling
from efficient360.codesign.result import SearchResult
from efficient360.codesign.trial import State
from efficient360.codesign.words import goal_text, measured_text
from efficient360.core import formatting
from efficient360.core.text import one_line
from efficient360.reports.names import title
from efficient360.reports.terminal_lines import indented

_FRONT: Final = 6
_REASONS: Final = 3
_STYLES: Final = {"met": "green", "missed": "red", "undecided": "yellow", "not measured": "yellow"}
_LINE: Final = 300


def summary(result: SearchResult, name: str) -> Iterator[RenderableType]:
    """The verdict, the goals one by one, the front, and what stands in the way where nothing meets them.

    Args:
        result: What was found.
        name: Of the checkpoint.
    """
    yield Text.assemble("\n", (one_line(name), "bold"), (f"  {telling.counts(result)}; ended as {telling.ENDS[result.end]}", "dim"))
    yield Text.assemble("\n", (one_line(telling.headline(result), _LINE), "bold"))
    shown = result.winner if result.winner is not None else next(iter(result.misses), None)
    yield from _goals(result, shown)
    yield from _relaxations(result)
    yield from _misses(result)
    yield from _front(result)
    yield from _failures(result)
    yield Text(f"\n{telling.pace(result)}", style="dim")


def _goals(result: SearchResult, number: int | None) -> Iterator[RenderableType]:
    if number is None:
        yield from (indented(Text(goal_text(goal))) for goal in result.goals)
        return
    rows = telling.goal_rows(result, number)
    width = max(len(row.goal) for row in rows)
    for row in rows:
        beside = f"  ({result.baselines[0].name}: {one_line(row.baselines[0])})" if row.baselines else ""
        yield indented(Text.assemble(f"{row.goal:<{width}}  ", (f"{row.verdict:<9}", _STYLES[row.verdict]), f" {row.value}", (beside, "dim")))
    confirmed = telling.confirmed_of(result, number)
    if confirmed is not None:
        told = [f"{telling.speedup_text(speedup)} as fast as {one_line(name)}" for name, speedup in confirmed.speedups.items()]
        yield from (indented(Text(line)) for line in told[:3])


def _relaxations(result: SearchResult) -> Iterator[RenderableType]:
    if result.winner is None and result.binding is not None:
        yield Text(f"\nWhat stands in the way: {goal_text(result.binding)}", style="bold")
        yield from (indented(Text(one_line(telling.relaxation_text(result, relaxation), _LINE))) for relaxation in result.relaxations[:5])


def _misses(result: SearchResult) -> Iterator[RenderableType]:
    if result.misses:
        yield Text("\nNearest misses, measured again", style="bold")
    for rank, number in enumerate(result.misses, 1):
        yield indented(Text(one_line(f"{rank}. {telling.name_of(result, number)}: {telling.missed_text(result, number)}", _LINE)))


def _front(result: SearchResult) -> Iterator[RenderableType]:
    cost, quality = result.objectives
    if not result.front:
        return
    yield Text(f"\nFront of {title(cost.name)} and {title(quality.name)}", style="bold")
    for number in result.front[:_FRONT]:
        measured = result.trials[number].measured
        mark = "→" if number == result.winner else " "
        told = f"{mark} {measured_text(measured, cost)}  {measured_text(measured, quality)}  {one_line(telling.name_of(result, number))}"
        yield indented(Text(told, no_wrap=True, overflow="ellipsis"))
    if len(result.front) > _FRONT:
        yield indented(Text(f"and {len(result.front) - _FRONT} more on the page", style="dim"))


def _failures(result: SearchResult) -> Iterator[RenderableType]:
    failed = [trial for trial in result.trials if trial.state is State.FAILED]
    if not failed:
        return
    yield Text(f"\n{formatting.counted(len(failed), 'candidate')} failed", style="bold")
    reasons = dict.fromkeys(trial.reason for trial in failed)
    counted = sorted(((sum(t.reason == reason for t in failed), reason) for reason in reasons), key=lambda item: -item[0])
    yield from (indented(Text(f"{n} × {one_line(reason, 150)}", style="dim")) for n, reason in counted[:_REASONS])
