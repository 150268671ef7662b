"""Peak memory of a fresh process that loads a checkpoint and runs one forward pass; the process itself is ``memory_worker``."""

import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from efficient360.core.measurement import Failure, Status
from efficient360.core.processes import ending, environment, last_words
from efficient360.models.checkpoint import CheckpointSpec

COMMAND = (sys.executable, "-P", "-m", "efficient360.methods.complexity.memory_worker")
"""``-P`` keeps files in the working directory from being imported as modules."""


@final
@dataclass(frozen=True)
class MemoryRequest:
    """What the worker runs.

    Args:
        checkpoint: The checkpoint to load.
        digest: Expected digest of its weights.
        keep: Indices of the outputs to keep, ``None`` for all.
        device: Device that the model runs on.
        batch: Number of images in the forward pass.
        threads: Number of CPU threads of torch.
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
    def from_json(cls, text: str) -> "MemoryRequest":
        """The request of a line written by :meth:`to_json`."""
        data: dict[str, Any] = json.loads(text)
        keep = None if data["keep"] is None else tuple(data["keep"])
        return cls(**{**data, "checkpoint": CheckpointSpec(**data["checkpoint"]), "keep": keep})


@final
@dataclass(frozen=True)
class PeakMemory:
    """Peak resident memory of one worker by stage, in bytes.

    Args:
        baseline: After loading Python and the libraries.
        loaded: After loading the model.
        peak: After one forward pass.
        device_peak: Peak bytes of tensors on the CUDA device, including weights; ``None`` without CUDA.
    """

    baseline: int
    loaded: int
    peak: int
    device_peak: int | None = None


def measure_process(request: MemoryRequest, timeout: float, command: Sequence[str] = COMMAND) -> PeakMemory | Failure:
    """Run one worker and read its peak memory, or the failure that it met.

    Args:
        request: What the worker runs.
        timeout: Seconds after which the worker is terminated.
        command: The worker's command line.

    Returns:
        Its peak memory; or a failure ``worker-timeout``, ``worker-crashed``, or with the code of the worker's own error.
    """
    try:
        completed = subprocess.run(command, input=request.to_json(), capture_output=True, text=True, timeout=timeout, check=False, env=environment())
    except subprocess.TimeoutExpired:
        return Failure(
            Status.FAILED, "worker-timeout", f"loading and one forward pass at batch {request.batch} took longer than {timeout:.0f} s", "raise timeout"
        )
    if completed.returncode:
        message = f"the process that ran batch {request.batch} {ending(completed.returncode)}{last_words(completed.stderr)}"
        return Failure(Status.FAILED, "worker-crashed", message, _hint(completed.returncode))
    response: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
    return Failure(Status.FAILED, **response["error"]) if "error" in response else PeakMemory(**response)


def _hint(code: int) -> str:
    return "most likely the machine ran out of memory: take smaller batches" if code == -signal.SIGKILL else "the rest of the run is not affected"
