"""The process that programs of ours are forked from: it imports the libraries once and then waits, so that a program begins in a moment instead of seconds.

It holds nothing of any run, and of this package's code only what forks: each program is a copy of a process that has imported libraries and done nothing
else. A program may ask for others; they end with it.
"""

import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from efficient360.core.processes import descendants, die_with, end, leave
from efficient360.core.program_start import forked_by

LIBRARIES: Final = ("torch", "timm", "torchvision", "scipy.stats", "datasets")
"""What nearly every program imports, and what takes longest."""
IDLE_SECONDS: Final = 120.0
"""It ends by itself when nobody has asked for so long: a notebook keeps no memory for it."""
LOOK_SECONDS: Final = 5.0
"""How often it looks whether the process that started it is still there."""
MOST: Final = 1 << 16
"""Bytes of a request at most."""
DESCRIPTORS: Final = 16
"""Descriptors of a request at most: where its end is told, standard input, output, and those that the program takes."""


def main() -> None:
    """Fork a program for every request, and tell how each ends, until nobody is there to ask."""
    control, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the programs
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):  # a program that needs it says so
            importlib.import_module(name)
    _serve(control, parent)


def _serve(control: socket.socket, parent: int) -> None:
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    signal.signal(signal.SIGCHLD, _noticed)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    links: dict[int, socket.socket] = {}
    asking: dict[socket.socket, list[int]] = {control: []}
    """Where requests come from, the process that started this one and the programs that were forked from it; and what was forked for each."""
    asked = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for one in (control, woken):
            selector.register(one, selectors.EVENT_READ)
        # The programs die with this process, and it dies with the one that started it: it looks, as a fork of that one may hold the socket open.
        while os.getppid() == parent and (links or time.monotonic() - asked < IDLE_SECONDS):
            ready = {key.fileobj for key, _ in selector.select(LOOK_SECONDS)}
            if woken in ready:
                woken.recv(MOST)
            _reap(links)
            for one in asking.keys() & ready:
                asked = time.monotonic()
                forked = _fork(one, links, (*asking, woken, waking, selector))
                if forked is not None:
                    pid, program = forked
                    asking[one].append(pid)
                    asking[program] = []
                    selector.register(program, selectors.EVENT_READ)
                elif one is control:
                    return
                else:
                    _end(pid for pid in asking.pop(one) if pid in links)
                    selector.unregister(one)
                    one.close()


def _noticed(number: int, frame: object) -> None:
    """A program ended: the wake-up descriptor says so to the loop."""


def _end(pids: Iterable[int]) -> None:
    """End programs whose asker is gone, with all that they started."""
    for pid in pids:
        started = descendants(pid)
        os.kill(pid, signal.SIGKILL)
        end(started)


def _reap(links: dict[int, socket.socket]) -> None:
    while links:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if (link := links.pop(pid, None)) is not None:
            _tell(link, os.waitstatus_to_exitcode(status))
            link.close()


def _tell(link: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # nobody waits for it any more
        link.sendall(f"{number}\n".encode())


def _fork(asking: socket.socket, links: dict[int, socket.socket], ours: tuple[socket.socket | selectors.BaseSelector, ...]) -> tuple[int, socket.socket] | None:
    """Answer one request: the new program, and where it asks for others; ``None`` where no more will come from there."""
    data, descriptors, _, _ = socket.recv_fds(asking, MOST, DESCRIPTORS)
    if not data:
        return None
    link, *given = descriptors
    program, theirs = socket.socketpair()
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(link)
        _become(json.loads(data), given, theirs, server, (*ours, *links.values(), program))
    theirs.close()
    links[pid] = socket.socket(fileno=link)
    for descriptor in given:
        os.close(descriptor)
    _tell(links[pid], pid)
    return pid, program


def _become(
    request: dict[str, Any], given: list[int], asking: socket.socket, server: int, ours: tuple[socket.socket | selectors.BaseSelector, ...]
) -> NoReturn:
    code = 1
    try:
        die_with(server)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for one in ours:
            one.close()
        for descriptor, standard in ((given[0], 0), (given[1], 1), (given[1], 2)):
            os.dup2(descriptor, standard)
        for descriptor in given[:2]:
            os.close(descriptor)
        os.chdir(request["folder"])
        forked_by(asking)
        importlib.import_module(request["module"]).main(*given[2:])
        code = 0
    except KeyboardInterrupt:
        pass
    except BaseException:  # nothing may come back into the loop that forked it
        traceback.print_exc()
    leave(code)


if __name__ == "__main__":
    main()
