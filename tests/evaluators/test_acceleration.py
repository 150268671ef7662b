"""The acceleration evaluator on a device whose times and operators are written by hand: every number against arithmetic; once for real."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from efficient360 import conformance
from efficient360.deployment.devices.device import Device, DeviceDescription, DeviceReading, Job, Schedule, TimingBlock
from efficient360.deployment.hardware_fit import networks
from efficient360.deployment.hardware_fit.matched_cnn import MatchedCnn
from efficient360.deployment.hardware_fit.networks import MatmulNetwork, gemm_macs, gemm_network
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.building import ModelSource
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Delegation, Precision
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Context, Deadline, Failure, Measurement, Model, Outcome, OutOfTime, Status, TorchModel
from efficient360.evaluators import acceleration
from efficient360.evaluators.acceleration import Acceleration
from efficient360.execution.plan import configure
from efficient360.methods.complexity.mac_count import count_macs

CPU = "CPUExecutionProvider"
TIMES = {
    ("onnxruntime", "own"): 2e-3,
    ("onnxruntime", "twin"): 1e-3,
    ("onnxruntime", "products"): 20e-3,
    ("openvino", "own"): 1e-3,
    ("openvino", "twin"): 4e-3,
    ("openvino", "products"): 10e-3,
    ("executorch", "own"): 5e-3,
    ("executorch", "twin"): 5e-3,
}
OPERATORS = {
    "onnxruntime": [("MatMul", 3.0, CPU), ("Softmax", 1.0, CPU)],
    "openvino": [("FullyConnected", 4.0, "brgemm_avx2_f32"), ("Softmax", 0.5, "jit_avx2_f32"), ("Concat", 0.5, "ref_f32"), ("Transpose", 3.0, "unknown_f32")],
}


@dataclass
class Handmade(Device):
    """Tells the times above; ``wrong`` names runtimes whose answers are wrong."""

    modules: dict[str, Any]
    wrong: tuple[str, ...] = ()
    profiled: list[str] = field(default_factory=list)
    logits: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "local"

    def describe(self) -> DeviceDescription:
        raise NotImplementedError

    def measure(self, jobs: Sequence[Job], images: Path, schedule: Schedule, told: Any) -> Iterator[tuple[Job, DeviceReading | Failure]]:
        pixels = torch.from_numpy(np.load(images))
        for job in jobs:
            module = self.modules[job.artefact.digest]
            role = {MatmulNetwork: "products", MatchedCnn: "twin"}.get(type(module.network), "own")
            seconds = TIMES[job.artefact.runtime, role]
            if job.artefact.digest not in self.logits:
                with torch.no_grad():
                    self.logits[job.artefact.digest] = module(pixels).numpy()
            told(1, 1)
            block = TimingBlock([seconds] * 10, [seconds] * 10, 10 * seconds)
            sign = -1 if job.artefact.runtime in self.wrong else 1
            yield job, DeviceReading([block] * 6, (), True, 1, "1.0", None, None, sign * self.logits[job.artefact.digest])

    def operators(self, artefact: Artefact, images: Path, threads: int, timeout: float) -> Sequence[Mapping[str, Any]] | Failure:
        self.profiled.append(artefact.runtime)
        if artefact.runtime not in OPERATORS:
            return Failure(Status.UNSUPPORTED, "no-profiler", "it has none")
        return [{"name": kind, "kind": kind, "seconds": seconds, "place": place} for kind, seconds, place in OPERATORS[artefact.runtime]]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Handmade:
    found = Handmade({})

    def build(source: ModelSource, runtime: str, precision: Precision) -> Artefact | Failure:
        if runtime == "ncnn":
            return Failure(Status.UNSUPPORTED, "no-operator", "ncnn lacks aten.roll")
        found.modules[source.identity] = source.module
        delegation = Delegation("XNNPACK", 3, 4, 2, {"aten_native_layer_norm_default": 1}) if runtime == "executorch" else None
        return Artefact(runtime, precision, 1, source.size, Path("nowhere"), source.identity, 1, {}, 0.0, Converted({}, {}, delegation))

    monkeypatch.setattr(networks, "build", build)
    monkeypatch.setattr(networks, "gemm_network", lambda: gemm_network(8, 8, 1))  # no time is taken of it
    monkeypatch.setattr(acceleration, "device_from_address", lambda address: found)
    return found


@pytest.fixture(scope="module")
def subject() -> conformance.Subject:
    return conformance.subject()


@pytest.fixture
def context(subject: conformance.Subject, tmp_path: Path) -> Context:
    return Context(subject.checkpoint, None, None, 0, 8, Deadline(), tmp_path)


@pytest.fixture(scope="module")
def macs(subject: conformance.Subject) -> int:
    return count_macs(subject.model.network, torch.zeros((1, 3, 32, 32))).products


def value(outcomes: list[Outcome], metric: str, runtime: str | None = None) -> float:
    found = [o for o in outcomes if isinstance(o, Measurement) and o.metric.name == metric and runtime in (None, o.conditions.get("runtime"))]
    assert len(found) == 1, (metric, runtime, found)
    return found[0].value


def failure(outcomes: list[Outcome], metric: str, runtime: str) -> Failure:
    return next(o for o in outcomes if isinstance(o, Failure) and o.metric is not None and o.metric.name == metric and o.conditions.get("runtime") == runtime)


def test_every_number_by_hand(place, subject, context, macs) -> None:
    outcomes = list(Acceleration(("onnxruntime", "openvino", "executorch"), threads=1).evaluate(subject.model, context))
    peak = gemm_macs() / 10e-3
    assert value(outcomes, "peak_macs") == pytest.approx(peak)
    assert value(outcomes, "utilisation", "onnxruntime") == pytest.approx(macs / 2e-3 / peak)
    assert value(outcomes, "utilisation", "openvino") == pytest.approx(macs / 1e-3 / peak)
    beside = count_macs(next(m.network for m in place.modules.values() if isinstance(m.network, MatchedCnn)), torch.zeros((1, 3, 32, 32))).products
    assert value(outcomes, "twin_ratio", "onnxruntime") == pytest.approx(macs / 2e-3 / (beside / 1e-3))
    assert value(outcomes, "twin_ratio", "executorch") == pytest.approx(macs / beside)
    assert value(outcomes, "product_time_share", "onnxruntime") == 0.75
    assert value(outcomes, "product_time_share", "openvino") == 0.5
    assert failure(outcomes, "product_time_share", "executorch").code == "no-profiler"
    assert failure(outcomes, "delegated_operators", "onnxruntime").code == "cpu-only"
    assert value(outcomes, "delegated_operators", "openvino") == pytest.approx(2 / 3)
    assert value(outcomes, "delegated_operators", "executorch") == 0.75
    assert value(outcomes, "delegated_macs") == 1
    assert value(outcomes, "partitions") == 2


def test_its_pictures(place, subject, context) -> None:
    outcomes = list(Acceleration(("onnxruntime", "openvino", "executorch"), threads=1).evaluate(subject.model, context))
    drawn = [figure for outcome in outcomes if isinstance(outcome, Measurement) for figure in outcome.extra]
    tables = {figure.title: figure for figure in drawn}
    assert len(tables) == len(drawn)
    classes = {row[0]: row[1:] for row in tables["Time of one call by class of operator"].rows}
    assert classes["matrix product"] == ("3.00 s (75 %)", "4.00 s (50 %)")
    assert classes["data movement"] == ("", "3.50 s (44 %)")
    assert classes["all"] == ("4.00 s", "8.00 s")
    bound = {row[0]: row[1:] for row in tables["The best operators of all libraries together: a bound that none reaches"].rows}
    assert bound["matrix product"] == ("onnxruntime:fp32", "3.00 s")
    assert bound["softmax"] == ("openvino:fp32", "500 ms")
    assert bound["sum, a lower bound on time"] == ("at most 1.14 × as fast as onnxruntime:fp32", "3.50 s")
    assert tables["Operators that the fast path leaves"].rows == (
        ("openvino:fp32", "optimised kernels", "Concat", "data movement", 1),
        ("executorch:fp32", "XNNPACK", "aten_native_layer_norm_default", "normalisation", 1),
    )
    assert "random weights" in tables["The convolutional twin"].rows[0][1]


def test_wrong_answers_and_failed_conversions_have_no_speed_and_leave_the_others(place, subject, context) -> None:
    place.wrong = ("openvino",)
    outcomes = list(Acceleration(("ncnn", "openvino", "onnxruntime"), threads=1).evaluate(subject.model, context))
    assert failure(outcomes, "utilisation", "ncnn").message == "ncnn lacks aten.roll"
    assert failure(outcomes, "twin_ratio", "ncnn").code == "no-operator"
    assert failure(outcomes, "utilisation", "openvino").code == "parity"
    assert value(outcomes, "peak_macs") == pytest.approx(gemm_macs() / 20e-3)
    assert value(outcomes, "utilisation", "onnxruntime") > 0
    assert "ncnn" not in place.profiled


def test_without_a_fast_runtime_there_is_no_peak(place, subject, context, monkeypatch) -> None:
    monkeypatch.setattr(catalogue, "installed", lambda: ["torch", "executorch"])
    outcomes = list(Acceleration(("executorch",), threads=1).evaluate(subject.model, context))
    missing = failure(outcomes, "utilisation", "executorch")
    assert (missing.status, missing.code) == ("unsupported", "no-peak")
    assert "ONNX Runtime, OpenVINO, LiteRT" in missing.message
    assert value(outcomes, "twin_ratio", "executorch") > 0


def test_the_peak_is_taken_in_a_fast_runtime_though_another_was_asked_for(place, subject, context, monkeypatch) -> None:
    monkeypatch.setattr(catalogue, "installed", lambda: ["onnxruntime", "executorch"])
    outcomes = list(Acceleration(("executorch",), threads=1).evaluate(subject.model, context))
    assert value(outcomes, "peak_macs") == pytest.approx(gemm_macs() / 20e-3)
    assert not [o for o in outcomes if o.conditions.get("runtime") == "onnxruntime"]


def test_none_installed(subject, context, monkeypatch) -> None:
    monkeypatch.setattr(catalogue, "installed", lambda: ["torch"])
    with pytest.raises(Unsupported, match="none of the runtimes is installed: onnxruntime, openvino, litert, executorch"):
        list(Acceleration().evaluate(subject.model, context))


def test_a_model_without_a_network(context) -> None:
    class Opaque(Model):
        num_classes, input_size = 3, (3, 8, 8)

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            return images

    with pytest.raises(Unsupported, match="Opaque is no network whose multiply-adds could be counted"):
        list(Acceleration().evaluate(Opaque(), context))


def test_out_of_time(place, subject, context) -> None:
    late = Context(context.checkpoint, None, None, 0, 8, Deadline(at=0.0), context.scratch)
    with pytest.raises(OutOfTime):
        list(Acceleration(("executorch",)).evaluate(subject.model, late))


@pytest.mark.parametrize(
    ("settings", "code", "named"),
    [
        ({"runtimes": ["tensorrt?"]}, "unknown-runtime", "'tensorrt'"),
        ({"runtimes": []}, "bad-setting", "runtimes"),
        ({"device": "moon"}, "unknown-device", "'moon'"),
        ({"threads": -1}, "bad-setting", "threads"),
        ({"runs": 2}, "bad-setting", "runs"),
        ({"seconds": -0.5}, "bad-setting", "seconds"),
    ],
)
def test_bad_settings(settings: dict, code: str, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(Acceleration, settings)
    assert caught.value.code == code
    assert named in caught.value.message


@pytest.mark.slow
@pytest.mark.exhaustive
def test_onnx_runtime_for_real(subject, context) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    outcomes = list(Acceleration(("onnxruntime",), threads=1, runs=6, seconds=0.1).evaluate(subject.model, context))
    assert isinstance(subject.model, TorchModel)
    assert value(outcomes, "utilisation", "onnxruntime") > 0
    assert value(outcomes, "twin_ratio", "onnxruntime") > 0
    assert 0 < value(outcomes, "product_time_share", "onnxruntime") < 1
    assert value(outcomes, "peak_macs") > 1e8
