import json
import shlex
from pathlib import Path

import pytest
import torch
from little_vit import ARCHITECTURE, CARD, little_network, write_json, write_weights

from efficient360.cli.parser import run_command
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.description import describe_checkpoint
from efficient360.models.references import resolve

STATE = little_network().state_dict()


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


def test_the_command_says_what_it_did_not_find(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["inspect", str(tmp_path / "nothing.pth")]) == 2
    assert "there is no file" in capsys.readouterr().err
