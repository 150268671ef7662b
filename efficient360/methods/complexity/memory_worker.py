"""The process whose memory is measured: loads one checkpoint, runs one forward, prints its peaks as JSON. Reads its request from stdin."""

import contextlib
import dataclasses
import json
import sys
from pathlib import Path

import torch

from efficient360.errors import CheckpointError, Efficient360Error
from efficient360.methods.complexity.process_memory import Reading, Request
from efficient360.models.building import load_model
from efficient360.models.references import resolve


def peak_resident() -> int:
    """Most bytes of resident memory this process has had."""
    if sys.platform == "linux":
        # Not ru_maxrss: on Linux that outlives exec, so a small child of a large parent would report the parent.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def read(request: Request) -> Reading:
    """Load what is asked for, run one forward on random images and read the peaks on the way.

    Raises:
        CheckpointError: The checkpoint can't be loaded any more, or its weights are others.
    """
    torch.set_num_threads(request.threads)
    baseline = peak_resident()
    checkpoint = resolve(request.checkpoint)
    if checkpoint.digest != request.digest:
        raise CheckpointError(
            "weights-changed",
            f"the weights of {checkpoint.name} are not those that the run began with (their digest differs)",
            "don't change the file during a run",
        )
    model = load_model(checkpoint, request.device, request.keep)
    loaded = peak_resident()
    images = torch.rand((request.batch, *model.input_size), generator=torch.Generator().manual_seed(request.seed))
    with torch.inference_mode():
        model(images).cpu()
    on_cuda = torch.device(request.device).type == "cuda"
    return Reading(baseline, loaded, peak_resident(), torch.cuda.max_memory_allocated(request.device) if on_cuda else None)


def main() -> None:
    """Answer the request on stdin with one line on stdout: a reading, or the error met."""
    with contextlib.redirect_stdout(sys.stderr):  # a library's chatter must not mix with the answer
        try:
            answer = dataclasses.asdict(read(Request.from_json(sys.stdin.read())))
        except Efficient360Error as error:
            answer = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
