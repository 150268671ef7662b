"""What becomes of a model on a device, on a device of our own that starts no process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_cells import made_device, made_model

from efficient360.benchmark import run
from efficient360.benchmark.cells import RuntimeFacts
from efficient360.benchmark.measurement import InterleavedRun
from efficient360.benchmark.plan import PendingCell
from efficient360.benchmark.run import convert
from efficient360.benchmark.store import CellStore
from efficient360.benchmark.workloads import Workload
from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.device import ColdStart, Device, DeviceReading, Schedule, TimingBlock
from efficient360.deployment.runtimes.building import ModelSource
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Delegation, Precision
from efficient360.errors import Efficient360Error

REFERENCE = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
TIMES = (0.010, 0.011, 0.012, 0.050)


def reading(logits=REFERENCE):
    blocks = tuple(TimingBlock(TIMES, TIMES, sum(TIMES)) for _ in range(3))
    return DeviceReading(blocks, (ColdStart(0.2, 0.1, 0.02),), True, 1, "1.0", 90_000_000, 40_000_000, logits)


class Scripted(Device):
    """Yields what it was given, and raises an error in its place."""

    def __init__(self, outcomes):
        self.outcomes = outcomes

    name = "scripted"

    def describe(self):
        raise NotImplementedError

    def operators(self, artefact, images, threads, timeout):
        raise NotImplementedError

    def measure(self, jobs, images, schedule, told):
        for job in jobs:
            outcome = self.outcomes[job.artefact.runtime]
            if isinstance(outcome, Exception):
                raise outcome
            yield job, outcome


def artefact(runtime, precision=Precision.FP32):
    return Artefact(runtime, precision, 1, (3, 4, 4), Path("x"), "d", 100, {"onnx": "1"}, 2.0, Converted({}, {"tuned": False}, Delegation("XNNPACK", 3, 4, 1)))


def fill(tmp_path, outcomes, built=None, absent=()):
    store = CellStore(tmp_path)
    store.prepare()
    built = built or {(runtime, Precision.FP32): artefact(runtime) for runtime in outcomes}
    pending = [
        PendingCell(f"key-{runtime}", (runtime, precision), RuntimeFacts(runtime, runtime.title(), "" if runtime in absent else "1.0", precision, 1, 1))
        for runtime, precision in built
    ]
    workload = Workload(made_model(), ModelSource("id", None, (3, 4, 4), None, tmp_path), np.zeros((4, 3, 4, 4), np.float32), REFERENCE)
    unit = InterleavedRun(workload, 1, Scripted(outcomes), made_device(), pending, built, tmp_path / "probes.npy", Schedule(), 0)
    cells = unit.fill(store, lambda done, total: None)
    assert store.cells() == cells
    return store, {cell.target.runtime: cell for cell in cells}


def test_numbers_are_those_of_the_raw_times(tmp_path):
    store, cells = fill(tmp_path, {"litert": reading()})
    found = cells["litert"]
    assert found.rankable.p50 == pytest.approx(np.median(TIMES * 3))
    assert found.rankable.cold == (ColdStart(0.2, 0.1, 0.02),)
    assert (found.artefact.bytes, found.artefact.delegated) == (100, 0.75)
    raw = (store.folder / found.samples).read_text().splitlines()
    assert len(raw) == 1
    assert '"wall_us":[[10000.0,11000.0,12000.0,50000.0],' in raw[0]


def test_one_that_fails_takes_nothing_with_it(tmp_path):
    crashed = Failure(Status.FAILED, "worker-crashed", "the worker was ended by SIGSEGV in timing", "the other results are not touched by it")
    _, cells = fill(tmp_path, {"litert": reading(), "mnn": crashed, "ncnn": reading(REFERENCE + 5 * REFERENCE[::-1])})
    assert cells["litert"].rankable is not None
    assert (cells["mnn"].gap.stage, cells["mnn"].gap.code, cells["mnn"].samples) == ("measurement", "worker-crashed", "")
    assert cells["ncnn"].measured is not None
    assert "of their spread" in cells["ncnn"].exclusion_reason


def test_a_conversion_without_artefact_and_a_runtime_that_is_not_there(tmp_path):
    lacks = Failure(Status.UNSUPPORTED, "no-operator", "MNN lacks aten.roll", "take another runtime")
    built = {("mnn", Precision.FP32): lacks, ("ncnn", Precision.FP32): artefact("ncnn"), ("litert", Precision.FP32): artefact("litert")}
    _, cells = fill(tmp_path, {"litert": reading()}, built, absent=("ncnn", "mnn"))
    assert (cells["mnn"].gap.stage, cells["mnn"].gap.message, cells["mnn"].artefact) == ("conversion", "MNN lacks aten.roll", None)
    assert (cells["ncnn"].gap.code, cells["ncnn"].gap.message) == ("runtime-not-on-device", "Ncnn is not installed on local")
    assert cells["litert"].rankable is not None


def test_a_device_that_is_lost_in_the_middle_leaves_what_it_gave(tmp_path):
    lost = Efficient360Error("device-unreachable", "pi@host no longer answers", "look at the cable")
    _, cells = fill(tmp_path, {"litert": reading(), "mnn": lost, "ncnn": reading()})
    assert cells["litert"].rankable is not None
    assert [cells[name].gap.message for name in ("mnn", "ncnn")] == ["pi@host no longer answers"] * 2


def test_a_converter_that_crashed_is_not_waited_for_again(tmp_path, monkeypatch):
    asked = []

    def build(source, runtime, precision, batch):
        asked.append(runtime)
        return Failure(Status.FAILED, "conversion-hung", "it took longer than 900 s", "") if runtime == "torch" else artefact(runtime)

    monkeypatch.setattr(run, "build", build)
    workload = Workload(made_model(), ModelSource("id", None, (3, 4, 4), None, tmp_path), REFERENCE, REFERENCE)
    targets = [("torch", Precision.FP32), ("onnxruntime", Precision.FP32)]
    told: list[Any] = []
    first = convert(workload, targets, 1, False, told.append)
    assert told == ["torch:fp32", "onnxruntime:fp32"]
    assert convert(workload, targets, 1, False, told.append) == first
    assert asked == ["torch", "onnxruntime", "onnxruntime"]
    assert first["torch", Precision.FP32].code == "conversion-hung"
    convert(workload, targets, 1, True, told.append)
    assert asked[-2:] == ["torch", "onnxruntime"]
    convert(workload, targets, 2, False, told.append)
    assert asked[-2:] == ["torch", "onnxruntime"]  # another batch is another conversion
