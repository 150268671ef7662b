import json
from pathlib import Path

import pytest
import torch

from efficient360.cli.parser import run_command
from efficient360.errors import CheckpointError, SettingsError
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compress import compress_checkpoint
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

DIGITS = CheckpointSpec("digits-vit")


def test_the_file_is_a_checkpoint_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    summary = compress_checkpoint(DIGITS, "clustering:64", path).summary()
    original, small = resolve(DIGITS), resolve(CheckpointSpec(str(path)))
    assert (small.name, small.architecture, small.arguments) == ("digits-vit-clustering-64", original.architecture, original.arguments)
    assert (small.preprocessing, small.class_names, small.num_classes) == (original.preprocessing, original.class_names, original.num_classes)
    assert small.card["compressed_from"] == {"name": "digits-vit", "digest": original.digest, "variant": "clustering:64"}
    assert small.card["compressed"] == "clustering:64"
    expected = Clustering(64).compress(load_model(original).network).network.state_dict()
    loaded = load_model(small).network.state_dict()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    first, second, third, fourth = summary.splitlines()
    assert first == "digits-vit, Weight clustering, 64 clusters"
    assert second == "862 kB in float32, now 188 kB: 4.59 times smaller"
    assert third == str(path)
    assert fourth.startswith(f"  measure it: efficient360 evaluate {path}")


def test_a_run_tells_its_size_as_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["compress", "digits-vit", "quantization:4"]) == 0
    path = tmp_path / "digits-vit-quantization-4.safetensors"
    assert "times smaller" in capsys.readouterr().out
    assert run_command(["evaluate", path.name, "--dataset", "digits", "--max-examples", "50", "--only", "parameters,accuracy", "--out", "run"]) == 0
    values = {o["metric"]: o["value"] for o in map(json.loads, (tmp_path / "run" / "outcomes.jsonl").read_text().splitlines()) if "value" in o}
    header = int.from_bytes(path.read_bytes()[:8], "little") + 8
    assert values["weight_bytes"] == path.stat().st_size - header
    assert values["top1"] > 0.9


def test_the_original_is_never_written_over(tmp_path: Path) -> None:
    first = tmp_path / "a.safetensors"
    compress_checkpoint(DIGITS, "half", first)
    before = first.read_bytes()
    with pytest.raises(SettingsError, match="is the checkpoint itself"):
        compress_checkpoint(CheckpointSpec(str(first)), "quantization:4", first)
    assert first.read_bytes() == before


def test_a_compressed_checkpoint_can_be_compressed_again(tmp_path: Path) -> None:
    compress_checkpoint(DIGITS, "quantization:8", tmp_path / "a.safetensors")
    compress_checkpoint(CheckpointSpec(str(tmp_path / "a.safetensors")), "clustering:16", tmp_path / "b.safetensors")
    card = json.loads((tmp_path / "b.json").read_text())
    assert card["name"] == "digits-vit-quantization-8-clustering-16"
    assert (tmp_path / "b.safetensors").stat().st_size < (tmp_path / "a.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("variant", "out", "message"),
    [
        ("zip", "a.safetensors", "there is no compressor 'zip'"),
        ("token_merging:20", "a.safetensors", "token_merging:20 changes how the network computes"),
        ("low_rank:50", "a.safetensors", "low_rank:50 changes how the network computes"),
        ("half", "a.bin", "does not end in .safetensors"),
        ("half", "nowhere/a.safetensors", "there is no folder"),
    ],
)
def test_what_can_not_be_written_is_told(
    variant: str, out: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["compress", "digits-vit", variant, "--out", out]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert "→" in printed
    assert not list(tmp_path.iterdir())


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").mkdir()
    with pytest.raises(SettingsError, match="is a folder"):
        compress_checkpoint(DIGITS, "half", tmp_path / "a.safetensors")


def test_a_network_of_ones_own_is_compressed_and_named_again(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("from torch import nn\n\ndef build(image_size=8, k=3):\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, k))\n")
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4)).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    architecture = f"{tmp_path / 'net.py'}:build"
    compress_checkpoint(CheckpointSpec(str(tmp_path / "w.pth"), architecture, {"k": 4}), "half", tmp_path / "small.safetensors")
    with pytest.raises(CheckpointError) as caught:
        resolve(CheckpointSpec(str(tmp_path / "small.safetensors")))
    assert caught.value.code == "architecture-is-code"
    checkpoint = resolve(CheckpointSpec(str(tmp_path / "small.safetensors"), architecture))
    images = torch.rand(2, 3, 8, 8)
    shape = checkpoint.preprocessing
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (shape.mean, shape.std))
    with torch.inference_mode():
        assert (load_model(checkpoint)(images) - network((images - mean) / std)).abs().max() < 0.05
