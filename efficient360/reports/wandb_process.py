"""W&B's code in processes of its own. It keeps global state, starts a background service and finishes files late; none of that is ours."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def bounded(module: Sequence[str], folder: Path, seconds: float, environment: Mapping[str, str], text: str = "") -> str | None:
    """Run ``python -m`` for at most ``seconds``; nobody can be asked anything at its standard input.

    Args:
        module: Name of the module and its arguments.
        folder: Where it runs.
        seconds: When it and all it started are ended.
        environment: Over this process's own.
        text: Handed over on standard input.

    Returns:
        What it said on both outputs, ``None`` when it was ended.
    """
    # WANDB_MODE would overrule what was asked on our command line.
    inherited = {key: value for key, value in os.environ.items() if key != "WANDB_MODE"}
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        cwd=folder,
        env={**inherited, **environment},
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(text, timeout=seconds)
    except subprocess.TimeoutExpired:
        # W&B's background service belongs to the same group and would hold the pipe open.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    return said
