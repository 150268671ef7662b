import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from efficient360.core.figures import Table
from efficient360.errors import OutOfTime, SettingsError, Unsupported
from efficient360.evaluator import Context, Deadline, Failure, Measurement, Model, Outcome, Status
from efficient360.evaluators import memory
from efficient360.evaluators.memory import Memory
from efficient360.execution.plan import configure
from efficient360.methods.complexity.process_memory import MemoryRequest, PeakMemory
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.references import resolve


@pytest.fixture(scope="module")
def checkpoint(tiny: Path) -> Checkpoint:
    return resolve(CheckpointSpec(str(tiny)))


def context(checkpoint: Checkpoint, deadline: Deadline | None = None) -> Context:
    return Context(checkpoint, None, None, 0, 8, deadline or Deadline(), Path())


def found(outcomes: list[Outcome], name: str, batch: int | None = None) -> Outcome:
    (one,) = (o for o in outcomes if o.metric is not None and o.metric.name == name and o.conditions.get("batch") == batch)
    return one


class Workers:
    """Stands in for real worker processes."""

    def __init__(self, *answers: PeakMemory | Failure) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[MemoryRequest, float]] = []

    def __call__(self, request: MemoryRequest, timeout: float) -> PeakMemory | Failure:
        self.requests.append((request, timeout))
        return self.answers.pop(0)


def test_weights_and_activations_by_hand(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "measure_process", Workers(*[PeakMemory(1, 2, 3)] * 3))
    model = load_model(checkpoint)
    outcomes = list(Memory(batches=(2,)).evaluate(model, context(checkpoint)))
    weights = found(outcomes, "weight_memory")
    assert isinstance(weights, Measurement)
    # Parameters, then mean and deviation of three channels, all float32.
    assert weights.value == 4 * (sum(p.numel() for p in model.network.parameters()) + 6)
    assert weights.interval is None
    activations = found(outcomes, "activation_peak", 2)
    # The normalised images stay alive throughout. The peak lies in the last block's MLP, over 16 patches and the class token: its hidden
    # layer of width 128 before and after GELU, and four rows of width 32 (what went into the blocks, what went into the last one, the sum
    # after its attention, and that normalised).
    tokens = 17
    assert activations.value == 2 * 4 * (3 * 32 * 32 + tokens * (128 + 128 + 4 * 32))
    assert activations.interval is None


