"""The latency evaluator on a linear network that a plug-in runtime runs in numpy: conversions and workers are real, and quick."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from efficient360 import conformance
from efficient360.deployment.artefact import run_artefact
from efficient360.deployment.runtimes import calibration_images
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.runtime import Artefact, Precision
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Context, Deadline, Failure, Measurement, Model, OutOfTime
from efficient360.evaluators.latency import Latency
from efficient360.execution.plan import configure
from efficient360.models.model import PixelsToLogits, TorchModel

SIZE = (3, 4, 4)
RUNTIME = '''
"""A linear network in numpy: converter and session in one file."""

from pathlib import Path
from typing import ClassVar, final

import numpy as np

MODULES = ("numpy",)


def version():
    return "1.0"


def load(folder, settings):
    data = np.load(f"{{folder}}/weights.npz")
    scale = settings["scale"]
    return lambda x: (x.reshape(len(x), -1) @ data["w"].T + data["b"]) * scale


try:
    from efficient360.deployment.runtimes.runtime import Converted, Precision, Runtime
except ImportError:  # on a device
    pass
else:
    @final
    class Linear(Runtime):
        name: ClassVar[str] = "{name}"
        title: ClassVar[str] = "Linear in numpy"
        extra: ClassVar[str] = ""
        converts_with: ClassVar = ("torch",)
        precisions: ClassVar = (Precision.FP32, Precision.INT8)
        session: ClassVar = Path(__file__)

        def convert(self, build):
            from efficient360.errors import Unsupported
            from efficient360.deployment.runtimes.program import load_program

            if {unsupported}:
                raise Unsupported("no-operator", "Linear in numpy lacks aten.softmax", "take another")
            state = {{k.rpartition(".")[2]: v.numpy() for k, v in load_program(build.program).state_dict.items() if k.startswith("network")}}
            np.savez(build.folder / "weights.npz", w=state["weight"], b=state["bias"])
            if build.calibration is not None:
                assert np.load(build.calibration).shape[1:] == {size}
            return Converted(settings={{"scale": {scale}}}, facts={{"kernel": "BLAS"}})

    RUNTIME = Linear()
'''


@pytest.fixture
def runtime(tmp_path: Path):
    def write(name: str = "linear", scale: float = 1.0, unsupported: bool = False) -> str:
        path = tmp_path / f"{name}.py"
        path.write_text(RUNTIME.format(name=name, scale=scale, unsupported=unsupported, size=SIZE))
        return str(path)

    return write


@pytest.fixture(scope="module")
def model() -> TorchModel:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(48, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x.flatten(1))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = PixelsToLogits(Flat(), [0.0] * 3, [1.0] * 3, None).eval().requires_grad_(False)
    return TorchModel(module, SIZE, 5)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Context(conformance.subject().checkpoint, None, None, 0, 8, Deadline(), scratch, artefacts=tmp_path / "artefacts")


def measured(outcomes: list, metric: str, **conditions: Any) -> Measurement:
    found = [o for o in outcomes if isinstance(o, Measurement) and o.metric.name == metric and conditions.items() <= o.conditions.items()]
    assert len(found) == 1, (metric, [o.conditions for o in found])
    return found[0]


@pytest.mark.slow
def test_one_runtime_gives_times_memory_bytes_and_parity(runtime, model, context) -> None:
    outcomes = list(Latency((runtime(),), threads=1, batches=(1, 4), runs=12, seconds=0.02).evaluate(model, context))
    p50 = measured(outcomes, "latency_p50")
    assert p50.conditions == {"runtime": "linear", "precision": "fp32", "device": "local", "batch": 1}
    assert p50.value == pytest.approx(np.median(p50.samples), rel=1e-5)
    assert len(p50.samples) == p50.n >= 3
    assert p50.interval is not None
    assert p50.interval.low <= p50.value <= p50.interval.high
    best = measured(outcomes, "best_latency")
    assert best.value == p50.value
    assert measured(outcomes, "throughput", batch=1).value == pytest.approx(1 / p50.value)
    assert measured(outcomes, "throughput", batch=4).value > 0
    [artefact] = context.artefacts.glob("linear-fp32-b1-*/files")
    assert measured(outcomes, "artefact_bytes").value == sum(f.stat().st_size for f in artefact.iterdir())
    assert "over 3 processes" in p50.interval.method
    memory, cold = measured(outcomes, "runtime_memory"), measured(outcomes, "cold_start")
    assert memory.value > 5e6
    for repeated in (memory, cold):
        assert (repeated.n, repeated.interval.method, repeated.interval.level) == (3, "range", None)
    assert measured(outcomes, "logit_difference", batch=1).value < 1e-5
    assert measured(outcomes, "top1_agreement", batch=1).value == 1
    titles = [figure.title for figure in best.extra]
    assert titles[:3] == ["Median time of one image by runtime", "Median of each block, in the order taken", "Every artefact"]


@pytest.mark.slow
def test_wrong_answers_have_no_latency(runtime, model, context) -> None:
    outcomes = list(Latency((runtime("wrong", scale=-1.0),), threads=1, runs=6, seconds=0.0).evaluate(model, context))
    assert not [o for o in outcomes if isinstance(o, Measurement) and o.metric.name in ("latency_p50", "best_latency", "throughput")]
    failures = {o.metric.name: o for o in outcomes if isinstance(o, Failure) and o.metric is not None}
    assert failures["latency_p50"].code == "parity"
    assert "does not answer as the checkpoint does" in failures["latency_p50"].message
    assert failures["best_latency"].code == "no-latency"
    assert measured(outcomes, "logit_difference").value > 0.5


@pytest.mark.slow
def test_the_best_is_the_fastest_that_agrees_and_a_failure_leaves_the_others(runtime, model, context) -> None:
    asked = (runtime("wrong", scale=-1.0), runtime("lacking", unsupported=True), runtime("right"))
    outcomes = list(Latency(asked, threads=1, runs=6, seconds=0.0).evaluate(model, context))
    assert measured(outcomes, "best_latency").conditions["runtime"] == "right"
    lacking = next(o for o in outcomes if isinstance(o, Failure) and o.conditions.get("runtime") == "lacking")
    assert (lacking.status, lacking.code, lacking.message) == ("unsupported", "no-operator", "Linear in numpy lacks aten.softmax")


@pytest.mark.slow
def test_without_a_counter_energy_is_told_once_as_not_measured(runtime, model, context) -> None:
    outcomes = list(Latency((runtime(),), threads=1, runs=6, seconds=0.0).evaluate(model, context))
    told = [o for o in outcomes if o.metric is not None and o.metric.name == "energy_per_image"]
    assert len(told) == 1  # a measurement where the machine has a counter


@pytest.mark.slow
def test_a_deployed_model_answers_as_its_artefact_and_is_what_latency_measures(runtime, model, context) -> None:
    source = ModelSource("x", model.module, SIZE, None, context.scratch)
    artefact = build(source, runtime(scale=2.0), Precision.FP32)
    assert isinstance(artefact, Artefact)
    pixels = calibration_images.synthetic_images(SIZE, 7, 1)
    with run_artefact(artefact, 5) as running:
        found = calibration_images.logits_of(running, pixels)
        assert running.input_size == SIZE
        assert running.num_classes == 5
        np.testing.assert_allclose(found, 2 * calibration_images.logits_of(model, pixels), rtol=1e-4, atol=1e-5)
        together = running(torch.from_numpy(pixels))
        np.testing.assert_allclose(together.numpy(), found, rtol=1e-5, atol=1e-6)
        outcomes = list(Latency(("torch",), threads=1, runs=6, seconds=0.0).evaluate(running, context))
    assert measured(outcomes, "latency_p50").conditions["runtime"] == "linear"


@pytest.mark.slow
def test_int8_without_data_says_what_to_add(runtime, model, context) -> None:
    outcomes = list(Latency((runtime() + ":int8",), threads=1, runs=6, seconds=0.0).evaluate(model, context))
    failure = next(o for o in outcomes if isinstance(o, Failure) and o.code == "no-calibration")
    assert failure.hint == "add --dataset"


@pytest.mark.slow
def test_int8_is_calibrated_with_the_training_split(runtime, model, context, monkeypatch) -> None:
    calls = []

    def sample_images(examples, n, seed):
        calls.append((examples, n))
        return calibration_images.synthetic_images(SIZE, n, seed)

    monkeypatch.setattr(calibration_images, "sample_images", sample_images)
    both = dataclasses.replace(context, examples="evaluated", training="training")
    outcomes = list(Latency((runtime() + ":int8",), threads=1, runs=6, seconds=0.0).evaluate(model, both))
    assert measured(outcomes, "latency_p50").conditions["precision"] == "int8"
    assert ("training", calibration_images.CALIBRATION) in calls


def test_the_time_budget_ends_it(runtime, model, context) -> None:
    with pytest.raises(OutOfTime):
        list(Latency((runtime(),)).evaluate(model, dataclasses.replace(context, deadline=Deadline(at=0.0))))


def test_a_model_of_another_kind_is_unsupported(context) -> None:
    class Other(Model):
        num_classes = 5
        input_size = SIZE

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(images), 5)

    with pytest.raises(Unsupported, match="Other is no network that could be converted"):
        list(Latency(("torch",)).evaluate(Other(), context))


@pytest.mark.parametrize(
    ("settings", "code", "named"),
    [
        ({"runtimes": ["tensorflow"]}, "unknown-runtime", "'tensorflow'"),
        ({"runtimes": ["torch:int4"]}, "unknown-precision", "'int4'"),
        ({"device": "toaster"}, "unknown-device", "'toaster'"),
        ({"batches": [8]}, "bad-setting", "batches"),
        ({"batches": [1, 0]}, "bad-setting", "batches"),
        ({"batches": [1, 8, 8]}, "bad-setting", "batches"),
        ({"runs": 2}, "bad-setting", "runs"),
        ({"threads": -1}, "bad-setting", "threads"),
        ({"seconds": -0.5}, "bad-setting", "seconds"),
    ],
)
def test_bad_settings_are_named(settings: dict, code: str, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(Latency, settings)
    assert caught.value.code == code
    assert named in caught.value.message


def test_a_question_mark_leaves_out_what_is_not_installed(monkeypatch) -> None:
    from efficient360.deployment.runtimes import catalogue

    monkeypatch.setattr(catalogue, "installed", lambda: ["torch"])
    assert list(Latency(("torch", "onnxruntime?")).cache_dependencies()) == ["torch"]
    assert list(Latency(("installed",)).cache_dependencies()) == ["torch"]
    assert list(Latency(("torch", "onnxruntime")).cache_dependencies()) == ["torch", "onnxruntime"]
