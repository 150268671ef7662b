"""Workers on a device: the folder they run in, and the host end of one: requests out, answers in, and a clear reason when it dies or hangs."""

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

from efficient360.core.processes import ending, last_words
from efficient360.core.reading import shown
from efficient360.deployment.runtimes import kit
from efficient360.errors import Efficient360Error


@final
class WorkerFailed(Efficient360Error):
    """A worker died, hung, or its runtime raised."""


Explain = Callable[[int, str, str], WorkerFailed | None]


@final
class WorkerProcess:
    """A running worker. The host sleeps while it waits.

    Args:
        command: Command line that starts it.
        environment: Its environment.
        prepare: Called in the new process before it becomes the worker (affinity, limits).
        folder: Working directory on this machine, ``None`` keeps ours.
        explain: Asked first why the worker ended, with its exit code, what it was doing and its last words.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str] | None = None,
        prepare: Callable[[], None] | None = None,
        folder: Path | None = None,
        explain: Explain | None = None,
    ) -> None:
        self._explain = explain
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment,
            cwd=folder,
            bufsize=0,
            preexec_fn=prepare,  # noqa: PLW1509 - what we pass takes no lock that another thread may hold
            start_new_session=True,
        )
        self._rest = b""

    @property
    def pid(self) -> int:
        """Process id of the worker, or of what carries it (``ssh``)."""
        return self._process.pid

    def ask(self, do: str, timeout: float, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Args:
            do: What the worker is to do.
            timeout: Seconds after which it is taken to hang and is ended.
            request: The rest of the request, plain JSON.

        Returns:
            The answer.

        Raises:
            WorkerFailed: ``runtime-error`` (the runtime raised), ``worker-hung``, ``worker-crashed``, ``worker-killed``.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
        line = self._line(do, timeout)
        try:
            answer = json.loads(line)  # a counter may tell no number, which only Python's JSON has
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            message = f"the worker answers {shown(line[:200])} in {_DOING[do]}, which is no JSON object"
            raise WorkerFailed("worker-crashed", message, "the other results are not touched by it")
        if "error" in answer:
            raise WorkerFailed("runtime-error", f"the runtime failed in {_DOING[do]}: {answer['error']}", "the other results are not touched by it")
        return answer

    def close(self) -> None:
        """End the worker, whatever it is doing."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self._process.poll() is None:
            self._end()
        self._process.wait()
        self._said.close()

    def _line(self, do: str, timeout: float) -> bytes:
        assert self._process.stdout is not None
        until = time.monotonic() + timeout
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            ready = left > 0 and select.select([self._process.stdout], [], [], left)[0]
            if not ready:
                self._end()
                message = f"the worker gave no answer to {_DOING[do]} for {timeout:.0f} s and was ended"
                raise WorkerFailed("worker-hung", message, "raise the time limit if the model is that slow")
            data = os.read(self._process.stdout.fileno(), 65536)
            if not data:
                raise self._death(do)
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _death(self, do: str) -> WorkerFailed:
        code = self._process.wait()
        known = self._explain(code, _DOING[do], self._last_words()) if self._explain else None
        if known is not None:
            return known
        if code == -signal.SIGKILL:
            hint = "most likely it ran out of memory: take a smaller batch or a device with more"
            return WorkerFailed("worker-killed", f"the worker was killed in {_DOING[do]}", hint)
        return WorkerFailed("worker-crashed", f"the worker {ending(code)} in {_DOING[do]}{self._last_words()}", "the other results are not touched by it")

    def _last_words(self) -> str:
        self._said.seek(0)
        return last_words(self._said.read()[-4000:].decode(errors="replace"))


_DOING = {
    "load": "loading the model",
    "answer": "answering images",
    "warm": "warming up",
    "block": "timing",
    "idle": "idling",
    "operators": "profiling",
    "describe": "describing the machine",
}


KIT = Path(kit.__file__).parent


class Workspace(ABC):
    """A folder on a device for the time of a measurement. Paths on it are relative to that folder, which is every worker's working directory."""

    @property
    @abstractmethod
    def cores(self) -> int:
        """CPU cores a worker may use."""

    @abstractmethod
    def put(self, path: Path, name: str) -> None:
        """Bring a file or folder of this machine there under a name. Bringing it twice costs nothing."""

    @abstractmethod
    def get(self, name: str, path: Path) -> None:
        """Bring a file from there."""

    @abstractmethod
    def start(self) -> WorkerProcess:
        """Start a worker."""
