"""Memory: what the weights take, what a forward adds, and what a process that does nothing else needs in all."""

import dataclasses
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from efficient360.core.figures import Table
from efficient360.core.formatting import scaled
from efficient360.errors import SettingsError
from efficient360.evaluator import (
    BYTE,
    Better,
    Context,
    Evaluator,
    Failure,
    Interval,
    Measurement,
    Metric,
    Model,
    Need,
    Outcome,
    Status,
    TorchModel,
    Unsupported,
)
from efficient360.methods.complexity.activation_memory import activation_peak, weight_bytes
from efficient360.methods.complexity.process_memory import Reading, Request, measure_process

WEIGHT_MEMORY = Metric("weight_memory", BYTE, Better.LOWER, "What parameters and buffers take in memory once loaded.", low=0)
ACTIVATION_PEAK = Metric(
    "activation_peak",
    BYTE,
    Better.LOWER,
    "Most bytes of tensors that one forward makes and holds at once, beside weights and input; counted, so the same on every machine.",
    low=0,
)
PROCESS_PEAK = Metric(
    "process_peak",
    BYTE,
    Better.LOWER,
    "Peak resident memory of a fresh process that loads the checkpoint and runs one forward, Python and its libraries included.",
    low=0,
)
CUDA_PEAK = Metric(
    "cuda_peak",
    BYTE,
    Better.LOWER,
    "Most bytes of tensors on the GPU in that process (torch.cuda.max_memory_allocated): weights, input, activations and workspaces.",
    low=0,
)
REPEATS = 3


@final
@dataclass(frozen=True)
class Memory(Evaluator):
    """Weights exactly, activations by counting, and the whole process by running one.

    Each process is run three times; its value is the median and its interval the lowest to the highest, called ``range``.

    Args:
        batches: Images in a forward, each at least 1.
        timeout: Seconds that one process may take.
    """

    name: ClassVar[str] = "memory"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (WEIGHT_MEMORY, ACTIVATION_PEAK, PROCESS_PEAK, CUDA_PEAK)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MACHINE})
    batches: tuple[int, ...] = (1, 32)
    timeout: float = 600.0

    def __post_init__(self) -> None:
        if not self.batches or min(self.batches) < 1 or len(set(self.batches)) < len(self.batches):
            raise SettingsError("bad-setting", f"the setting batches of memory is {list(self.batches)}", "give different whole numbers of at least 1: [1, 32]")
        if not self.timeout > 0:
            raise SettingsError("bad-setting", f"the setting timeout of memory is {self.timeout}", "give a number of seconds above 0")

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Weights, then for each batch size the activation peak and the peak of fresh processes."""
        if not isinstance(model, TorchModel):
            raise Unsupported("not-torch", f"{type(model).__name__} is no torch model, whose tensors can be counted", "evaluate the checkpoint itself")
        yield Measurement(WEIGHT_MEMORY, weight_bytes(model.module))
        steps = len(self.batches) * (1 + REPEATS)
        for index, batch in enumerate(self.batches):
            context.deadline.check()
            context.progress(index * (1 + REPEATS), steps)
            yield _activations(model, batch, context.seed)
            yield from self._process(model, batch, context, (index * (1 + REPEATS) + 1, steps))
        context.progress(steps, steps)

    def _process(self, model: TorchModel, batch: int, context: Context, progress: tuple[int, int]) -> Iterator[Outcome]:
        keep = None if model.module.keep is None else tuple(model.module.keep.tolist())
        request = Request(context.checkpoint.spec, context.checkpoint.digest, keep, model.device, batch, torch.get_num_threads(), context.seed)
        conditions = {"batch": batch}
        on_cuda = torch.device(model.device).type == "cuda"
        readings: list[Reading] = []
        for repeat in range(REPEATS):
            context.deadline.check()
            context.progress(progress[0] + repeat, progress[1])
            reading = measure_process(request, self._seconds(context))
            if isinstance(reading, Failure):
                context.deadline.check()  # ended by the time budget, not by its own limit
                yield dataclasses.replace(reading, metric=PROCESS_PEAK, conditions=conditions)
                if on_cuda:
                    yield dataclasses.replace(reading, metric=CUDA_PEAK, conditions=conditions)
                return
            readings.append(reading)
        yield _repeated(PROCESS_PEAK, [r.peak for r in readings], batch, _table(readings, batch))
        if on_cuda:
            yield _repeated(CUDA_PEAK, [r.device_peak for r in readings if r.device_peak is not None], batch)

    def _seconds(self, context: Context) -> float:
        at = context.deadline.at
        return self.timeout if at is None else min(self.timeout, max(0.0, at - time.monotonic()))


def _activations(model: TorchModel, batch: int, seed: int) -> Outcome:
    generator = torch.Generator().manual_seed(seed)
    try:
        images = torch.rand((batch, *model.input_size), generator=generator).to(model.device)
        return Measurement(ACTIVATION_PEAK, activation_peak(model.module, images), conditions={"batch": batch})
    except torch.OutOfMemoryError as error:
        message = f"{model.device} ran out of memory at batch {batch}: {str(error).splitlines()[0][:200]}"
        return Failure(Status.FAILED, "out-of-memory", message, "take smaller batches", metric=ACTIVATION_PEAK, conditions={"batch": batch})


def _repeated(metric: Metric, samples: list[int], batch: int, *extra: Table) -> Measurement:
    interval = Interval(min(samples), max(samples), "range")
    return Measurement(metric, statistics.median(samples), len(samples), interval, {"batch": batch}, tuple(float(s) for s in samples), extra)


def _table(readings: list[Reading], batch: int) -> Table:
    rows = tuple((i, scaled(r.baseline, "B"), scaled(r.loaded, "B"), scaled(r.peak, "B"), scaled(r.peak - r.baseline, "B")) for i, r in enumerate(readings, 1))
    return Table(
        f"Peak resident memory on the way, batch {batch}",
        ("repeat", "Python and libraries", "model loaded", "after one forward", "beyond Python and libraries"),
        rows,
    )
