"""The process whose memory is measured: reads a request from stdin, loads the checkpoint, runs one forward pass, prints its peak memory as JSON."""

import contextlib
import dataclasses
import json
import sys
from pathlib import Path

import torch

from efficient360.errors import CheckpointError, Efficient360Error
from efficient360.methods.complexity.process_memory import MemoryRequest, PeakMemory
from efficient360.models.building import load_model
from efficient360.models.references import resolve


def peak_resident() -> int:
    """Peak resident memory of this process in bytes."""
    if sys.platform == "linux":
        # Not ru_maxrss: on Linux it survives exec, so a small child of a large parent would report the parent's peak.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(request: MemoryRequest) -> PeakMemory:
    """Load the checkpoint, run one forward pass on random images and read the peak memory after each stage.

    Raises:
        CheckpointError: The checkpoint can no longer be loaded, or its weights have changed.
    """
    torch.set_num_threads(request.threads)
    baseline = peak_resident()
    checkpoint = resolve(request.checkpoint)
    if checkpoint.digest != request.digest:
        raise CheckpointError(
            "weights-changed",
            f"the weights of {checkpoint.name} have changed since the run began (their digest differs)",
            "don't change the file during a run",
        )
    model = load_model(checkpoint, request.device, request.keep)
    loaded = peak_resident()
    images = torch.rand((request.batch, *model.input_size), generator=torch.Generator().manual_seed(request.seed))
    with torch.inference_mode():
        model(images).cpu()
    on_cuda = torch.device(request.device).type == "cuda"
    return PeakMemory(baseline, loaded, peak_resident(), torch.cuda.max_memory_allocated(request.device) if on_cuda else None)


def main() -> None:
    """Answer the request on stdin with one line on stdout: the peak memory, or an error."""
    with contextlib.redirect_stdout(sys.stderr):  # libraries' output must not mix with the response
        try:
            response = dataclasses.asdict(measure(MemoryRequest.from_json(sys.stdin.read())))
        except Efficient360Error as error:
            response = {"error": error.to_json()}
    print(json.dumps(response))


if __name__ == "__main__":
    main()
