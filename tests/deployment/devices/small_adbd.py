"""A small adbd: enough of the device's end of ADB for the real client to connect, push, and run shell commands with exit codes.

``python small_adbd.py FOLDER`` listens on a free port, prints it, and serves until it is ended. FOLDER/bin stands first in the PATH of commands.
Messages are six little-endian words (command, two arguments, length, sum of the data's bytes, command inverted) and data, as Android's
``packages/modules/adb/protocol.txt`` tells; the sync service is told in its ``SYNC.TXT``.
"""

import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

MOST = 256 * 1024
VERSION = 0x01000001  # from here on the sum of bytes is not checked
BANNER = b"device::ro.product.name=small;ro.product.model=Small;ro.product.device=small;features=shell_v2,cmd"
SHELL_OUT, SHELL_EXIT = 1, 3


def word(name: bytes) -> int:
    return int(struct.unpack("<I", name)[0])


class Stream:
    """One service that the client opened."""

    def __init__(self, connection: "Connection", local: int, remote: int, service: str) -> None:
        self.connection, self.local, self.remote, self.service = connection, local, remote, service
        self.came: queue.Queue[bytes] = queue.Queue()
        self.acknowledged = threading.Event()
        self.rest = b""
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), MOST):
            self.acknowledged.clear()
            self.connection.send(b"WRTE", self.local, self.remote, data[start : start + MOST])
            self.acknowledged.wait(30)

    def read(self, size: int) -> bytes:
        while len(self.rest) < size:
            data = self.came.get()
            if not data:
                raise EOFError
            self.rest += data
        found, self.rest = self.rest[:size], self.rest[size:]
        return found

    def close(self) -> None:
        """The client closed it: what it started gets a hang-up, as from a terminal that went away."""
        self.came.put(b"")
        self.acknowledged.set()
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGHUP)

    def serve(self) -> None:
        kind, _, rest = self.service.partition(":")
        try:
            if kind.startswith("shell"):
                self.shell(rest, "v2" in kind)
            elif kind == "sync":
                self.sync()
        except (EOFError, OSError):
            pass
        self.connection.send(b"CLSE", self.local, self.remote)

    def shell(self, command: str, framed: bool) -> None:
        folder = self.connection.folder
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
            env={**os.environ, "PATH": path},
        )
        said, _ = self.process.communicate()
        if not framed:
            self.write(said)
            return
        for start in range(0, len(said), MOST - 5):
            part = said[start : start + MOST - 5]
            self.write(struct.pack("<BI", SHELL_OUT, len(part)) + part)
        self.write(struct.pack("<BIB", SHELL_EXIT, 1, self.process.returncode & 255))

    def sync(self) -> None:
        while True:
            request, size = struct.unpack("<4sI", self.read(8))
            name = self.read(size).decode() if request != b"QUIT" else ""
            if request == b"STAT":
                self.stat(Path(name))
            elif request == b"SEND":
                self.receive(name)
            else:
                return

    def stat(self, path: Path) -> None:
        try:
            found = path.stat()
            self.write(struct.pack("<4sIII", b"STAT", found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime)))
        except OSError:
            self.write(struct.pack("<4sIII", b"STAT", 0, 0, 0))

    def receive(self, target: str) -> None:
        name, _, mode = target.rpartition(",")
        path, failed = Path(name), ""
        data = b""
        while True:
            kind, size = struct.unpack("<4sI", self.read(8))
            if kind == b"DONE":
                break
            data += self.read(size)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(int(mode) & 0o777)
        except OSError as error:
            failed = str(error)
        self.write(struct.pack("<4sI", b"FAIL", len(failed)) + failed.encode() if failed else struct.pack("<4sI", b"OKAY", 0))


class Connection:
    """One client."""

    def __init__(self, link: socket.socket, folder: Path) -> None:
        self.link, self.folder = link, folder
        self.lock = threading.Lock()
        self.streams: dict[int, Stream] = {}

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        code = word(command)
        with self.lock:
            self.link.sendall(struct.pack("<6I", code, first, second, len(data), sum(data) & 0xFFFFFFFF, code ^ 0xFFFFFFFF) + data)

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.link.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def serve(self) -> None:
        opened = 0
        while True:
            code, first, second, size, _, _ = struct.unpack("<6I", self.receive(24))
            data, command = self.receive(size), struct.pack("<I", code)
            if command == b"CNXN":
                self.send(b"CNXN", VERSION, MOST, BANNER)
            elif command == b"OPEN":
                opened += 1
                stream = self.streams[opened] = Stream(self, opened, first, data.rstrip(b"\0").decode())
                self.send(b"OKAY", opened, first)
                threading.Thread(target=stream.serve, daemon=True).start()
            elif command == b"WRTE" and second in self.streams:
                self.send(b"OKAY", second, first)
                self.streams[second].came.put(data)
            elif command == b"OKAY" and second in self.streams:
                self.streams[second].acknowledged.set()
            elif command == b"CLSE" and second in self.streams:
                self.streams.pop(second).close()


def main() -> None:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    print(server.getsockname()[1], flush=True)
    while True:
        link, _ = server.accept()

        def serve(connection: Connection) -> None:
            try:
                connection.serve()
            except (EOFError, OSError):
                return

        threading.Thread(target=serve, args=(Connection(link, Path(sys.argv[1])),), daemon=True).start()


if __name__ == "__main__":
    main()
