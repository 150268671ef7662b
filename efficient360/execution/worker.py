"""A run in a process of its own. If that process dies, the evaluator in hand gets a Failure and a new process takes the rest."""

import contextlib
import ctypes
import dataclasses
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, final

from efficient360.core.measurement import Failure, Status
from efficient360.core.outcome import Record
from efficient360.core.processes import ending
from efficient360.errors import Efficient360Error, RunError
from efficient360.execution.events import Event, Finished, Opened, Started
from efficient360.execution.plan import Plan
from efficient360.storage.outcomes import Store

_END = "end"


def isolated(plan: Plan) -> Iterator[Event]:
    """Run a plan in a worker process and pass on its events.

    Raises:
        Efficient360Error: As :func:`efficient360.execution.runner.run`; also when the worker dies before any evaluator began.
    """
    crashed: set[str] = set()
    while True:
        left = dataclasses.replace(plan, steps=tuple(s for s in plan.steps if s.evaluator not in crashed))
        end = yield from _one_worker(left)
        if end.death is None:
            return
        if not end.evaluator:
            raise RunError("worker-died", end.death.message, "run it again; if it dies again, lower --batch-size or look at the system's log")
        record = Record(end.evaluator, end.death, end.keys[end.evaluator])
        store = Store(plan.out)
        with store.writer():
            store.append([record])
        crashed.add(end.evaluator)
        yield Finished(end.evaluator, [record], cached=False)


@final
@dataclass(frozen=True)
class _End:
    """How a worker ended: the reason it died, the evaluator it died in (``""`` before the first), and the evaluators' keys."""

    death: Failure | None
    evaluator: str
    keys: Mapping[str, str]


def _one_worker(plan: Plan) -> Generator[Event, None, _End]:
    receiving, sending = multiprocessing.Pipe(duplex=False)
    # A program of its own rather than a spawned copy of the caller's: the caller's script needs no guard, and its folder is not imported from.
    command = [sys.executable, "-P", "-m", "efficient360.execution.worker", str(sending.fileno()), str(os.getpid())]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(sending.fileno(),))
    sending.close()
    name = ""
    keys: Mapping[str, str] = {}
    try:
        _send(process, plan)
        while True:
            try:
                message = receiving.recv()
            except EOFError:
                break
            if message == _END:
                process.wait()
                return _End(None, name, keys)
            if isinstance(message, Exception):
                process.wait()
                raise message
            if isinstance(message, Opened):
                keys = message.keys
            if isinstance(message, Started):
                name = message.evaluator
            yield message
        return _End(Failure(Status.FAILED, "worker-died", _death(process.wait()), "the other evaluators' results are kept"), name, keys)
    finally:
        receiving.close()
        if process.poll() is None:
            process.terminate()
            process.wait()


def _send(process: "subprocess.Popen[bytes]", plan: Plan) -> None:
    with contextlib.suppress(BrokenPipeError):  # a worker that died at once is told apart by its exit code
        if process.stdin is not None:
            process.stdin.write(pickle.dumps(plan))
            process.stdin.close()


def _death(code: int) -> str:
    why = " (often: out of memory)" if code == -signal.SIGKILL else ""
    return f"the process {ending(code)}{why}"


def _work(plan: Plan, sending: Connection, parent: int) -> None:
    _die_with(parent)
    for category in (DeprecationWarning, FutureWarning):  # the libraries' word to their developers, not to the user
        warnings.simplefilter("ignore", category)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        try:
            from efficient360.execution.runner import run

            run(plan, sending.send)
            sending.send(_END)
        except Efficient360Error as error:
            sending.send(error)
        except Exception:  # a bug of ours: the command shows this process's traceback as its own
            sending.send(RuntimeError(traceback.format_exc()))


def _die_with(parent: int) -> None:
    """End this process when its parent is gone: a kill -9 of the command must not leave a worker writing."""
    if sys.platform == "linux":
        die: Any = ctypes.CDLL(None, use_errno=True).prctl
        die(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def main() -> None:
    """The worker: takes its plan from the standard input and sends events where the first argument says."""
    descriptor, parent = map(int, sys.argv[1:])
    plan: Plan = pickle.load(sys.stdin.buffer)
    _work(plan, Connection(descriptor, readable=False), parent)


if __name__ == "__main__":
    main()
