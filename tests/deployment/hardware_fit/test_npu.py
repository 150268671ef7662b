"""An accelerator compiler's summary read by hand; what a missing package and a compiler that fails say."""

import importlib.util
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from efficient360.core.measurement import Failure, Measurement
from efficient360.deployment.hardware_fit.metrics import estimate_outcomes
from efficient360.deployment.hardware_fit.npu import Estimate, estimate, parsed
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Precision

SUMMARY = "experiment,network,system_config,inference_time,nn_macs\ndefault,model,Ethos_U85_SYS_DRAM_Mid,0.0799,1258000000\n"
SAID = "CPU operators = 10 (7.7%)\nNPU operators = 120 (92.3%)\n"


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    return Artefact("litert", Precision.FP32, 1, (3, 8, 8), tmp_path, "digest", 1, {}, 0.0, Converted({"model": "model.tflite"}))


def test_the_summary_by_hand() -> None:
    found = parsed(SUMMARY, SAID)
    assert isinstance(found, Estimate)
    assert (found.seconds, found.system) == (0.0799, "Ethos_U85_SYS_DRAM_Mid")
    assert found.operators == pytest.approx(0.923)


@pytest.mark.parametrize(("summary", "said"), [(SUMMARY, "NPU operators = 0 (0.0%)"), (SUMMARY, ""), ("", SAID)])
def test_nothing_on_the_accelerator_is_no_estimate(summary: str, said: str) -> None:
    found = parsed(summary, said)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == ("unsupported", "npu-refused")


def test_it_is_always_labelled() -> None:
    for outcome in estimate_outcomes(parsed(SUMMARY, SAID)):
        assert isinstance(outcome, Measurement)
        assert outcome.conditions == {"estimate": "ethos-u-vela", "accelerator": "ethos-u85-256", "system": "Ethos_U85_SYS_DRAM_Mid"}
    [failed] = estimate_outcomes(parsed("", ""))
    assert failed.conditions == {"estimate": "ethos-u-vela", "accelerator": "ethos-u85-256"}


def test_a_missing_package_names_the_extra(artefact: Artefact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ethosu" else object())
    found = estimate(artefact, artefact.folder / "images.npy", 1.0)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == ("unsupported", "npu-not-installed")
    assert "needs ethosu, not installed" in found.message
    assert "efficient360[npu]" in found.hint


@pytest.mark.parametrize(
    ("process", "code", "words"),
    [
        (lambda *a, **k: subprocess.CompletedProcess(a, 1, "", "Traceback\nValueError: no such operator\n"), "npu-failed", "ValueError: no such operator"),
        (lambda *a, **k: subprocess.CompletedProcess(a, -11, "", ""), "npu-failed", "it ended with code -11"),
        (lambda *a, **k: (_ for _ in ()).throw(subprocess.TimeoutExpired("vela", 1.0)), "npu-slow", "took longer than 1 s"),
    ],
)
def test_a_compiler_that_fails(artefact: Artefact, monkeypatch: pytest.MonkeyPatch, process, code: str, words: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr("subprocess.run", process)
    found = estimate(artefact, artefact.folder / "images.npy", 1.0)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == ("failed", code)
    assert words in found.message


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_convolution_for_real(tmp_path: Path) -> None:
    for module in ("ethosu", "ai_edge_quantizer", "litert_torch"):
        pytest.importorskip(module)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, 5)).eval()
    images = np.random.default_rng(0).random((4, 3, 8, 8), np.float32)
    np.save(tmp_path / "images.npy", images)
    made = build(ModelSource("small", network, (3, 8, 8), None, tmp_path / "artefacts"), "litert", Precision.FP32)
    assert isinstance(made, Artefact)
    found = estimate(made, tmp_path / "images.npy", 300.0)
    assert isinstance(found, Estimate)
    assert 0 < found.operators <= 1
    assert 0 < found.seconds < 0.01