def test_each_process_is_run_three_times_and_the_range_is_kept(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers(PeakMemory(100, 200, 300_000_000), PeakMemory(100, 200, 310_000_000), PeakMemory(100, 200, 290_000_000))
    monkeypatch.setattr(memory, "measure_process", workers)
    progress: list[tuple[int, int]] = []
    where = replace(context(checkpoint), progress=lambda done, total: progress.append((done, total)))
    peak = found(list(Memory(batches=(4,)).evaluate(load_model(checkpoint, keep=(1, 5)), where)), "process_peak", 4)
    assert isinstance(peak, Measurement)
    assert (peak.value, peak.n, peak.samples) == (300e6, 3, (300e6, 310e6, 290e6))
    assert (peak.interval.low, peak.interval.high, peak.interval.method) == (290e6, 310e6, "range")
    (table,) = peak.extra
    assert isinstance(table, Table)
    assert table.rows[0] == (1, "100 B", "200 B", "300 MB", "300 MB")
    request, timeout = workers.requests[0]
    assert request == MemoryRequest(checkpoint.spec, checkpoint.digest, (1, 5), "cpu", 4, torch.get_num_threads(), 0)
    assert timeout == 600
    assert progress == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_off_cuda_nothing_is_said_of_cuda(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "measure_process", Workers(*[PeakMemory(1, 2, 3)] * 6))
    outcomes = list(Memory().evaluate(load_model(checkpoint), context(checkpoint)))
    named = [(o.metric.name, o.conditions.get("batch")) for o in outcomes]
    assert named == [("weight_memory", None), ("activation_peak", 1), ("process_peak", 1), ("activation_peak", 32), ("process_peak", 32)]


def test_a_worker_that_crashed_costs_its_own_number_only(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = Failure(Status.FAILED, "worker-crashed", "the process that ran batch 1 was ended by SIGSEGV")
    workers = Workers(PeakMemory(1, 2, 3), crash, *[PeakMemory(1, 2, 3)] * 3)
    monkeypatch.setattr(memory, "measure_process", workers)
    outcomes = list(Memory(batches=(1, 2)).evaluate(load_model(checkpoint), context(checkpoint)))
    assert found(outcomes, "process_peak", 1) == replace(crash, metric=memory.PROCESS_PEAK, conditions={"batch": 1})
    assert isinstance(found(outcomes, "process_peak", 2), Measurement)
    assert isinstance(found(outcomes, "activation_peak", 1), Measurement)
    assert workers.answers == []


def test_the_time_budget_ends_a_worker_and_the_evaluation(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now)
    given: list[float] = []

    def worker(request: MemoryRequest, timeout: float) -> Failure:
        given.append(timeout)
        monkeypatch.setattr("time.monotonic", lambda: now + 100)
        return Failure(Status.FAILED, "worker-timeout", "too long")

    monkeypatch.setattr(memory, "measure_process", worker)
    with pytest.raises(OutOfTime):
        list(Memory(batches=(1,)).evaluate(load_model(checkpoint), context(checkpoint, Deadline(now + 50))))
    assert given == [50]


def test_a_budget_that_is_spent_starts_nothing(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers()
    monkeypatch.setattr(memory, "measure_process", workers)
    with pytest.raises(OutOfTime):
        list(Memory().evaluate(load_model(checkpoint), context(checkpoint, Deadline(0.0))))
    assert workers.requests == []


def test_a_device_without_room_is_a_failure(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

    monkeypatch.setattr(memory, "activation_peak", full)
    monkeypatch.setattr(memory, "measure_process", Workers(*[PeakMemory(1, 2, 3)] * 3))
    failure = found(list(Memory(batches=(8,)).evaluate(load_model(checkpoint), context(checkpoint))), "activation_peak", 8)
    assert isinstance(failure, Failure)
    assert (failure.code, failure.message) == ("out-of-memory", "cpu ran out of memory at batch 8: CUDA out of memory. Tried to allocate 2 GiB")


def test_an_artefact_is_not_supported(checkpoint: Checkpoint) -> None:
    class Artefact(Model):
        num_classes = 10
        input_size = (3, 32, 32)

        def __call__(self, images: Tensor) -> Tensor:
            return images

    with pytest.raises(Unsupported) as caught:
        list(Memory().evaluate(Artefact(), context(checkpoint)))
    assert caught.value.code == "not-torch"
    assert "Artefact" in caught.value.message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batches": ()}, "batches of memory is []"),
        ({"batches": (1, 0)}, "batches of memory"),
        ({"batches": (2, 2)}, "batches of memory is [2, 2]"),
        ({"timeout": 0.0}, "timeout of memory is 0.0"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(Memory, settings)
    assert caught.value.code == "bad-setting"
    assert message in caught.value.message


@pytest.mark.slow
def test_real_processes(checkpoint: Checkpoint) -> None:
    outcomes = list(Memory(batches=(1,)).evaluate(load_model(checkpoint, keep=(0, 3)), context(checkpoint)))
    peak = found(outcomes, "process_peak", 1)
    assert isinstance(peak, Measurement), peak
    assert 1e8 < peak.value < 5e9  # Python with torch takes hundreds of megabytes, this model next to none
    assert len(peak.samples) == 3
    assert peak.interval.low <= peak.value <= peak.interval.high


@pytest.mark.slow
@pytest.mark.exhaustive
def test_weights_that_changed_or_vanished_are_failures_of_the_process_alone(checkpoint: Checkpoint) -> None:
    model = load_model(checkpoint)
    changed = list(Memory(batches=(1,)).evaluate(model, context(replace(checkpoint, digest="0" * 64))))
    failure = found(changed, "process_peak", 1)
    assert isinstance(failure, Failure)
    assert failure.code == "weights-changed"
    assert isinstance(found(changed, "activation_peak", 1), Measurement)
    gone = replace(checkpoint, spec=CheckpointSpec("./gone.safetensors"))
    failure = found(list(Memory(batches=(1,)).evaluate(model, context(gone))), "process_peak", 1)
    assert isinstance(failure, Failure)
    assert "gone.safetensors" in failure.message


def test_on_cuda_the_device_has_a_peak_of_its_own(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_activations", lambda *_: Measurement(memory.ACTIVATION_PEAK, 1, conditions={"batch": 1}))
    monkeypatch.setattr(memory, "measure_process", Workers(*[PeakMemory(1, 2, 3, peak) for peak in (70, 90, 80)]))
    model = replace(load_model(checkpoint), device="cuda:0")
    peak = found(list(Memory(batches=(1,)).evaluate(model, context(checkpoint))), "cuda_peak", 1)
    assert isinstance(peak, Measurement)
    assert (peak.value, peak.samples, peak.interval.low, peak.interval.high) == (80, (70, 90, 80), 70, 90)
    crash = Failure(Status.FAILED, "worker-crashed", "no room")
    monkeypatch.setattr(memory, "measure_process", Workers(crash))
    outcomes = list(Memory(batches=(1,)).evaluate(model, context(checkpoint)))
    assert [o.metric.name for o in outcomes if isinstance(o, Failure)] == ["process_peak", "cuda_peak"]


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_cuda_device(checkpoint: Checkpoint) -> None:
    model = load_model(checkpoint, "cuda")
    outcomes = list(Memory(batches=(1,)).evaluate(model, context(checkpoint)))
    weights, activations, peak = (found(outcomes, name, batch) for name, batch in (("weight_memory", None), ("activation_peak", 1), ("cuda_peak", 1)))
    assert peak.value >= weights.value + activations.value + 4 * 3 * 32 * 32
