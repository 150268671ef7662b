"""The cards of FairFace and CelebA on generated data of the same columns, through a whole run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from answered import found
from fairlearn.metrics import MetricFrame
from safetensors.torch import save_file
from sklearn.metrics import accuracy_score

from datasets import ClassLabel, Dataset, Features, Image, Value
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.execution.events import Event, Finished
from efficient360.execution.plan import Plan, Step
from efficient360.execution.runner import run
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve
from efficient360.storage.per_example import read_examples

AGES = ["0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"]
RACES = ["East Asian", "Indian", "Black", "White", "Middle Eastern", "Latino_Hispanic", "Southeast Asian"]
ARGUMENTS = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 2}
COUNT = 280


def cells(count: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    return [{"bytes": b"P6 32 32 255\n" + rng.integers(0, 256, (32, 32, 3), dtype=np.uint8).tobytes(), "path": None} for _ in range(count)]


def fairface(folder: Path) -> None:
    rng = np.random.default_rng(0)
    features = Features(
        {
            "image": Image(decode=False),
            "age": ClassLabel(names=AGES),
            "gender": ClassLabel(names=["Male", "Female"]),
            "race": ClassLabel(names=RACES),
            "service_test": Value("bool"),
        }
    )
    columns = {
        "image": cells(COUNT, rng),
        "age": rng.integers(0, 9, COUNT),
        "gender": rng.integers(0, 2, COUNT),
        "race": np.arange(COUNT) % 7,
        "service_test": [False] * COUNT,
    }
    Dataset.from_dict(columns, features=features).to_parquet(folder / "validation-00000-of-00001.parquet")


def celeba(folder: Path) -> None:
    rng = np.random.default_rng(0)
    attributes = ("Blond_Hair", "Male", "Young", "Smiling")
    features = Features({"image": Image(decode=False), "celeb_id": Value("int64")} | dict.fromkeys(attributes, Value("bool")))
    columns = {"image": cells(COUNT, rng), "celeb_id": rng.integers(1, 99, COUNT)} | {name: rng.random(COUNT) < 0.5 for name in attributes}
    Dataset.from_dict(columns, features=features).to_parquet(folder / "test-00000-of-00001.parquet")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_file(timm.create_model("vit_tiny_patch16_224", **ARGUMENTS).state_dict(), folder / "faces.safetensors")
    card = {"architecture": "vit_tiny_patch16_224", "model_args": ARGUMENTS, "input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}
    (folder / "faces.json").write_text(json.dumps(card))
    return folder / "faces.safetensors"


@pytest.mark.parametrize(("name", "make", "columns"), [("fairface", fairface, ("race", "age")), ("celeba", celeba, ("Male", "Young"))])
def test_a_run_on_faces_is_fairlearn_by_hand(name: str, make: Callable[[Path], None], columns: tuple[str, ...], checkpoint: Path, tmp_path: Path) -> None:
    make(tmp_path)
    spec = DatasetSpec(name, data_dir=tmp_path)
    settings = {"derived": [], "permutations": 99, "resamples": 99}
    events: list[Event] = []
    run(Plan(CheckpointSpec(str(checkpoint)), spec, "test", (Step("group_fairness", settings),), tmp_path / "run"), events.append)
    (finished,) = [event for event in events if isinstance(event, Finished)]
    outcomes = [record.outcome for record in finished.records]
    examples = open_dataset(spec, resolve(CheckpointSpec(str(checkpoint))), 0).examples
    kept = read_examples(tmp_path / "run")["group_fairness", "prediction", "{}"]
    predicted = np.array([kept[example] for example in examples.ids]).astype(int)
    assert len(set(predicted)) == 2
    for column in columns:
        values = np.array(examples.groups[column])
        names, sizes = np.unique(values, return_counts=True)
        inside = np.isin(values, names[sizes >= 30])
        by_hand = MetricFrame(metrics=accuracy_score, y_true=examples.labels[inside], y_pred=predicted[inside], sensitive_features=values[inside].tolist())
        assert found(outcomes, "accuracy_difference", groups=column).value == pytest.approx(by_hand.difference())
        for group, accuracy in by_hand.by_group.items():
            assert found(outcomes, "group_accuracy", groups=column, group=group).value == pytest.approx(accuracy)
    assert {o.conditions["groups"] for o in outcomes if o.conditions} == {*columns, " × ".join(columns)}
