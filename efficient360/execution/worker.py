"""A run in processes of its own. If one dies or hangs, the evaluator in hand gets a Failure and a new process takes the rest.

The package's own evaluators share a process; those of each foreign file or package get one of their own, so that whatever foreign code does to its process
(a patched library, a closed handle, a fork) reaches no other's numbers.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from efficient360.core import processes
from efficient360.core.measurement import Failure, Status
from efficient360.core.outcome import Record
from efficient360.core.processes import ending
from efficient360.core.program_start import Program, end_all, start
from efficient360.core.terminal import Terminal
from efficient360.core.text import one_line
from efficient360.errors import RunError
from efficient360.execution.events import Event, Finished, Importing, Opened, Started
from efficient360.execution.origins import Group, groups_of, unkeyed
from efficient360.execution.plan import Plan
from efficient360.plugins.registry import evaluators
from efficient360.storage.outcomes import Store

END, SPOILED = "end", "spoiled"
"""What a worker says last: all is done, or the rest wants a fresh process."""
_LAST_SECONDS = 10.0
_MOST_OUTPUT = 64_000
"""Characters of what a process's code prints that are passed on; the rest is counted."""


@final
@dataclass(frozen=True)
class Limits:
    """How long a worker may keep silent.

    Args:
        grace: Seconds that an evaluator may go on after the time budget is spent: one that keeps to its deadline ends at the next step.
        importing: Seconds that the import of a foreign file or package may take.
        clock: What tells the time, comparable with ``time.monotonic``.
    """

    grace: float = 60.0
    importing: float = 120.0
    clock: Callable[[], float] = time.monotonic


def isolated(plan: Plan, limits: Limits | None = None) -> Iterator[Event]:
    """Run a plan in worker processes and pass on their events.

    Args:
        plan: What to do. Its time budget counts from here, over all workers.
        limits: How long one may keep silent.

    Raises:
        Efficient360Error: As :func:`efficient360.execution.runner.run`; also when a worker dies before any evaluator began.
    """
    limits = limits or Limits()
    until = plan.until if plan.until is not None or plan.max_minutes is None else limits.clock() + 60 * plan.max_minutes
    plan = dataclasses.replace(plan, until=until)
    before: Opened | None = None
    for group in groups_of(plan.steps, evaluators(plan.plugins)) or [Group("", ())]:
        left = group
        while True:
            before, done, end = yield from _one_worker(plan, left, before, limits)
            if end is None:
                break
            if end.failure is not None:
                yield from _failed(plan, end.evaluators, end.failure, before)
                done = {*done, *end.evaluators}
            elif not done:
                raise RunError("worker-died", end.message, "run it again; if it dies again, lower --batch-size or look at the system's log")
            left = Group(left.origin, tuple(step for step in left.steps if step.evaluator not in done))
            if not left.steps:
                break


@final
@dataclass(frozen=True)
class _Death:
    """How a worker ended that did not end well: the evaluators that it took with it, and their failure where it is their fault."""

    message: str
    evaluators: tuple[str, ...] = ()
    failure: Failure | None = None


def _failed(plan: Plan, names: Sequence[str], failure: Failure, before: Opened | None) -> Iterator[Event]:
    keys: Mapping[str, str] = {} if before is None else before.keys
    store = Store(plan.out)
    for name in names:
        record = Record(name, failure, keys.get(name, unkeyed(name)))
        with store.writer():
            store.append([record])
        yield Finished(name, [record], cached=False)


