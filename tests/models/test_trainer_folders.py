"""Files and folders as trainers write them, resolved with what they say of themselves."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from little_vit import ARCHITECTURE, ARGUMENTS, fails, little_network
from timm.utils import CheckpointSaver
from torch.distributed import checkpoint as distributed

from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve
from efficient360.models.weights import digest

STATE = little_network().state_dict()
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
OPTIONS: dict[str, Any] = {
    "model": ARCHITECTURE,
    "num_classes": 6,
    "img_size": 32,
    "mean": [0.1, 0.2, 0.3],
    "std": None,
    "interpolation": "",
    "crop_pct": 0.9,
    "gp": None,
    "in_chans": None,
    "model_kwargs": {key: value for key, value in ARGUMENTS.items() if key not in ("num_classes", "img_size")},
}


def _same(found: Any) -> None:
    shape = found.preprocessing
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (shape.mean, shape.std))
    with torch.inference_mode():
        expected = little_network().eval()((IMAGES - mean) / std)
        assert torch.allclose(load_model(found)(IMAGES), expected, atol=1e-5)


def _timm_folder(folder: Path) -> None:
    """What timm's own saver leaves after two epochs, with the options that its training script writes beside."""
    network = little_network()
    saver = CheckpointSaver(network, torch.optim.SGD(network.parameters(), lr=0.1), argparse.Namespace(**OPTIONS), checkpoint_dir=str(folder))
    for epoch, metric in enumerate((40.0, 30.0)):
        saver.save_checkpoint(epoch, metric)
    (folder / "args.yaml").write_text(yaml.safe_dump(OPTIONS))


def test_a_folder_of_timms_training_script(tmp_path: Path) -> None:
    _timm_folder(tmp_path)
    found = resolve(CheckpointSpec(str(tmp_path)))
    assert (found.architecture, found.num_classes, found.digest) == (ARCHITECTURE, 6, digest(STATE))
    assert found.path == tmp_path / "model_best.pth.tar"
    assert "model_best.pth.tar, called the best of 4 weights files" in found.card["file"]
    assert (found.preprocessing.mean, found.preprocessing.crop_pct, found.preprocessing.input_size) == ((0.1, 0.2, 0.3), 0.9, (3, 32, 32))
    assert found.assumed == ()
    assert found.card["architecture_source"] == "args.yaml"
    _same(found)


def test_one_file_of_timms_folder(tmp_path: Path) -> None:
    _timm_folder(tmp_path)
    assert resolve(CheckpointSpec(str(tmp_path / "last.pth.tar"))).digest == digest(STATE)


def test_a_file_of_timms_folder_alone(tmp_path: Path) -> None:
    _timm_folder(tmp_path)
    (tmp_path / "args.yaml").unlink()
    found = resolve(CheckpointSpec(str(tmp_path / "last.pth.tar")))
    assert (found.architecture, found.card["architecture_source"]) == (ARCHITECTURE, "the checkpoint's own options")
    assert found.arguments["img_size"] == 32
    _same(found)


@pytest.mark.parametrize("said", ["model: [1", "model: 3", "mean: [1, 2]\nmodel: vit_tiny_patch16_224"])
def test_options_that_make_no_sense(said: str, tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "w.pth")
    (tmp_path / "args.yaml").write_text(said)
    fails(str(tmp_path / "w.pth"), "architecture-unknown" if said.startswith("model: 3") else "sidecar-invalid")


LIGHTNING: dict[str, Any] = {
    "epoch": 3,
    "global_step": 40,
    "pytorch-lightning_version": "2.5.0",
    "state_dict": {**{f"net.{name}": tensor for name, tensor in STATE.items()}, "criterion.weight": torch.ones(6)},
    "loops": {},
    "callbacks": {"ModelCheckpoint{'monitor': 'val'}": {"best_model_score": torch.tensor(0.5)}},
    "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(24)}}, "param_groups": []}],
    "hyper_parameters": {"model_name": ARCHITECTURE, "image_size": 32, "model_kwargs": OPTIONS["model_kwargs"], "lr": 0.1, "classes": list("abcdef")},
}


def test_a_checkpoint_of_lightning(tmp_path: Path) -> None:
    torch.save(LIGHTNING, tmp_path / "epoch=3-step=40.ckpt")
    found = resolve(CheckpointSpec(str(tmp_path / "epoch=3-step=40.ckpt")))
    assert (found.architecture, found.class_names, found.card["taken_from"]) == (ARCHITECTURE, tuple("abcdef"), "state_dict/net")
    _same(found)


