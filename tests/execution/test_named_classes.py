from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import efficient360 as e360
from efficient360.errors import Efficient360Error
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve
from tiny_zero_shot import save_pair

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8), np.arange(12) % 3


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_pair(tmp_path / "clip", "Siglip")
    return tmp_path / "clip"


def test_a_zero_shot_classifier_takes_its_classes_from_data_in_memory(pair: Path, tmp_path: Path) -> None:
    names = ["dog", "fish", "cat"]
    report = e360.evaluate(str(pair), (IMAGES, LABELS), class_names=names, only=["accuracy"], out=tmp_path / "run")
    model = load_model(resolve(CheckpointSpec(str(pair), arguments={"classes": names})))
    right = model(torch.from_numpy(IMAGES).float() / 255).argmax(1).numpy() == LABELS
    assert report["top1"].value == pytest.approx(right.mean())


def test_data_that_name_no_classes_are_asked_for_names(pair: Path, tmp_path: Path) -> None:
    with pytest.raises(Efficient360Error) as caught:
        e360.evaluate(str(pair), (IMAGES, LABELS), only=["accuracy"], out=tmp_path / "run")
    assert caught.value.code == "no-class-names"


def test_class_folders_name_the_classes(pair: Path, tmp_path: Path) -> None:
    from efficient360.datasets.spec import DatasetSpec
    from efficient360.execution.plan import Plan
    from efficient360.execution.session import InMemory, resolve_for

    for i, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        folder = tmp_path / "photos" / ("cat", "dog", "fish")[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{i}.png")
    plan = Plan(CheckpointSpec(str(pair)), DatasetSpec(f"imagefolder:{tmp_path / 'photos'}"), "quick", (), tmp_path / "run")
    named, checkpoint = resolve_for(plan, InMemory())
    assert checkpoint.class_names == ("cat", "dog", "fish")
    assert named.checkpoint.arguments["classes"] == ["cat", "dog", "fish"]