def _one_worker(plan: Plan, group: Group, before: Opened | None, limits: Limits) -> Generator[Event, None, tuple[Opened | None, set[str], _Death | None]]:
    """Run a group's steps; returns what is open, the evaluators that are done, and how the worker died where it did."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    output, written = os.pipe()
    stdin, job = os.pipe()
    process = start("efficient360.execution.worker_process", stdin, written, [sending.fileno()])
    os.close(written)
    os.close(stdin)
    sending.close()
    printed = _Printed(output)
    watch = _Watch(plan, limits)
    done: set[str] = set()
    try:
        _feed(job, pickle.dumps((_part(plan, group), before)))
        while True:
            if not receiving.poll(watch.left()):
                end_all(process)
                return before, done, watch.hung()
            try:
                message = receiving.recv()
            except Exception:  # its end; or foreign code wrote what is no message
                break
            if message in (END, SPOILED):
                process.wait()
                return before, done, None if message == END else _Death("")
            if isinstance(message, Exception):
                process.wait()
                raise message
            if isinstance(message, Opened):
                keys = {step.evaluator: message.keys[step.evaluator] for step in plan.steps if step.evaluator in message.keys}
                before = message = dataclasses.replace(message, keys=keys)
            if isinstance(message, Started):
                names = [step.evaluator for step in plan.steps]
                message = Started(message.evaluator, names.index(message.evaluator), len(names))
            if isinstance(message, Finished):
                done.add(message.evaluator)
            watch.see(message)
            yield message
        return before, done, watch.died(_ended(process))
    finally:
        receiving.close()
        if process.poll() is None:
            end_all(process)
        printed.close()


def _part(plan: Plan, group: Group) -> Plan:
    """The plan of one group: plug-in files other than its own are not even looked at."""
    return dataclasses.replace(plan, steps=group.steps, plugins=tuple(path for path in plan.plugins if str(path) == group.origin))


@final
@dataclass
class _Watch:
    """What the worker is doing, and until when it may keep silent."""

    plan: Plan
    limits: Limits
    doing: tuple[str, ...] = ()
    limit: float | None = None
    importing: bool = False

    def see(self, event: Event) -> None:
        """Take note of an event."""
        now = self.limits.clock()
        if isinstance(event, Importing):
            self.doing, self.importing, self.limit = event.evaluators, True, now + self.limits.importing
        elif isinstance(event, Started):
            until = self.plan.until
            self.doing, self.importing, self.limit = (event.evaluator,), False, None if until is None else max(until, now) + self.limits.grace
        elif isinstance(event, Opened | Finished):
            self.doing, self.importing, self.limit = (), False, None

    def left(self) -> float | None:
        """Seconds that the worker may still keep silent; ``None`` for as long as it likes."""
        return None if self.limit is None else max(0.0, self.limit - self.limits.clock())

    def hung(self) -> _Death:
        """The end of a worker that kept silent too long."""
        if self.importing:
            message = f"importing the plug-in took longer than {self.limits.importing:.0f} s, and its process was ended"
            return _Death(message, self.doing, Failure(Status.FAILED, "plugin-hung", message, "mend the file"))
        message = f"it went on for {self.limits.grace:.0f} s after the time budget was spent, and its process was ended"
        return _Death(message, self.doing, Failure(Status.NOT_RUN, "time-limit", message, "raise --max-minutes, or leave it out with --only"))

    def died(self, code: int) -> _Death:
        """The end of a worker whose process ended."""
        why = " (often: out of memory)" if code == -signal.SIGKILL else ""
        message = f"the process {ending(code)}{why}"
        failure = Failure(Status.FAILED, "worker-died", message, "the other evaluators' results are kept")
        return _Death(message, self.doing, failure if self.doing else None)


@final
@dataclass
class _Printed:
    """What a process prints, passed on to the standard error line by line, cleaned, and not without end."""

    descriptor: int
    passed: int = 0
    dropped: int = 0
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Wait for the rest; a process that others keep open is not waited for."""
        self.thread.join(2.0)
        if self.dropped:
            self._say(f"efficient360: {self.dropped:,} more characters of output are left out")

    def _read(self) -> None:
        with open(self.descriptor, "rb", buffering=0) as stream:  # noqa: PTH123 - a descriptor, no path
            rest = b""
            while data := stream.read(65536):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._pass(line)
                if len(rest) > 65536:
                    self._pass(rest)
                    rest = b""
            if rest:
                self._pass(rest)

    def _pass(self, line: bytes) -> None:
        text = line.rpartition(b"\r")[2] if not line.endswith(b"\r") else line.rstrip(b"\r").rpartition(b"\r")[2]  # of a line drawn again and again, the last
        if self.passed > _MOST_OUTPUT:
            self.dropped += len(line) + 1
            return
        self.passed += len(text) + 1
        self._say(one_line(text.decode(errors="replace"), 2000))

    def _say(self, line: str) -> None:
        stream = sys.stderr
        terminal = stream if isinstance(stream, Terminal) else Terminal(stream)
        terminal.write(line + "\n")
        terminal.flush()


def _ended(process: Program) -> int:
    """Exit code of a worker that says nothing more; one that does not end, as its handles were closed, is ended."""
    started = processes.descendants(process.pid)
    try:
        process.wait(_LAST_SECONDS)
    except subprocess.TimeoutExpired:
        end_all(process)
    processes.end(started)
    return process.wait()


def _feed(descriptor: int, job: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as pipe:
        pipe.write(job)  # a worker that died at once is told apart by its exit code
