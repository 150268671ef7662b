"""A training split is another split of the same data, never the evaluated images; without one, int8 is calibrated on images that are not evaluated."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efficient360.core.measurement import Failure
from efficient360.datasets.loader import Dataset, open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.deployment.runtimes.calibration_images import CALIBRATION
from efficient360.errors import RunError
from efficient360.execution import runner
from efficient360.execution.events import Event, Finished, Opened
from efficient360.execution.plan import Plan, Step
from efficient360.execution.training_split import calibration_images, training_split
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.references import resolve

NAMES = [str(i) for i in range(10)]


@pytest.fixture
def network(tiny: Path) -> Checkpoint:
    return resolve(CheckpointSpec(str(tiny)))


def fill(folder: Path, per_class: int, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    for name in NAMES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(per_class):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / name / f"{seed}-{i}.png")
    return folder


def opened(folder: Path, network: Checkpoint, max_examples: int | None = None) -> Dataset:
    return open_dataset(DatasetSpec(f"imagefolder:{folder}", max_examples=max_examples), network, 0)


def test_no_folder_no_split(tmp_path: Path, network: Checkpoint) -> None:
    found = training_split(opened(fill(tmp_path, 2, 0), network), NAMES)
    assert found.examples is None
    assert "no training split" in found.missing
    assert found.hint


def test_the_evaluated_images_under_another_name_are_no_training_split(tmp_path: Path, network: Checkpoint) -> None:
    fill(tmp_path / "test", 2, 0)
    (tmp_path / "train").symlink_to(tmp_path / "test")
    found = training_split(opened(tmp_path, network), NAMES)
    assert found.examples is None
    assert "the evaluated images" in found.missing


def test_a_few_images_of_both_splits_are_a_finding(tmp_path: Path, network: Checkpoint) -> None:
    fill(tmp_path / "test", 2, 0)
    fill(tmp_path / "train", 5, 1)
    (tmp_path / "train" / "3" / "leak.png").write_bytes((tmp_path / "test" / "3" / "0-0.png").read_bytes())
    found = training_split(opened(tmp_path, network), NAMES)
    assert found.examples is not None
    assert [finding.code for finding in found.findings] == ["training-images-evaluated"]


def test_a_training_split_that_can_not_be_had_costs_nothing_else(tmp_path: Path, tiny: Path, network: Checkpoint) -> None:
    """As --data-dir with the test split alone: what needs a training split is unsupported, the rest runs."""
    fill(tmp_path / "data" / "test", 2, 0)
    (tmp_path / "card.yaml").write_text("name: mine\ntitle: Mine\nsource: {kind: hub, location: nobody/nothing}\nsplits: {test: test, train: train}\n")
    spec = DatasetSpec(str(tmp_path / "card.yaml"), data_dir=tmp_path / "data")
    events: list[Event] = []
    steps = tuple(Step(name, {}) for name in ("membership_inference", "accuracy", "uncertainty"))
    runner.run(Plan(CheckpointSpec(str(tiny)), spec, "test", steps, tmp_path / "run"), events.append)
    done = {event.evaluator: event.records for event in events if isinstance(event, Finished)}
    assert done["membership_inference"][0].outcome.code == "no-training-split"
    assert any(record.metric is not None and record.metric.name == "top1" for record in done["accuracy"])
    assert list(done) == ["membership_inference", "accuracy", "uncertainty"]


def test_a_broken_training_split_is_missing_not_the_end(tmp_path: Path, network: Checkpoint) -> None:
    fill(tmp_path / "test", 2, 0)
    (tmp_path / "train" / "3").mkdir(parents=True)
    found = training_split(opened(tmp_path, network), NAMES)
    assert found.examples is None
    assert "can't be had" in found.missing


def test_a_training_image_that_can_not_be_read_costs_its_evaluator_alone(tmp_path: Path, tiny: Path) -> None:
    """Broken among so many that the look at its opening misses it."""
    fill(tmp_path / "test", 2, 0)
    train = fill(tmp_path / "train", 240, 1)
    for name in NAMES:
        for path in sorted((train / name).iterdir())[100:103]:
            path.write_bytes(b"broken")
    events: list[Event] = []
    steps = (Step("uncertainty", {"training_examples": 2400}), Step("accuracy", {}))
    runner.run(Plan(CheckpointSpec(str(tiny)), DatasetSpec(f"imagefolder:{tmp_path}"), "test", steps, tmp_path / "run"), events.append)
    done = {event.evaluator: event.records for event in events if isinstance(event, Finished)}
    assert "corrupt-image" in [record.outcome.code for record in done["uncertainty"] if isinstance(record.outcome, Failure)]
    assert any(record.metric is not None and record.metric.name == "top1" for record in done["accuracy"])


def test_int8_is_calibrated_with_the_training_split_where_there_is_one(tmp_path: Path, network: Checkpoint) -> None:
    fill(tmp_path / "test", 2, 0)
    fill(tmp_path / "train", 2, 1)
    dataset = opened(tmp_path, network)
    same, images = calibration_images(dataset, partial(training_split, dataset, NAMES), "onnxruntime:int8", 0)
    assert images is not None
    assert images.described == "the training split"
    assert same is dataset
    assert calibration_images(dataset, partial(training_split, dataset, NAMES), "onnxruntime", 0) == (dataset, None)


def test_else_with_images_that_are_not_evaluated(tmp_path: Path, network: Checkpoint) -> None:
    folder = fill(tmp_path, 20, 0)
    whole = opened(folder, network)
    rest, held = calibration_images(whole, partial(training_split, whole, NAMES), "onnxruntime:int8", 0)
    assert held is not None
    assert set(held.examples.ids).isdisjoint(rest.examples.ids)
    assert len(held.examples) == 50
    assert sorted([*held.examples.ids, *rest.examples.ids]) == sorted(whole.examples.ids)
    assert [finding.code for finding in rest.findings] == ["calibration-held-back"]
    part = opened(folder, network, max_examples=30)
    same, spare = calibration_images(part, partial(training_split, part, NAMES), "onnxruntime:int8", 0)
    assert spare is not None
    assert list(same.examples.ids) == list(part.examples.ids)
    assert len(spare.examples) == 170 >= CALIBRATION
    assert set(spare.examples.ids).isdisjoint(part.examples.ids)


def test_too_few_images_to_hold_some_back_are_told(tmp_path: Path, network: Checkpoint) -> None:
    few = opened(fill(tmp_path, 2, 0), network)
    with pytest.raises(RunError) as caught:
        calibration_images(few, partial(training_split, few, NAMES), "onnxruntime:int8", 0)
    assert caught.value.code == "no-calibration"


def test_what_is_found_of_the_training_split_stands_in_the_header(tmp_path: Path, tiny: Path) -> None:
    fill(tmp_path / "test", 2, 0)
    fill(tmp_path / "train", 5, 1)
    (tmp_path / "train" / "3" / "leak.png").write_bytes((tmp_path / "test" / "3" / "0-0.png").read_bytes())
    events: list[Event] = []
    plan = Plan(CheckpointSpec(str(tiny)), DatasetSpec(f"imagefolder:{tmp_path}"), "test", (Step("weight_spectrum", {}),), tmp_path / "run")
    runner.run(plan, events.append)
    (header,) = [event.header for event in events if isinstance(event, Opened)]
    assert [finding["code"] for finding in header["findings"]] == ["training-images-evaluated"]
    assert header["dataset"]["files"]["images"] == 20
