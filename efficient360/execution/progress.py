"""Progress as a person wants to see it: what takes how long, and how long it all still takes; bars on a terminal, plain lines elsewhere."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TextIO, final

from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from efficient360.core import formatting
from efficient360.core.measurement import Failure
from efficient360.core.terminal import Terminal, console
from efficient360.core.text import one_line
from efficient360.execution.events import Event, Finished, Found, Importing, Opened, Progress, Started
from efficient360.execution.forecast import Forecast
from efficient360.storage.outcomes import OUTCOMES

Listener = Callable[[Event], None]
_QUIET_SECONDS = 10.0


@contextlib.contextmanager
def listener(stream: TextIO | Terminal) -> Iterator[Listener]:
    """Something that shows events on a stream."""
    out = console(stream)
    if not out.is_terminal:
        yield lines(stream if isinstance(stream, Terminal) else Terminal(stream))
        return
    forecast = Forecast()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), TextColumn("{task.fields[steps]}", markup=False), _Clock(forecast))
    with Bars(*columns, console=out, transient=True) as bars:
        bars.add_task("opening checkpoint and data", total=None, steps="", whole=True)
        yield _Live(bars, forecast).show


def lines(stream: Terminal) -> Listener:
    """Something that writes events as plain lines, as to a file."""
    return _Lines(stream).show


def times(forecast: Forecast) -> str:
    """What a forecast says: ``elapsed 0:58 · about 2 min left``."""
    left, unknown = forecast.left(), forecast.unknown
    if left is None:
        still = "estimating the time left"
    else:
        still = f"{formatting.rough_duration(left)} left"
        still += f", and {unknown} evaluator{'s' if unknown > 1 else ''} of unknown cost" if unknown else ""
    return f"elapsed {formatting.clock(forecast.elapsed)} · {still}"


def beginning(forecast: Forecast) -> str:
    """What a forecast says of a run that is about to start: ``21 evaluators, about 4 min``; empty where it has nothing to say."""
    left, unknown = forecast.left(), forecast.unknown
    if left is None or forecast.planned == 0:
        return ""
    rest = f", and {unknown} of unknown cost" if unknown else ""
    return f"{forecast.planned} evaluator{'s' if forecast.planned > 1 else ''} to run: {formatting.rough_duration(left)}{rest}"


def unreadable_lines(count: int, file: str = OUTCOMES) -> str:
    """A warning that some lines of a run's outcomes can't be read.

    Args:
        count: Number of such lines, at least 1.
        file: Name of the file.
    """
    return f"{formatting.count(count)} lines of {file} can't be read and are left out" if count > 1 else f"1 line of {file} can't be read and is left out"


def _opened(event: Opened, forecast: Forecast) -> str:
    """What is evaluated on what, and what the forecast says of it: a line each."""
    checkpoint, data = event.header["checkpoint"], event.header["dataset"]
    on = "without data" if data is None else f"on {formatting.count(data['examples'])} examples of {data['name']} {data['split']}"
    what = one_line(f"{checkpoint['name']} ({checkpoint['architecture']}, {checkpoint['digest'][:12]}) {on}")
    return "\n".join(filter(None, (what, unreadable_lines(event.corrupt) if event.corrupt else "", beginning(forecast))))


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
    forecast: Forecast = field(default_factory=Forecast)
    work: str = ""
    last_line: float = 0.0
    opened: bool = False

    def show(self, event: Event) -> None:
        """Print a line where the event deserves one."""
        self.forecast.take(event)
        if isinstance(event, Opened) and not self.opened:
            self.opened = True
            self._say(_opened(event, self.forecast))
        elif isinstance(event, Finished):
            self._say(_finished(event))
        elif isinstance(event, Progress):
            self._progress(event)

    def _progress(self, event: Progress) -> None:
        now = self.forecast.clock()
        if event.work != self.work:
            self.work, self.last_line = event.work, now
        elif now - self.last_line >= _QUIET_SECONDS and event.done:
            self.last_line = now
            self._say(f"{event.work}: {event.done}/{event.total} · {times(self.forecast)}")

    def _say(self, text: str) -> None:
        self.stream.write(text + "\n")
        self.stream.flush()


@final
class _Clock(ProgressColumn):
    """Time elapsed and left, beside the bar of the whole run."""

    max_refresh = 0.5

    def __init__(self, forecast: Forecast) -> None:
        super().__init__()
        self._forecast = forecast

    def render(self, task: Task) -> Text:
        """The forecast's words at this moment."""
        return Text(times(self._forecast) if task.fields["whole"] else "", style="cyan")


@final
@dataclass
class _Live:
    """A bar for the whole run, as long as the work is dear, and one for the evaluator in hand."""

    bars: Bars
    forecast: Forecast
    work: str = ""
    opened: bool = False

    def show(self, event: Event) -> None:
        """Move the bars."""
        self.forecast.take(event)
        tasks = self.bars.task_ids
        if isinstance(event, Opened):
            if not self.opened:
                self.opened = True
                self._print(_opened(event, self.forecast))
            self.bars.update(tasks[0], description="evaluators", total=1.0)
        elif isinstance(event, Started):
            self.bars.update(tasks[0], description=event.evaluator, steps=f"{event.index + 1}/{event.total}")
        elif isinstance(event, Finished):
            self._print("  " + _finished(event))
            self._forget()
        elif isinstance(event, Importing):
            self._forget()
        elif isinstance(event, Found):
            pass  # the summary begins with them
        elif event.work == self.work and len(tasks) > 1:
            self.bars.update(tasks[1], completed=event.done, steps=f"{event.done}/{event.total}")
        else:
            self._forget()
            self.work = event.work
            self.bars.add_task(f"  {event.work}", total=event.total, completed=event.done, steps=f"{event.done}/{event.total}", whole=False)
        self.bars.update(tasks[0], completed=self.forecast.share_done)

    def _print(self, text: str) -> None:
        self.bars.console.print(text, highlight=False, markup=False)

    def _forget(self) -> None:
        for task in self.bars.task_ids[1:]:
            self.bars.remove_task(task)
