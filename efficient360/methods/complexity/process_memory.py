"""The peak memory of a fresh process that loads a checkpoint and runs one forward: asked for here, measured by ``memory_worker``."""

import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from efficient360.core.measurement import Failure, Status
from efficient360.core.processes import ending, last_words
from efficient360.models.checkpoint import CheckpointSpec

COMMAND = (sys.executable, "-P", "-m", "efficient360.methods.complexity.memory_worker")
"""``-P`` keeps files of the working directory from being taken for modules."""


@final
@dataclass(frozen=True)
class Request:
    """What the worker is to run.

    Args:
        checkpoint: What to load.
        digest: Digest of the weights it must find.
        keep: Outputs that are kept, ``None`` for all.
        device: Where the model runs.
        batch: Images in the one forward.
        threads: CPU threads of torch.
        seed: Seed of the random images.
    """

    checkpoint: CheckpointSpec
    digest: str
    keep: tuple[int, ...] | None
    device: str
    batch: int
    threads: int
    seed: int

    def to_json(self) -> str:
        """The request as one line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Request":
        """The request of a line written by :meth:`to_json`."""
        data: dict[str, Any] = json.loads(text)
        keep = None if data["keep"] is None else tuple(data["keep"])
        return cls(**{**data, "checkpoint": CheckpointSpec(**data["checkpoint"]), "keep": keep})


@final
@dataclass(frozen=True)
class Reading:
    """Peaks of one worker so far, in bytes of resident memory.

    Args:
        baseline: Once Python and the libraries were loaded.
        loaded: Once the model was loaded too.
        peak: After one forward.
        device_peak: Most bytes of tensors on the CUDA device, weights included; ``None`` off CUDA.
    """

    baseline: int
    loaded: int
    peak: int
    device_peak: int | None = None


def measure_process(request: Request, timeout: float, command: Sequence[str] = COMMAND) -> Reading | Failure:
    """Run one worker and read its peaks, or say why there are none.

    Args:
        request: What to run.
        timeout: Seconds after which the worker is ended.
        command: The worker's command line.

    Returns:
        The reading; or a failure ``worker-timeout``, ``worker-crashed``, or with the code of the error that the worker met.
    """
    try:
        done = subprocess.run(command, input=request.to_json(), capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return Failure(Status.FAILED, "worker-timeout", f"loading and one forward at batch {request.batch} took longer than {timeout:.0f} s", "raise timeout")
    if done.returncode:
        message = f"the process that ran batch {request.batch} {ending(done.returncode)}{last_words(done.stderr)}"
        return Failure(Status.FAILED, "worker-crashed", message, _hint(done.returncode))
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Failure(Status.FAILED, **answer["error"]) if "error" in answer else Reading(**answer)


def _hint(code: int) -> str:
    return "most likely the machine ran out of memory: take smaller batches" if code == -signal.SIGKILL else "the rest of the run is not touched by it"