def test_options_that_name_another_architecture(tmp_path: Path) -> None:
    torch.save({**LIGHTNING, "hyper_parameters": {"model": "resnet18"}}, tmp_path / "w.ckpt")
    error = fails(str(tmp_path / "w.ckpt"), "architecture-unknown", "resnet18")
    assert "--arch vit_tiny_patch16_224 --arch-arg img_size=32 --arch-arg patch_size=8 --arch-arg embed_dim=24 --arch-arg depth=2" in error.hint


def test_options_never_name_a_file_to_run(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("raise SystemExit('ran')")
    torch.save({**LIGHTNING, "hyper_parameters": {"model": f"{tmp_path}/own.py:build"}}, tmp_path / "w.ckpt")
    fails(str(tmp_path / "w.ckpt"), "architecture-unknown", "looks like")


def _deepspeed(folder: Path, *names: str) -> None:
    (folder / "global_step5").mkdir()
    (folder / "latest").write_text("global_step5")
    for name in names:
        torch.save({"module": STATE, "param_shapes": [{"head.weight": torch.Size([6, 24])}], "ds_version": "0.16"}, folder / "global_step5" / name)


def test_a_folder_of_deepspeed(tmp_path: Path) -> None:
    _deepspeed(tmp_path, "mp_rank_00_model_states.pt", "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt")
    found = resolve(CheckpointSpec(str(tmp_path), ARCHITECTURE, ARGUMENTS))
    assert (found.digest, found.card["taken_from"]) == (digest(STATE), "module")


@pytest.mark.parametrize(
    "names",
    [["zero_pp_rank_0_mp_rank_00_model_states.pt", "zero_pp_rank_1_mp_rank_00_model_states.pt"], ["mp_rank_00_model_states.pt", "mp_rank_01_model_states.pt"]],
)
def test_shards_of_deepspeed(names: list[str], tmp_path: Path) -> None:
    _deepspeed(tmp_path, *names)
    fails(CheckpointSpec(str(tmp_path), ARCHITECTURE, ARGUMENTS), "sharded-weights", "zero_to_fp32.py")


def test_deepspeeds_latest_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    torch.save(STATE, tmp_path / "mp_rank_00_model_states.pt")
    (tmp_path / "a" / "latest").write_text("../")
    fails(CheckpointSpec(str(tmp_path / "a"), ARCHITECTURE, ARGUMENTS), "no-weights-in-folder")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("nested", [True, False])
def test_a_distributed_checkpoint(nested: bool, tmp_path: Path) -> None:
    distributed.save({"model": dict(STATE), "epoch": 3} if nested else dict(STATE), checkpoint_id=tmp_path / "dcp", no_dist=True)
    found = resolve(CheckpointSpec(str(tmp_path / "dcp"), ARCHITECTURE, ARGUMENTS))
    assert found.digest == digest(STATE)
    _same(found)


@pytest.mark.filterwarnings("ignore")
def test_a_distributed_checkpoint_without_one_of_its_files(tmp_path: Path) -> None:
    distributed.save(dict(STATE), checkpoint_id=tmp_path / "dcp", no_dist=True)
    next((tmp_path / "dcp").glob("*.distcp")).unlink()
    fails(CheckpointSpec(str(tmp_path / "dcp"), ARCHITECTURE, ARGUMENTS), "distributed-checkpoint")


def test_several_files_of_which_none_is_the_best(tmp_path: Path) -> None:
    for name in ("epoch=1.ckpt", "last.ckpt"):
        torch.save(STATE, tmp_path / name)
    fails(str(tmp_path), "several-weights-in-folder", "last.ckpt")


def test_what_is_no_weights_in_a_folder(tmp_path: Path) -> None:
    for name in ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin", "model_final.pth"):
        torch.save(STATE if name == "model_final.pth" else {}, tmp_path / name)
    assert resolve(CheckpointSpec(str(tmp_path), ARCHITECTURE, ARGUMENTS)).path == tmp_path / "model_final.pth"


@pytest.mark.parametrize(("name", "written"), [("w.pth", "safetensors"), ("w.safetensors", "torch"), ("w.weights", "torch"), ("w", "safetensors")])
def test_a_file_is_what_it_holds_whatever_its_name(name: str, written: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(STATE, tmp_path / name) if written == "safetensors" else torch.save(STATE, tmp_path / name)
    assert resolve(CheckpointSpec(str(tmp_path / name), ARCHITECTURE, ARGUMENTS)).digest == digest(STATE)


def test_class_indices_in_the_checkpoint(tmp_path: Path) -> None:
    names = {name: index for index, name in enumerate("fedcba")}
    torch.save({"model": STATE, "class_to_idx": names, "best_acc": 0.5}, tmp_path / "w.pth")
    assert resolve(CheckpointSpec(str(tmp_path / "w.pth"), ARCHITECTURE, ARGUMENTS)).class_names == tuple("fedcba")
