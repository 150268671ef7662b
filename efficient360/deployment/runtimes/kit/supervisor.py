"""Supervises a worker on a host: it ends with the connection that feeds it, however busy it is, and the exit code tells how it ended, as shells tell it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE = 2.0  # seconds a worker may take to end once its input has ended
NOT_OURS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # the host says how many threads there are


def main() -> None:
    """Start the worker, hand on what comes in, and end as it ends: with its code, or 128 and the signal's number."""
    environment = {key: value for key, value in os.environ.items() if key not in NOT_OURS}
    worker = subprocess.Popen([sys.executable, "-m", "kit.worker"], stdin=subprocess.PIPE, env=environment, start_new_session=True, bufsize=0)
    threading.Thread(target=_feed, args=(worker,), daemon=True).start()
    code = worker.wait()
    _end(worker)
    os._exit(code if code >= 0 else 128 - code)  # the thread still reads


def _feed(worker: "subprocess.Popen[bytes]") -> None:
    assert worker.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        while data := os.read(0, 65536):
            worker.stdin.write(data)
        worker.stdin.close()
    try:
        worker.wait(GRACE)
    except subprocess.TimeoutExpired:
        _end(worker)


def _end(worker: "subprocess.Popen[bytes]") -> None:
    """End the worker and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
