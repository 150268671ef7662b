import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from little_vit import ARCHITECTURE, ARGUMENTS, CARD, fails, little_network, write_json, write_weights

from efficient360.models import checkpoint as embedded
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin
from efficient360.models.model import preflight
from efficient360.models.references import resolve
from efficient360.models.weights import digest

# --- local files and their sidecars ---


def test_another_img_size_resamples_and_says_so(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", CARD)
    found = resolve(CheckpointSpec(str(tmp_path / "w.safetensors"), arguments={"img_size": 64}))
    assert found.card["adapted"] == "position embedding resampled for 64 x 64 images"
    assert found.preprocessing.input_size == (3, 64, 64)
    assert found.digest == resolve(CheckpointSpec(str(tmp_path / "w.safetensors"))).digest
    assert load_model(found)(torch.rand(1, 3, 64, 64)).shape == (1, 6)


def test_ema_and_plain_weights_differ_in_digest_and_card(tmp_path: Path) -> None:
    averaged = {name: tensor * 0.5 for name, tensor in little_network().state_dict().items()}
    torch.save({"model": little_network().state_dict(), "model_ema": averaged}, tmp_path / "w.pth")
    write_json(tmp_path / "w.json", CARD)
    spec = CheckpointSpec(str(tmp_path / "w.pth"))
    plain, ema = resolve(spec), resolve(replace(spec, weights_key="ema"))
    assert (plain.digest, ema.digest) == (digest(little_network().state_dict()), digest(averaged))
    assert (plain.card["other_weights"], ema.card["taken_from"]) == ("model_ema", "model_ema")
    assert torch.equal(load_model(ema).network.state_dict()["norm.weight"], averaged["norm.weight"])


def test_random_weights_of_a_files_architecture(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", CARD)
    found = resolve(CheckpointSpec(str(tmp_path / "w.safetensors"), random_weights=True))
    assert (found.origin, found.path, found.preprocessing.mean) == (Origin.RANDOM, None, (0.1, 0.2, 0.3))
    assert found.class_names == tuple("abcdef")
    assert found.name == "tiny-random-0"


def test_a_trained_checkpoint_by_its_path_is_the_one_by_its_name(tmp_path: Path) -> None:
    for suffix in ("safetensors", "json"):
        shutil.copy(embedded.zoo_file("digits-vit").with_suffix(f".{suffix}"), tmp_path / f"mine.{suffix}")
    found = resolve(CheckpointSpec(str(tmp_path / "mine.safetensors")))
    named = resolve(CheckpointSpec("digits-vit"))
    assert (found.digest, found.num_classes, found.class_names, found.preprocessing) == (
        named.digest,
        named.num_classes,
        named.class_names,
        named.preprocessing,
    )
    preflight(load_model(found), seed=0)


def test_equal_specs_resolve_to_equal_checkpoints(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", CARD)
    spec = CheckpointSpec(str(tmp_path / "w.safetensors"))
    first, second = resolve(spec), resolve(spec)
    assert isinstance(first, Checkpoint)
    assert first == second


# --- faults of local files ---


def test_no_architecture(tmp_path: Path) -> None:
    fails(str(write_weights(tmp_path / "w.safetensors")), "architecture-unknown", "--arch")


def test_unknown_architecture(tmp_path: Path) -> None:
    fails(CheckpointSpec(str(write_weights(tmp_path / "w.safetensors")), architecture="vit_tinny_patch16_224"), "unknown-architecture", "vit_tiny_patch16_224")


def test_wrong_class_count(tmp_path: Path) -> None:
    spec = CheckpointSpec(str(write_weights(tmp_path / "w.safetensors")), architecture=ARCHITECTURE, arguments={**ARGUMENTS, "num_classes": 4})
    assert fails(spec, "class-count-mismatch", "has 6 classes, the architecture 4").hint == "--arch-arg num_classes=6"


def test_wrong_architecture(tmp_path: Path) -> None:
    fails(CheckpointSpec(str(write_weights(tmp_path / "w.safetensors")), architecture="resnet18"), "wrong-architecture", "resnet18")


def test_img_size_is_not_inferred(tmp_path: Path) -> None:
    arguments = {key: value for key, value in ARGUMENTS.items() if key != "img_size"}
    fails(CheckpointSpec(str(write_weights(tmp_path / "w.safetensors")), architecture=ARCHITECTURE, arguments=arguments), "weights-mismatch", "img_size=32")


def test_no_classifier(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "w.safetensors", num_classes=0)
    fails(CheckpointSpec(str(path), architecture=ARCHITECTURE, arguments={**ARGUMENTS, "num_classes": 0}), "no-classifier")
    write_json(tmp_path / "w.json", {**CARD, "num_classes": 0, "model_args": {}})
    fails(str(path), "no-classifier")


def test_images_that_are_not_rgb(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "w.safetensors", in_chans=4)
    fails(CheckpointSpec(str(path), architecture=ARCHITECTURE, arguments={**ARGUMENTS, "in_chans": 4}), "not-rgb")


def test_a_folder_without_weights(tmp_path: Path) -> None:
    fails(str(tmp_path), "no-weights-in-folder", ".safetensors")


def test_a_folder_with_several_weights(tmp_path: Path) -> None:
    write_weights(tmp_path / "a.safetensors")
    write_weights(tmp_path / "b.safetensors")
    fails(str(tmp_path), "several-weights-in-folder", "a.safetensors, b.safetensors")


def test_a_folder_with_shards(tmp_path: Path) -> None:
    write_weights(tmp_path / "model-00001-of-00002.safetensors")
    write_json(tmp_path / "model.safetensors.index.json", {})
    fails(str(tmp_path), "sharded-weights", "shards")


# --- references that lead nowhere ---


def test_a_path_that_is_not_there_names_its_neighbour(tmp_path: Path) -> None:
    write_weights(tmp_path / "vit_small.safetensors")
    fails(str(tmp_path / "vit_smal.safetensors"), "checkpoint-not-found", "vit_small.safetensors")
    fails(str(tmp_path / "none" / "w.pth"), "checkpoint-not-found", "no folder")


def test_a_name_that_is_nothing() -> None:
    fails("deit_tny_patch16_224", "checkpoint-not-found", "no embedded checkpoint, no file or folder", "deit_tiny_patch16_224")
    fails("someone/model", "checkpoint-not-found", "hf-hub:someone/model")
    fails("", "checkpoint-not-found", "empty")


def test_an_unknown_tag_names_the_known() -> None:
    fails(f"{ARCHITECTURE}.augreg_in22k", "unknown-tag", "vit_tiny_patch16_224.augreg_in21k")


def test_a_timm_architecture_without_weights() -> None:
    fails("vit_base_patch16_18x2_224", "no-pretrained-weights", "--random-weights")


def test_timm_weights_that_are_not_on_the_hub() -> None:
    fails("gcvit_tiny", "no-hub-weights", "https://", "--arch")


def test_random_weights_of_a_timm_name_need_no_network() -> None:
    spec = CheckpointSpec(ARCHITECTURE, arguments={"img_size": 32, "depth": 1}, random_weights=True)
    found = resolve(spec)
    assert (found.num_classes, found.preprocessing.input_size, found.preprocessing.mean) == (1000, (3, 32, 32), (0.5, 0.5, 0.5))


# --- the embedded checkpoints ---


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(embedded, "_ZOO", tmp_path)
    return tmp_path


def test_an_embedded_checkpoint_goes_before_a_file_of_its_name(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_weights(zoo / "little.safetensors")
    write_json(zoo / "little.json", CARD)
    write_json(zoo / "without.json", CARD)
    monkeypatch.chdir(zoo)
    (zoo / "little").mkdir()
    assert embedded.zoo_names() == ("little",)
    found = resolve(CheckpointSpec("little"))
    assert (found.name, found.origin, found.path) == ("little", Origin.ZOO, zoo / "little.safetensors")
    preflight(load_model(found), seed=0)
    fails("litle", "checkpoint-not-found", "little")


@pytest.mark.parametrize("name", embedded.zoo_names())
def test_every_embedded_checkpoint_runs(name: str) -> None:
    preflight(load_model(resolve(CheckpointSpec(name))), seed=0)


def test_listing_the_embedded_imports_no_torch() -> None:
    code = "import sys; from efficient360.models.checkpoint import zoo_names; zoo_names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
