"""The program that workers are forked from: it imports the libraries once and then waits, so that a worker begins in milliseconds instead of seconds.

It holds no run's data: each worker is a copy of a process that has imported and done nothing else.
"""

import importlib
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from typing import Final, NoReturn

IMPORTED: Final = ("efficient360.execution.runner", "datasets")
"""What every worker needs, with torch, timm and all else that it imports."""
IDLE_SECONDS: Final = 120.0
"""A process that nobody asks for a worker ends by itself: a notebook keeps no memory for it."""
LOOK_SECONDS: Final = 5.0
"""How often it looks whether the process that started it is still there."""
MOST: Final = 1 << 16
"""Bytes of a request at most: the path of a folder."""
DESCRIPTORS: Final = 4
"""A worker's standard input, its output, its events, and where its number and its end are told."""


def main() -> None:
    """Fork a worker for every request, and tell how each ends, until nobody is there to ask."""
    control, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the workers
    for name in IMPORTED:
        importlib.import_module(name)
    _serve(control, parent)


def _serve(control: socket.socket, parent: int) -> None:
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    signal.signal(signal.SIGCHLD, _noticed)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    links: dict[int, socket.socket] = {}
    asked = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        # The workers die with this process, and it dies with the one that started it: an end of its own, as a fork of that one may hold the socket.
        while os.getppid() == parent and (links or time.monotonic() - asked < IDLE_SECONDS):
            ready = {key.fileobj for key, _ in selector.select(LOOK_SECONDS)}
            if woken in ready:
                woken.recv(MOST)
            _reap(links)
            if control in ready:
                asked = time.monotonic()
                if not _fork(control, links, (control, woken, waking, selector)):
                    return


def _noticed(number: int, frame: object) -> None:
    """A worker ended: the wake-up descriptor says so to the loop."""


def _reap(links: dict[int, socket.socket]) -> None:
    while links:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if (link := links.pop(pid, None)) is not None:
            _tell(link, os.waitstatus_to_exitcode(status))
            link.close()


def _tell(link: socket.socket, number: int) -> None:
    try:
        link.sendall(f"{number}\n".encode())
    except OSError:  # nobody waits for it any more
        return


def _fork(control: socket.socket, links: dict[int, socket.socket], ours: tuple[socket.socket | selectors.BaseSelector, ...]) -> bool:
    """Answer one request; ``False`` where there will be no more."""
    data, descriptors, _, _ = socket.recv_fds(control, MOST, DESCRIPTORS)
    if not data:
        return False
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become_worker(os.fsdecode(data), descriptors, server, (*ours, *links.values()))
    link = socket.socket(fileno=descriptors[3])
    for descriptor in descriptors[:3]:
        os.close(descriptor)
    links[pid] = link
    _tell(link, pid)
    return True


def _become_worker(folder: str, descriptors: list[int], server: int, ours: tuple[socket.socket | selectors.BaseSelector, ...]) -> NoReturn:
    try:
        from efficient360.execution.worker_process import work

        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for one in ours:
            one.close()
        os.close(descriptors[3])
        for descriptor, standard in ((descriptors[0], 0), (descriptors[1], 1), (descriptors[1], 2)):
            os.dup2(descriptor, standard)
        for descriptor in descriptors[:2]:
            os.close(descriptor)
        os.chdir(folder)
        work(descriptors[2], server)
    except BaseException:  # nothing may come back into the loop that forked it
        traceback.print_exc()
    os._exit(1)


if __name__ == "__main__":
    main()
