"""The program of a worker: takes its part of a plan from the standard input, and sends events where it is told."""

import contextlib
import os
import pickle
import sys
import traceback
import warnings
from multiprocessing.connection import Connection

from efficient360.core.processes import die_with, leave
from efficient360.errors import Efficient360Error
from efficient360.execution.events import Event, Opened
from efficient360.execution.plan import Plan
from efficient360.execution.worker import END, SPOILED


def _work(plan: Plan, before: Opened | None, sending: Connection) -> None:
    for category in (DeprecationWarning, FutureWarning):  # the libraries' word to their developers, not to the user
        warnings.simplefilter("ignore", category)
    own = os.getpid()

    def emit(event: Event | str | Exception) -> None:
        if os.getpid() != own:  # a process that an evaluator forked has nothing to say
            os._exit(0)
        sending.send(event)

    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        try:
            from efficient360.execution.runner import run

            run(plan, emit, before=before)
            emit(END)
        except Efficient360Error as error:
            emit(SPOILED if error.code == "spoiled-process" else error)
        except Exception:  # a bug of ours: the command shows this process's traceback as its own
            emit(RuntimeError(traceback.format_exc()))


def main(events: int) -> None:
    """Run what comes in on the standard input.

    Args:
        events: Descriptor that events are sent to.
    """
    with open(0, "rb", closefd=False) as stdin:
        plan, before = pickle.load(stdin)
    _work(plan, before, Connection(events, readable=False))


if __name__ == "__main__":
    die_with(os.getppid())
    main(*map(int, sys.argv[1:]))
    leave(0)
