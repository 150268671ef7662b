"""The command as a process: its standard streams, the folder that it starts in, and what becomes of its exit code when nobody can read it."""

import errno
import os
import sys
import traceback
from collections.abc import Sequence

from efficient360.cli.parser import BAD_INPUT, INTERRUPTED, run_command
from efficient360.core.terminal import Terminal

BUG = 1


def run(arguments: Sequence[str]) -> int:
    """Run one command, and see that it ends in an exit code whatever its streams are: full, closed, or of an encoding that lacks half the signs.

    Args:
        arguments: Command-line arguments after the program's name.

    Returns:
        As :func:`efficient360.cli.parser.run_command`; 1 for a bug, whose traceback is shown, and for results that could not be written to the standard output.
    """
    os.environ["PYTHONSAFEPATH"] = "1"  # no process that libraries start imports from its current folder
    _open_descriptors()
    out, err = Terminal(sys.stdout or open(os.devnull, "w")), Terminal(sys.stderr or open(os.devnull, "w"))  # noqa: PTH123, SIM115 - None where it was closed
    sys.stdout, sys.stderr = out, err
    code = _run(arguments)
    out.flush()
    if out.lost is not None and out.lost.errno != errno.EPIPE:  # a reader that has seen enough (head) is no failure
        err.write(f"efficient360: the standard output can't be written: {out.lost.strerror}; what was measured is stored\n")
        code = code or BUG
    err.flush()
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        os.getcwd()  # noqa: PTH109 - only whether it is there
    except FileNotFoundError:
        sys.stderr.write("efficient360: the current folder has been deleted\n  → change to one that exists (cd), and run the command again\n")
        return BAD_INPUT
    try:
        return run_command(arguments)
    except SystemExit as end:  # argparse has said what it had to say
        return end.code if isinstance(end.code, int) else BUG if end.code else 0
    except KeyboardInterrupt:  # before the command could say so itself
        return INTERRUPTED
    except Exception:  # a bug keeps its traceback
        traceback.print_exc()
        return BUG


def _open_descriptors() -> None:
    """Open what was closed: else the next file opened would be where libraries write their messages."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
