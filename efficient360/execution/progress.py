"""Progress as a person wants to see it: bars with time left on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TextIO, final

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from efficient360.core import formatting
from efficient360.core.measurement import Failure
from efficient360.core.terminal import Terminal, console
from efficient360.core.text import one_line
from efficient360.execution.events import Event, Finished, Found, Importing, Opened, Progress, Started
from efficient360.storage.outcomes import OUTCOMES

Listener = Callable[[Event], None]
_QUIET_SECONDS = 10.0
_TELLING_STEPS, _TELLING_SHARE = 2, 0.05
"""Steps after the first, and share of all, from which the time left is told: the first step loads, converts and warms up, and says little of the others."""


@contextlib.contextmanager
def listener(stream: TextIO | Terminal) -> Iterator[Listener]:
    """Something that shows events on a stream."""
    out = console(stream)
    if not out.is_terminal:
        yield _Lines(stream if isinstance(stream, Terminal) else Terminal(stream)).show
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=out, transient=True) as bars:
        bars.add_task("opening checkpoint and data", total=None)
        yield _Live(bars).show


def lines(stream: Terminal) -> Listener:
    """Something that writes events as plain lines, as to a file."""
    return _Lines(stream).show


def unreadable_lines(count: int, file: str = OUTCOMES) -> str:
    """A warning that some lines of a run's outcomes can't be read.

    Args:
        count: Number of such lines, at least 1.
        file: Name of the file.
    """
    return f"{formatting.count(count)} lines of {file} can't be read and are left out" if count > 1 else f"1 line of {file} can't be read and is left out"


def _opened(event: Opened) -> str:
    checkpoint, data = event.header["checkpoint"], event.header["dataset"]
    on = "without data" if data is None else f"on {formatting.count(data['examples'])} examples of {data['name']} {data['split']}"
    unreadable = f"\n{unreadable_lines(event.corrupt)}" if event.corrupt else ""
    return one_line(f"{checkpoint['name']} ({checkpoint['architecture']}, {checkpoint['digest'][:12]}) {on}") + unreadable


def _finished(event: Finished) -> str:
    failures = [r.outcome for r in event.records if isinstance(r.outcome, Failure)]
    if event.cached:
        return f"{event.evaluator}: stored by an earlier run"
    took = formatting.duration(event.records[0].seconds)
    if len(failures) == len(event.records):
        return f"{event.evaluator}: {failures[0].status} ({one_line(failures[0].message)})"
    return f"{event.evaluator}: {took}"


@final
@dataclass
class _Lines:
    """Plain lines, one a step, and a sign of life every ten seconds."""

    stream: Terminal
    last_line: float = field(default_factory=time.monotonic)
    work: str = ""
    opened: bool = False
    steady: tuple[float, int] | None = None
    """When the first step was done, and how many steps that were."""

    def show(self, event: Event) -> None:
        """Print a line where the event deserves one."""
        if isinstance(event, Opened) and not self.opened:
            self.opened = True
            self._say(_opened(event))
        elif isinstance(event, Finished):
            self._say(_finished(event))
        elif isinstance(event, Progress):
            self._progress(event)

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        if event.work != self.work:
            self.work, self.last_line, self.steady = event.work, now, None
            return
        left = self._left(now, event)
        if event.done and self.steady is None:
            self.steady = now, event.done
        if now - self.last_line >= _QUIET_SECONDS and event.done:
            self.last_line = now
            self._say(f"{event.work}: {event.done}/{event.total}" + (f", about {formatting.duration(left)} left" if left is not None else ""))

    def _left(self, now: float, event: Progress) -> float | None:
        """Seconds left at the pace since the first step; ``None`` while too few steps tell it."""
        if self.steady is None:
            return None
        since, before = self.steady
        steps = event.done - before
        if steps < max(_TELLING_STEPS, _TELLING_SHARE * event.total):
            return None
        return (now - since) / steps * (event.total - event.done)

    def _say(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()


@final
@dataclass
class _Live:
    """A bar for the evaluators and one for the work in hand."""

    bars: Bars
    work: str = ""
    opened: bool = False

    def show(self, event: Event) -> None:
        """Move the bars."""
        tasks = self.bars.task_ids
        if isinstance(event, Opened):
            if not self.opened:
                self.opened = True
                self.bars.console.print(_opened(event), highlight=False, markup=False)
            self.bars.update(tasks[0], description="evaluators", total=len(event.keys))
        elif isinstance(event, Started):
            self.bars.update(tasks[0], description=f"evaluators: {event.evaluator}", total=event.total, completed=event.index)
        elif isinstance(event, Finished):
            self.bars.console.print("  " + _finished(event), highlight=False, markup=False)
            self._forget()
            self.bars.advance(tasks[0])
        elif isinstance(event, Importing):
            self._forget()
        elif isinstance(event, Found):
            pass  # the summary begins with them
        elif event.work == self.work and len(tasks) > 1:
            self.bars.update(tasks[1], completed=event.done)
        else:
            self._forget()
            self.work = event.work
            self.bars.add_task(f"  {event.work}", total=event.total, completed=event.done)

    def _forget(self) -> None:
        for task in self.bars.task_ids[1:]:
            self.bars.remove_task(task)
