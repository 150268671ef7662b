"""Stored outcomes are another's as soon as anything differs that the numbers depend on."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efficient360.datasets.spec import DatasetSpec
from efficient360.evaluators.accuracy import Accuracy
from efficient360.evaluators.membership_inference import MembershipInference
from efficient360.execution.cache_key import key_of
from efficient360.execution.plan import Plan
from efficient360.execution.session import InMemory, open_session
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.storage.outcomes import Store


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in range(10):
            folder = tmp_path / "images" / split / str(label)
            folder.mkdir(parents=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / "a.png")
    return tmp_path / "images"


def keys(folders: Path, tiny: Path, tmp_path: Path) -> tuple[str, str]:
    plan = Plan(
        checkpoint=CheckpointSpec(str(tiny)),
        dataset=DatasetSpec(f"imagefolder:{folders}"),
        protocol="test",
        steps=(),
        out=tmp_path / "run",
        batch_size=4,
    )
    with ExitStack() as stack:
        session = open_session(plan, Store(plan.out), lambda _: None, stack, InMemory())
        return key_of(session, Accuracy()), key_of(session, MembershipInference())


def test_another_training_image_is_another_key_of_those_who_look_at_it_alone(folders: Path, tiny: Path, tmp_path: Path) -> None:
    first, again = keys(folders, tiny, tmp_path), keys(folders, tiny, tmp_path)
    assert first == again
    Image.fromarray(np.zeros((32, 32, 3), dtype=np.uint8)).save(folders / "train" / "3" / "a.png")
    accuracy, membership = keys(folders, tiny, tmp_path)
    assert accuracy == first[0]
    assert membership != first[1]
