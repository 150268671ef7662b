"""A cut network as a file: what is loaded again answers as it did, whatever was cut, and says with which of the library's own arguments."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from efficient360.errors import CheckpointError, Unsupported
from efficient360.methods.compression.cut_file import write_cut
from efficient360.methods.compression.cuts import Cuts, apply_cuts
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.in_memory import checkpoint_in_memory
from efficient360.models.model import PixelsToLogits, TorchModel
from efficient360.models.references import resolve

ARGUMENTS = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 3, "num_heads": 2, "num_classes": 10}


def written(network: nn.Module, architecture: str, arguments: dict[str, Any], folder: Path, side: int = 32) -> Checkpoint:
    path = folder / "original.safetensors"
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    card = {"architecture": architecture, "model_args": arguments, "num_classes": 10, "input_size": [3, side, side], "mean": [0.5] * 3, "std": [0.25] * 3}
    path.with_suffix(".json").write_text(json.dumps(card | {"class_names": [f"class {i}" for i in range(10)]}))
    return resolve(CheckpointSpec(str(path)))


@pytest.fixture
def checkpoint(vit: nn.Module, tmp_path: Path) -> Checkpoint:
    return written(vit, "vit_tiny_patch16_224", ARGUMENTS, tmp_path)


@pytest.fixture
def calibration() -> Tensor:
    return torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("changed", "arguments"),
    [
        ({"input_size": 16}, {"img_size": 16}),
        ({"dropped_blocks": 2}, {"depth": 1}),
        ({"mlp_kept": 50}, {"mlp_ratio": 2.0}),
        ({"heads_kept": 50}, {"structure": {"heads": {f"blocks.{i}.attn": 1 for i in range(3)}}}),
        ({"merged_tokens": 40}, {"structure": {"merged": 40}}),
        ({"clusters": 16}, {}),
        ({"sparsity": "2:4"}, {}),
    ],
)
def test_a_cut_checkpoint_is_one_like_any_other(
    checkpoint: Checkpoint, calibration: Tensor, tmp_path: Path, changed: dict[str, Any], arguments: dict[str, Any]
) -> None:
    cut = apply_cuts(load_model(checkpoint), Cuts(**changed), calibration)
    again = resolve(CheckpointSpec(str(write_cut(cut, checkpoint, tmp_path / "cut.safetensors", "a cut one"))))
    assert {key: value for key, value in again.arguments.items() if ARGUMENTS.get(key) != value} == arguments
    assert (again.name, again.class_names, again.preprocessing.input_size) == ("a cut one", checkpoint.class_names, cut.model.size)
    assert again.preprocessing.mean == checkpoint.preprocessing.mean
    images = torch.rand(2, *cut.model.size)
    torch.testing.assert_close(load_model(again)(images), cut.model(images), rtol=1e-5, atol=1e-6)


def test_all_cuts_together_and_cut_again(checkpoint: Checkpoint, calibration: Tensor, tmp_path: Path) -> None:
    first = apply_cuts(load_model(checkpoint), Cuts(dropped_blocks=1, heads_kept=50, mlp_kept=75, low_rank=75, merged_tokens=30), calibration)
    once = resolve(CheckpointSpec(str(write_cut(first, checkpoint, tmp_path / "once.safetensors", "once"))))
    second = apply_cuts(load_model(once), Cuts(input_size=24, clusters=8), calibration)
    twice = resolve(CheckpointSpec(str(write_cut(second, once, tmp_path / "twice.safetensors", "twice"))))
    images = torch.rand(2, 3, 24, 24)
    torch.testing.assert_close(load_model(twice)(images), second.model(images), rtol=1e-5, atol=1e-6)
    assert twice.arguments["structure"].keys() == {"widths", "heads", "ranks", "merged"}
    assert (tmp_path / "twice.safetensors").stat().st_size < 0.3 * (tmp_path / "once.safetensors").stat().st_size


def test_gradients_pass_through_what_was_loaded(checkpoint: Checkpoint, calibration: Tensor, tmp_path: Path) -> None:
    cut = apply_cuts(load_model(checkpoint), Cuts(heads_kept=50, low_rank=50, merged_tokens=40), calibration)
    model = load_model(resolve(CheckpointSpec(str(write_cut(cut, checkpoint, tmp_path / "cut.safetensors", "cut")))))
    images = calibration[:2].clone().requires_grad_()
    model(images).square().sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0
    assert model.head == "head"
    features = model.logits_and_features(images)[1]
    assert features is not None
    assert features.shape == (2, 64)


def test_blocks_of_stages_are_left_out_by_name(tmp_path: Path) -> None:
    arguments = {"img_size": 64, "embed_dim": 16, "depths": [1, 2], "num_heads": [1, 2], "window_size": 4, "num_classes": 10}
    network = timm.create_model("swin_tiny_patch4_window7_224", **arguments).eval()
    checkpoint = written(network, "swin_tiny_patch4_window7_224", arguments, tmp_path, 64)
    images = torch.rand(2, 3, 64, 64)
    cut = apply_cuts(load_model(checkpoint), Cuts(dropped_blocks=1, mlp_kept=50), torch.rand(8, 3, 64, 64))
    again = resolve(CheckpointSpec(str(write_cut(cut, checkpoint, tmp_path / "cut.safetensors", "cut"))))
    assert again.arguments["structure"]["dropped"] == cut.facts["dropped_blocks"]
    torch.testing.assert_close(load_model(again)(images), cut.model(images))


def test_a_network_in_memory_has_no_file(vit: nn.Module, checkpoint: Checkpoint, tmp_path: Path) -> None:
    module = PixelsToLogits(vit, (0.5,) * 3, (0.25,) * 3, None)
    cut = apply_cuts(TorchModel(module, (3, 32, 32), 10), Cuts(mlp_kept=50))
    with pytest.raises(Unsupported) as error:
        write_cut(cut, checkpoint_in_memory(vit, checkpoint.preprocessing, ()), tmp_path / "cut.safetensors", "cut")
    assert error.value.code == "no-weights-file"
    assert not (tmp_path / "cut.safetensors").exists()


@pytest.mark.parametrize(
    "structure",
    [
        {"heads": {"blocks.0.attn": 3}},
        {"heads": {"blocks.9.attn": 1}},
        {"widths": {"blocks.0.mlp": 100_000}},
        {"ranks": {"blocks.0.attn": 4}},
        {"dropped": [""]},
        {"merged": 99},
        {"merged": True},
        {"more": 1},
        [],
        "all",
    ],
)
def test_a_strangers_structure_is_refused(checkpoint: Checkpoint, structure: Any) -> None:
    path = Path(str(checkpoint.path)).with_suffix(".json")
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"model_args": card["model_args"] | {"structure": structure}}))
    with pytest.raises(CheckpointError) as error:
        resolve(CheckpointSpec(str(checkpoint.path)))
    assert error.value.code == "bad-structure"
