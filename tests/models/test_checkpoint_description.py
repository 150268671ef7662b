import json
import shlex
from pathlib import Path

import pytest
import torch
from little_vit import ARCHITECTURE, CARD, little_network, write_json, write_weights
from PIL import Image

import efficient360.models.description as described
from efficient360.cli.parser import run_command
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.description import describe_checkpoint
from efficient360.models.references import resolve
from efficient360.models.weights_file import WeightsFile, read_file

STATE = little_network().state_dict()
CARD_VALUES = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"}


def test_a_checkpoint_with_its_card(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", CARD)
    description = describe_checkpoint(CheckpointSpec(str(path)))
    assert (description.architecture, description.classes, description.class_names, description.problem) == (ARCHITECTURE, 6, tuple("abcdef"), "")
    assert description.digest == resolve(CheckpointSpec(str(path))).digest
    assert [(stored.key, stored.tensors, stored.taken) for stored in description.stored] == [("", len(STATE), True)]
    text = "\n".join(description.lines())
    for said in ("32 x 32, mean 0.1 0.2 0.3", "named by its sidecar", "said by sidecar", f"efficient360 evaluate {path} --dataset DATA"):
        assert said in text


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path) -> WeightsFile:
        read.append(path)
        return read_file(path)

    monkeypatch.setattr(described, "read_file", counted)
    path = write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", CARD)
    assert describe_checkpoint(CheckpointSpec(str(path))).architecture == ARCHITECTURE
    assert read == [path]


@pytest.mark.parametrize(
    ("preprocessing", "source"),
    [({"mean": [0.5] * 3}, "--preprocess, the rest by sidecar"), ({**CARD_VALUES, "input_size": 32, "crop_pct": 1.0}, "--preprocess")],
)
def test_what_the_options_say_is_not_said_by_the_sidecar(tmp_path: Path, preprocessing: dict, source: str) -> None:
    path = write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", CARD)
    assert describe_checkpoint(CheckpointSpec(str(path), preprocessing=preprocessing)).preprocessing_by == source


def test_two_sets_of_weights_and_what_is_beside(tmp_path: Path) -> None:
    average = {name: tensor * 0.5 for name, tensor in STATE.items()}
    torch.save({"state_dict": STATE, "state_dict_ema": average, "epoch": 7, "metric": 0.25, "optimizer": {"state": {}}}, tmp_path / "w.pth")
    write_json(tmp_path / "w.json", CARD)
    description = describe_checkpoint(CheckpointSpec(str(tmp_path / "w.pth")))
    assert [(stored.key, stored.fits, stored.taken) for stored in description.stored] == [("state_dict", True, True), ("state_dict_ema", True, False)]
    assert description.beside["epoch"] == "7"
    assert "go before averages" in "\n".join(description.lines())


def test_a_bare_file_is_described_with_the_command_that_evaluates_it(tmp_path: Path) -> None:
    torch.save({"state_dict": {f"net.{name}": tensor for name, tensor in STATE.items()}}, tmp_path / "w.pth")
    description = describe_checkpoint(CheckpointSpec(str(tmp_path / "w.pth")))
    assert (description.code, description.classes) == ("architecture-unknown", None)
    assert description.guesses[0].startswith("vit_tiny_patch16_224 of another size with 6 classes")
    words = shlex.split(description.command.replace("num_heads=N", "num_heads=3"))
    arguments = {key: int(value) for key, value in (word.split("=") for word in words if "=" in word)}
    assert resolve(CheckpointSpec(words[2], words[words.index("--arch") + 1], arguments)).num_classes == 6


def test_what_can_not_be_read_is_described_by_its_problem(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"junk")
    description = describe_checkpoint(CheckpointSpec(str(tmp_path / "w.pth")))
    assert (description.code, description.stored) == ("weights-truncated", ())


def test_the_command_prints_text_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", CARD)
    assert run_command(["inspect", str(path)]) == 0
    assert "architecture" in capsys.readouterr().out
    assert run_command(["inspect", str(path), "--format", "json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert (plain["architecture"], plain["stored"][0]["taken"], plain["preprocessing"]["input_size"]) == (ARCHITECTURE, True, [3, 32, 32])


@pytest.mark.slow
def test_a_program_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.ts"
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, 8), torch.nn.Flatten(), torch.nn.Linear(64, 7)).eval()
    torch.jit.save(torch.jit.trace(network, (torch.zeros(1, 3, 32, 32),)), str(path))
    options = [part for value in ("input_size=32", "mean=0.5") for part in ("--preprocess", value)]
    assert run_command(["inspect", str(path), "--format", "json", *options]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["classes"], data["architecture"], data["code"], data["problem"]) == (7, "TorchScript program", "", "")
    assert data["size"] == path.stat().st_size
    assert data["preprocessing_by"] == "--preprocess"
    assert shlex.split(data["command"])[-len(options) - 2 :] == [*options, "--dataset", "DATA"]


def test_the_command_says_what_it_did_not_find(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["inspect", str(tmp_path / "nothing.pth")]) == 2
    assert "there is no file" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["labels.csv", "photos"])
def test_what_is_no_checkpoint_is_looked_at_as_data(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("cat", "dog"):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (8, 8), (i * 9, 0, 0)).save(tmp_path / "photos" / kind / f"{kind}{i}.png")
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(f"photos/{k}/{k}{i}.png,{k}\n" for k in ("cat", "dog") for i in range(2)))
    assert run_command(["inspect", str(tmp_path / name)]) == 0
    assert "efficient360 evaluate CHECKPOINT --dataset" in capsys.readouterr().out
