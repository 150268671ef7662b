"""Networks in Python files beside a checkpoint: read, offered, never run."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from little_vit import fails
from own_networks import ENCODER, TWO_HEADS, built, write

from efficient360.cli.parser import run_command
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.description import describe_checkpoint
from efficient360.models.references import resolve
from efficient360.models.source_beside import networks_beside

OTHERS = """
import torch.nn
raise SystemExit("this file was run")

class Base(torch.nn.Module):
    def __init__(self):
        self.stem = 1

class Net(Base):
    def __init__(self):
        super().__init__()
        self.body, self.head = 1, 2

class Settings:
    stem = body = head = 0

class _Hidden(torch.nn.Module):
    pass

def make(width: int):
    network = Net()
    network.eval()
    return network

def annotated() -> torch.nn.Module:
    return something()

def train(network):
    return network
"""


def test_what_a_file_defines_is_found_without_running_it(tmp_path: Path) -> None:
    write(tmp_path, OTHERS, "models.py")
    (tmp_path / "broken.py").write_text("def (")
    found = networks_beside(tmp_path, ["module.stem.weight", "module.body.weight", "module.head.bias"])
    assert [(offer.name, offer.fits) for offer in found] == [("make", 1.0), ("Net", 1.0), ("Base", pytest.approx(1 / 3)), ("annotated", 0.0)]


@given(st.text(max_size=200))
def test_any_text_in_a_file_is_read_or_passed_over(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "net.py").write_text(text, encoding="utf-8", errors="replace")
    assert networks_beside(folder, ["a.weight"]) == []


@pytest.mark.parametrize(
    "wrap", [lambda state: state, lambda state: {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}}], ids=["bare", "lightning"]
)
def test_the_network_of_a_checkpoint_is_offered(tmp_path: Path, wrap, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, ENCODER, "models.py")
    write(tmp_path, TWO_HEADS, "another.py")
    torch.save(wrap(built(file, "build").state_dict()), tmp_path / "best.pth")
    file.write_text(f"open({str(tmp_path / 'was run')!r}, 'w')\n{ENCODER}")
    error = fails(str(tmp_path / "best.pth"), "architecture-unknown", f"--arch {file}:build", "ViT")
    assert "another.py" not in error.hint
    described = describe_checkpoint(CheckpointSpec(str(tmp_path / "best.pth")))
    assert f"--arch {file}:build" in described.command
    assert not (tmp_path / "was run").exists()
    assert resolve(CheckpointSpec(str(tmp_path / "best.pth"), f"{file}:build")).num_classes == 5


def test_the_size_and_the_output_are_told_at_once(tmp_path: Path) -> None:
    """A network that takes 32 x 32 alone, and has two heads: one error names both options."""
    file = write(tmp_path, TWO_HEADS.replace("        x = (x", "        assert x.shape[1] == 64\n        x = (x"))
    torch.save(built(file, "Hybrid").state_dict(), tmp_path / "best.pth")
    spec = CheckpointSpec(str(tmp_path / "best.pth"), f"{file}:Hybrid")
    fails(spec, "network-fails", "16 x 16", "--preprocess input_size=32", "--output coarse or --output fine")
    both = CheckpointSpec(spec.reference, spec.architecture, preprocessing={"input_size": 32}, output="fine")
    assert resolve(both).num_classes == 4


def test_a_folder_of_weights_and_data_shows_both(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("RGB", (8, 8), (40 * i, 0, 0)).save(tmp_path / name / f"{i}.png")
    (tmp_path / "model.safetensors").write_bytes(tiny.read_bytes())
    (tmp_path / "model.json").write_text((tiny.parent / "tiny.json").read_text())
    assert run_command(["inspect", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for said in ("vit_tiny_patch16_224", "cat, dog", f"efficient360 evaluate {tmp_path} --dataset imagefolder:{tmp_path}"):
        assert said in out
    assert run_command(["inspect", str(tmp_path), "--format", "json"]) == 0
    import json

    told = json.loads(capsys.readouterr().out)
    assert told["checkpoint"]["architecture"].startswith("vit_tiny")
    assert told["data"]["classes"] == 2
