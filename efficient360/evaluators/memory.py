"""Memory of the weights, of the activations of a forward pass, and of a whole process that runs one."""

import dataclasses
import statistics
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import torch

from efficient360.core.figures import Table
from efficient360.core.formatting import scaled
from efficient360.core.settings import AtLeast1, EachOnce, NotEmpty, Positive
from efficient360.core.statistics import value_range
from efficient360.evaluator import (
    BYTE,
    Better,
    Context,
    Evaluator,
    Failure,
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
from efficient360.methods.complexity.process_memory import MemoryRequest, PeakMemory, measure_process

WEIGHT_MEMORY = Metric("weight_memory", BYTE, Better.LOWER, "Bytes of parameters and buffers in memory once loaded.", low=0)
ACTIVATION_PEAK = Metric(
    "activation_peak",
    BYTE,
    Better.LOWER,
    "Peak bytes of the tensors that a forward pass creates, without weights and input; counted, so the same on every machine.",
    low=0,
)
PROCESS_PEAK = Metric(
    "process_peak",
    BYTE,
    Better.LOWER,
    "Peak resident memory of a fresh process that loads the checkpoint and runs one forward pass, including Python and its libraries.",
    low=0,
)
CUDA_PEAK = Metric(
    "cuda_peak",
    BYTE,
    Better.LOWER,
    "Peak bytes of tensors on the GPU in that process (torch.cuda.max_memory_allocated): weights, input, activations and workspaces.",
    low=0,
)
REPEATS = 3


@final
@dataclass(frozen=True)
class Memory(Evaluator):
    """Memory of weights (exact), activations (counted) and a whole process (measured).

    Each process is run three times; the value is the median, with the range from the lowest to the highest, which is no confidence interval.

    Args:
        batches: Batch sizes of the forward pass, each at least 1.
        timeout: Time limit of one process in seconds, above 0.
    """

    name: ClassVar[str] = "memory"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (WEIGHT_MEMORY, ACTIVATION_PEAK, PROCESS_PEAK, CUDA_PEAK)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MACHINE})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"batches": (), "timeout": (), "machine": ("process_peak", "cuda_peak")}
    batches: Annotated[tuple[AtLeast1, ...], NotEmpty, EachOnce] = (1, 32)
    timeout: Positive = 600.0

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Weights, then for each batch size the peak of activations and of fresh processes.

        Raises:
            Unsupported: The model is no torch model.
            OutOfTime: From ``context.deadline``.
        """
        if not isinstance(model, TorchModel):
            raise Unsupported("not-torch", f"{type(model).__name__} is not a torch model whose tensors could be counted", "evaluate the checkpoint itself")
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
        request = MemoryRequest(context.checkpoint.spec, context.checkpoint.digest, keep, model.device, batch, torch.get_num_threads(), context.seed)
        conditions = {"batch": batch}
        on_cuda = torch.device(model.device).type == "cuda"
        try:
            context.checkpoint.require_rebuildable()
        except Unsupported as error:
            yield dataclasses.replace(Failure.of(Status.UNSUPPORTED, error, PROCESS_PEAK), conditions=conditions)
            return
        runs: list[PeakMemory] = []
        for repeat in range(REPEATS):
            context.deadline.check()
            context.progress(progress[0] + repeat, progress[1])
            result = measure_process(request, self._time_limit(context))
            if isinstance(result, Failure):
                context.deadline.check()  # terminated by the time budget, not by its own limit
                yield dataclasses.replace(result, metric=PROCESS_PEAK, conditions=conditions)
                if on_cuda:
                    yield dataclasses.replace(result, metric=CUDA_PEAK, conditions=conditions)
                return
            runs.append(result)
        yield _repeated(PROCESS_PEAK, [r.peak for r in runs], batch, _stages(runs, batch))
        if on_cuda:
            yield _repeated(CUDA_PEAK, [r.device_peak for r in runs if r.device_peak is not None], batch)

    def _time_limit(self, context: Context) -> float:
        at = context.deadline.at
        return self.timeout if at is None else min(self.timeout, max(0.0, at - time.monotonic()))


def _activations(model: TorchModel, batch: int, seed: int) -> Outcome:
    generator = torch.Generator().manual_seed(seed)
    try:
        images = torch.rand((batch, *model.input_size), generator=generator).to(model.device)
        return Measurement(ACTIVATION_PEAK, activation_peak(model.module, images), conditions={"batch": batch})
    except torch.OutOfMemoryError as error:
        message = f"{model.device} ran out of memory at batch {batch}: {str(error).splitlines()[0][:200]}"
        return Failure(Status.FAILED, "out-of-memory", message, "use smaller batches", metric=ACTIVATION_PEAK, conditions={"batch": batch})


def _repeated(metric: Metric, samples: list[int], batch: int, *extra: Table) -> Measurement:
    repeats = tuple(float(s) for s in samples)
    return Measurement(metric, statistics.median(samples), len(samples), value_range(repeats), {"batch": batch}, repeats, extra, repeatable=False)


def _stages(runs: list[PeakMemory], batch: int) -> Table:
    rows = tuple((i, scaled(r.baseline, "B"), scaled(r.loaded, "B"), scaled(r.peak, "B"), scaled(r.peak - r.baseline, "B")) for i, r in enumerate(runs, 1))
    return Table(
        f"Peak resident memory by stage, batch {batch}",
        ("Repeat", "Python and libraries", "Model loaded", "After forward pass", "Without Python and libraries"),
        rows,
    )
