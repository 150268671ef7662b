"""Processes of our own: what they start with, how they ended in words, and how to end them with all that they started."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import psutil


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment with some changes, for a Python process that imports nothing from its current folder, nor does any that it starts.

    ``-P`` on a command line says so to that process alone: helpers of libraries (multiprocessing's resource tracker, W&B's service) are started without it.
    """
    return {**os.environ, "PYTHONSAFEPATH": "1", **(changes or {})}


def ending(code: int) -> str:
    """``was ended by SIGSEGV`` or ``ended with code 3``, of an exit code as :mod:`subprocess` gives it: negative for a signal."""
    return f"was ended by {_signal(-code)}" if code < 0 else f"ended with code {code}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"


def last_words(stderr: str) -> str:
    """The last line of what a process wrote to standard error, at most 300 characters after a colon; ``""`` when it wrote nothing."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return f": {lines[-1][:300]}" if lines else ""


def die_with(parent: int) -> None:
    """End this process when its parent is gone: a kill -9 of the command must not leave a worker writing."""
    if sys.platform == "linux":
        die: Any = ctypes.CDLL(None, use_errno=True).prctl
        die(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def leave(code: int) -> NoReturn:
    """End this process at once: neither threads nor exit handlers that foreign code left behind hold the end up."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def descendants(pid: int) -> list[psutil.Process]:
    """All processes that a process started, and that these started, as far as they are still its."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def end(processes: Iterable[psutil.Process]) -> None:
    """End some processes at once, whatever they do about signals; those that are gone already are no matter."""
    for process in processes:
        try:
            process.kill()
        except psutil.Error:
            continue
