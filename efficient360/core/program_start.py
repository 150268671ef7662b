"""How a program of ours begins: forked from a process that has imported the libraries, where that is safe; else as a process of its own.

The libraries take seconds to import. One process does so for all programs that a process starts, and each of them is a copy of it, as fresh as a new one.
Forking a process that runs threads or holds a CUDA context is not safe; that one does neither.
"""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, final

from efficient360.core.processes import descendants, end, environment

_SERVER: Final = (sys.executable, "-P", "-m", "efficient360.core.fork_server")
_CHANGING: Final = "PYTEST_CURRENT_TEST"
"""Set anew for every test and read by no library."""


class Program(ABC):
    """A program's process as the process that started it sees it."""

    pid: int

    @abstractmethod
    def poll(self) -> int | None:
        """Its exit code as :mod:`subprocess` gives it, ``None`` while it runs."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs after so many seconds.
        """

    @abstractmethod
    def kill(self) -> None:
        """End it at once."""


def end_all(program: Program) -> None:
    """End a program and all that it started, whatever it does about signals."""
    started = descendants(program.pid)
    program.kill()
    program.wait()
    end(started)


def start(module: str, stdin: int, output: int, given: Sequence[int] = ()) -> Program:
    """Start a module of ours as a program: its ``main`` is called with the numbers that the given descriptors have there.

    Args:
        module: Name of the module; run by ``python -m`` it does the same with the numbers on its command line.
        stdin: Descriptor of its standard input.
        output: Descriptor of its standard output and error.
        given: Further descriptors that it takes.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # nothing can be forked: the program itself will say what is wrong
            return _servers().fork(module, (stdin, output, *given))
    return _Alone(module, stdin, output, given)


@final
class _Alone(Program):
    """A process of its own rather than a spawned copy of the caller's: the caller's script needs no guard, and no folder is imported from."""

    def __init__(self, module: str, stdin: int, output: int, given: Sequence[int]) -> None:
        command = [sys.executable, "-P", "-m", module, *map(str, given)]
        self._process = subprocess.Popen(command, stdin=stdin, stdout=output, stderr=output, pass_fds=given, env=environment())
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        return self._process.wait(timeout)

    def kill(self) -> None:
        self._process.kill()


@final
class _Forked(Program):
    """A process that another one forked, which tells its number and its exit code through a socket."""

    def __init__(self, server: "_Server", link: socket.socket) -> None:
        self._server = server  # it lives as long as its programs
        self._link = link
        self._lines = link.makefile("rb")
        self._code: int | None = None
        said = self._lines.readline()
        if not said:
            raise ConnectionResetError("the process that forks programs is gone")
        self.pid = int(said)

    def poll(self) -> int | None:
        if self._code is None and select.select([self._link], [], [], 0)[0]:
            self.wait()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            if not select.select([self._link], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("program", timeout or 0.0)
            said = self._lines.readline()
            self._code = int(said) if said else -9  # with the process that forked it
        return self._code

    def kill(self) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, 9)


@final
class _Server:
    """The process that has imported the libraries, as those see it that may ask it: the one that started it, and the programs forked from it.

    Args:
        control: Where it takes requests.
        state: What the programs take over from it.
        process: It, where it was started here.
    """

    def __init__(self, control: socket.socket, state: object, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self.state = state
        self._control, self._process = control, process

    @classmethod
    def started(cls, state: object) -> "_Server":
        """A new one."""
        control, theirs = socket.socketpair()
        with theirs:
            command = [*_SERVER, str(theirs.fileno()), str(os.getpid())]
            nothing = subprocess.DEVNULL
            process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, pass_fds=(theirs.fileno(),), env=environment())
        return cls(control, state, process)

    def fork(self, module: str, descriptors: Sequence[int]) -> Program:
        """A new program.

        Raises:
            OSError: The process is gone, or it can't fork.
        """
        link, theirs = socket.socketpair()
        try:
            with theirs:
                request = json.dumps({"module": module, "folder": str(Path.cwd())}).encode()
                socket.send_fds(self._control, [request], [theirs.fileno(), *descriptors])
            return _Forked(self, link)
        except BaseException:
            link.close()
            raise


@final
class _Servers:
    """The server in use. Another one is started where the environment or this process are no longer those that it began with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def use(self, control: socket.socket) -> None:
        """Ask the server at the other end of ``control``."""
        self._server = _Server(control, _state())

    def fork(self, module: str, descriptors: Sequence[int]) -> Program:
        """A new program.

        Raises:
            OSError: No process can be had that forks one.
        """
        with self._lock:
            state = _state()
            if self._server is not None and self._server.state == state:
                with contextlib.suppress(OSError):  # it was idle for long, and ended
                    return self._server.fork(module, descriptors)
            self._server = _Server.started(state)
            return self._server.fork(module, descriptors)


@cache
def _servers() -> _Servers:
    """One for this process, as :mod:`multiprocessing` has one fork server."""
    return _Servers()


def forked_by(control: socket.socket) -> None:
    """In a program that was forked: where it asks for others, so that no second process imports the libraries."""
    _servers().use(control)


def _state() -> object:
    """What a program takes over from the process that it is forked from."""
    return os.getpid(), {name: value for name, value in os.environ.items() if name != _CHANGING}
