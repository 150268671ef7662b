import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from efficient360.cli.parser import run_command
from efficient360.core.measurement import Failure, Interval, Status
from efficient360.deployment.devices.device import DeviceReading, TimingBlock
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compress import compress_checkpoint
from efficient360.methods.compression.compressor import uncompressed_bytes
from efficient360.methods.compression.effect import CompressionEffect
from efficient360.methods.compression.quantization import HalfPrecision
from efficient360.methods.compression.results import VariantResult
from efficient360.methods.compression.runtime_effect import Ratio, RuntimeEffect, compare_readings, paired_ratio
from efficient360.methods.compression.weight_traffic import WeightTraffic, weight_traffic
from efficient360.models.checkpoint import CheckpointSpec

DIGITS = CheckpointSpec("digits-vit")


def test_weight_traffic_is_counted_in_bytes(tmp_path: Path) -> None:
    written = compress_checkpoint(DIGITS, "clustering:64", tmp_path / "a.safetensors")
    traffic = weight_traffic(written.model.network, Clustering(64), written.compressed)
    weights = {name: math.prod(shape) for name, shape in json.loads(written.compressed.metadata["efficient360.compressed"])["shapes"].items()}
    others = sum(p.numel() for name, p in written.model.network.named_parameters() if name not in weights)
    tables = sum(min(64, count) * 4 for count in weights.values())
    assert traffic.original == 4 * (sum(weights.values()) + others)
    assert traffic.packed == sum(-(-count * 6 // 8) for count in weights.values()) + 4 * others + tables
    assert traffic.bytewise is not None
    assert abs(traffic.bytewise - (sum(weights.values()) + 4 * others + tables)) <= len(weights)
    assert traffic.original < uncompressed_bytes(written.model.network)  # the header is not read again


def test_codes_of_whole_bytes_have_no_second_figure(tmp_path: Path) -> None:
    written = compress_checkpoint(DIGITS, "half", tmp_path / "a.safetensors")
    assert weight_traffic(written.model.network, HalfPrecision(), written.compressed).bytewise_ratio is None


def test_a_ratio_is_geometric_and_its_interval_students() -> None:
    ratio = paired_ratio([2.0, 4.0, 3.0], [1.0, 1.0, 1.0])
    assert ratio is not None
    logs = np.log([2.0, 4.0, 3.0])
    low, high = stats.t.interval(0.95, 2, logs.mean(), logs.std(ddof=1) / 3**0.5)
    assert ratio.value == pytest.approx(24 ** (1 / 3))
    assert (ratio.interval.low, ratio.interval.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert paired_ratio([1.0], [1.0]) is None
    assert paired_ratio([1.0, -1.0], [1.0, 1.0]) is None


def _reading(seconds: float, joules: float | None = None) -> DeviceReading:
    blocks = []
    for process in range(3):
        wall = [seconds * (1 + 0.01 * process)] * 4
        drawn = ({}, {}) if joules is None else ({"energy": 0.0}, {"energy": 4 * joules * (1 + 0.02 * process)})
        blocks.append(TimingBlock(wall, wall, sum(wall), *drawn, process))
    return DeviceReading(blocks, (), True, 1, "1.0", None, None, None, None if joules is None else 0.0)


def test_readings_are_compared_process_by_process() -> None:
    effect = compare_readings((_reading(0.2, 3.0), _reading(0.1, 1.0)), "A Runtime", "local")
    assert isinstance(effect, RuntimeEffect)
    assert isinstance(effect.energy, Ratio)
    assert (effect.speed.value, effect.energy.value) == pytest.approx((2.0, 3.0))
    assert effect.original_seconds == pytest.approx(0.202)


def test_without_a_counter_there_is_no_energy() -> None:
    effect = compare_readings((_reading(0.2), _reading(0.1)), "A Runtime", "local")
    assert isinstance(effect, RuntimeEffect)
    assert isinstance(effect.energy, Failure)
    assert effect.energy.code == "no-energy-counter"


def _effect(after: np.ndarray, before: np.ndarray, runtime: RuntimeEffect | Failure) -> CompressionEffect:
    accuracy = VariantResult(Clustering(64), 200, 5.0, 1.0, after, after == before, before)
    return CompressionEffect(Clustering(64), 1000, 200, WeightTraffic(990, 180, 250), accuracy, runtime)


def test_everything_stands_in_one_line() -> None:
    before = np.ones(1000, bool)
    after = before.copy()
    after[:5] = False
    ratio = Ratio(1.01, Interval(0.97, 1.05, "t"))
    energy = Failure(Status.UNSUPPORTED, "no-energy-counter", "no counter here", "")
    effect = _effect(after, before, RuntimeEffect("OpenVINO", "2026.4", "local", 1, 0.1, 0.1, ratio, energy))
    line = effect.line()
    assert "\n" not in line
    assert line.startswith("64 clusters: file 5.00 times smaller; weight traffic 5.50 times less (3.96 with a byte a code); 0.50 points of top-1 lost (")
    assert "100.0 → 99.5 % of 1,000 images" in line
    assert "1.01 (0.97 to 1.05) times as fast in OpenVINO 2026.4 on local, 1 thread; energy not measured: no counter here" in line
    lost = effect.to_json()["accuracy"]
    assert lost["lost"] == pytest.approx(0.005)
    assert lost["lost_interval"][0] <= 0.005 <= lost["lost_interval"][1]


def test_what_was_not_measured_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["compress", "digits-vit", "clustering:64", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["accuracy"]["code"], data["runtime"]["code"]) == ("no-dataset", "no-runtime")
    assert data["compression_ratio"] == data["original_bytes"] / (tmp_path / data["file"]).stat().st_size


def test_accuracy_is_that_of_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--dataset", "digits", "--max-examples", "100"]
    assert run_command(["compress", "digits-vit", "clustering:4", *options, "--runtime", "none", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert run_command(["evaluate", told["file"], *options, "--only", "accuracy", "--out", "run"]) == 0
    values = {o["metric"]: o["value"] for o in map(json.loads, (tmp_path / "run" / "outcomes.jsonl").read_text().splitlines()) if "value" in o}
    assert told["accuracy"]["after"] == values["top1"]
    assert told["accuracy"]["examples"] == 100


@pytest.mark.parametrize("option", [["--dataset", "nope"], ["--runtime", "nope"], ["--device", "nope://"]])
def test_a_bad_name_is_told_before_anything_is_written(option: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["compress", "digits-vit", "half", *option]) == 2
    assert not list(tmp_path.iterdir())
