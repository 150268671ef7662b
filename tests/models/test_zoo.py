"""The embedded checkpoints: whole cards, small files, and the accuracy that the cards claim."""

import functools
import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

from efficient360.core.statistics import wilson
from efficient360.datasets.digits import digits
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec, Origin, zoo_file, zoo_names
from efficient360.models.references import resolve

NAMES = ("digits-hybrid", "digits-swin", "digits-vit", "digits-vit-reg")
KEYS = {
    "name",
    "architecture",
    "model_args",
    "input_size",
    "mean",
    "std",
    "interpolation",
    "crop_pct",
    "class_names",
    "family",
    "description",
    "license",
    "training",
    "measured",
}
SCRIPT = Path(__file__).parents[2] / "scripts" / "train_digits_zoo.py"
QUICKEST = "digits-hybrid"
each = pytest.mark.parametrize("name", NAMES)


def _card(name: str) -> dict[str, Any]:
    return json.loads(zoo_file(name).with_suffix(".json").read_text(encoding="utf-8"))


@functools.cache
def _test_half() -> tuple[torch.Tensor, torch.Tensor]:
    rows = digits("test")
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(image["bytes"]))) for image in rows["image"]])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255, torch.tensor(rows["label"])


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_digits_zoo", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_zoo_holds_four_families() -> None:
    assert zoo_names() == NAMES
    assert len({_card(name)["family"] for name in NAMES}) == 4


@each
def test_a_card_says_all_that_loading_takes(name: str) -> None:
    card = _card(name)
    assert set(card) == KEYS
    assert card["name"] == name
    assert card["architecture"] in timm.list_models()
    assert card["input_size"] == [3, 32, 32]
    assert card["class_names"] == list("0123456789")
    assert card["model_args"]["num_classes"] == 10
    assert {"data", "split", "selection", "epochs", "optimiser", "augmentation", "seed", "script", "torch", "timm"} == set(card["training"])
    assert (SCRIPT.parents[1] / card["training"]["script"]) == SCRIPT


@each
def test_it_is_small(name: str) -> None:
    tensors = load_file(zoo_file(name))
    assert zoo_file(name).stat().st_size < 1_000_000
    assert sum(tensor.numel() for tensor in tensors.values()) < 250_000
    assert {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()} == {torch.float32}


@each
def test_timm_alone_loads_it_and_gets_the_accuracy_of_the_card(name: str) -> None:
    card, (images, labels) = _card(name), _test_half()
    model = timm.create_model(card["architecture"], **card["model_args"]).eval()
    model.load_state_dict(load_file(zoo_file(name)), strict=True)
    mean, std = (torch.tensor(card[key])[:, None, None] for key in ("mean", "std"))
    with torch.inference_mode():
        predicted = torch.cat([model((part - mean) / std).argmax(1) for part in images.split(128)])
    hits = int((predicted == labels).sum())
    assert hits / len(labels) == card["measured"]["test_top1"]
    interval = wilson(hits, len(labels))
    assert card["measured"] == {"test_top1": hits / 897, "n": 897, "interval": [interval.low, interval.high]}
    assert hits / len(labels) >= 0.94


@each
def test_the_package_builds_the_same_model_from_the_name(name: str) -> None:
    card, images = _card(name), _test_half()[0][:8]
    checkpoint = resolve(CheckpointSpec(name))
    assert (checkpoint.origin, checkpoint.architecture, checkpoint.num_classes) == (Origin.ZOO, card["architecture"], 10)
    assert checkpoint.class_names == tuple("0123456789")
    alone = timm.create_model(card["architecture"], **card["model_args"]).eval()
    alone.load_state_dict(load_file(zoo_file(name)))
    with torch.inference_mode():
        expected = alone((images - 0.5) / 0.5)
        torch.testing.assert_close(load_model(checkpoint)(images), expected, rtol=1e-4, atol=1e-4)


def test_the_script_would_train_what_the_cards_describe() -> None:
    script = _script()
    assert sorted(recipe.name for recipe in script.RECIPES) == sorted(NAMES)
    for recipe in script.RECIPES:
        card = _card(recipe.name)
        versions = {key: card["training"][key] for key in ("torch", "timm")}
        again = script.card(recipe, round(card["measured"]["test_top1"] * 897), 897)
        again["training"] |= versions
        assert json.loads(json.dumps(again)) == card


def test_augmentation_is_seeded_and_keeps_pixels_in_range() -> None:
    script, grey = _script(), _test_half()[0][:50, :1]
    first, again, other = (script.augment(grey, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)
    assert first.shape == grey.shape
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1


@pytest.mark.exhaustive
@pytest.mark.slow
def test_retraining_reproduces_the_accuracy_of_the_card(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(SCRIPT), "--only", QUICKEST, "--out", str(tmp_path)], check=True, cwd=SCRIPT.parents[1])
    again = json.loads((tmp_path / f"{QUICKEST}.json").read_text(encoding="utf-8"))["measured"]
    low, high = _card(QUICKEST)["measured"]["interval"]
    assert low <= again["test_top1"] <= high
