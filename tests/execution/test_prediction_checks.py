"""Checks that follow the first clean predictions: kept, shown first, and never in the way."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import efficient360 as e360
from efficient360.core.findings import Finding
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import OutOfTime
from efficient360.evaluator import Deadline
from efficient360.execution.alternatives import NORMALISATIONS, Trial, better_heads, better_preprocessing
from efficient360.execution.events import Found
from efficient360.execution.opening_findings import assumed_preprocessing
from efficient360.execution.plan import Plan, Step
from efficient360.execution.runner import run
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import Model
from efficient360.models.references import resolve

HALF = Preprocessing((3, 8, 8), (0.5,) * 3, (0.5,) * 3)
UNSAID = ("mean", "std", "crop_pct")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Thresholds(Model):
    """Classifies an image by its normalised grey value, which one normalisation alone gets right."""

    own: Preprocessing
    trained: tuple[tuple[float, ...], tuple[float, ...]]
    calls: list[int]

    @property
    def num_classes(self) -> int:
        return 8

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 8, 8)

    def __call__(self, images: Tensor) -> Tensor:
        self.calls.append(len(images))
        mean, std, right_mean, right_std = (torch.tensor(v).view(1, 3, 1, 1) for v in (self.own.mean, self.own.std, *self.trained))
        grey = ((images - mean) / std * right_std + right_mean).mean((1, 2, 3))
        return -((grey[:, None] - (torch.arange(8) + 0.5) / 8) ** 2)


@dataclasses.dataclass(frozen=True)
class Corners(Thresholds):
    """Looks at the corners alone."""

    def __call__(self, images: Tensor) -> Tensor:
        corners = images[..., [0, 0, -1, -1], [0, -1, 0, -1]]
        return super().__call__(corners[..., None, :])


@pytest.fixture
def greys(tmp_path: Path):
    """128 plain images of eight greys, a class each."""
    for label in range(8):
        for i in range(16):
            (tmp_path / str(label)).mkdir(exist_ok=True)
            value = round(255 * (label + 0.5) / 8 + (i - 8) / 2)
            Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(tmp_path / str(label) / f"{i}.png")
    network = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", HALF, 8)
    return open_dataset(DatasetSpec(f"imagefolder:{tmp_path}"), network, 0).examples


def right(model: Model, examples) -> np.ndarray:
    return np.concatenate([(model(batch.images).argmax(1) == batch.labels).numpy() for batch in examples.batches(64)])


def test_the_normalisation_that_was_trained_with_is_found(greys) -> None:
    model = Thresholds(HALF, (MEAN, STD), [])
    before = right(model, greys)
    assert before.mean() < 0.5
    finding = better_preprocessing(model, HALF, UNSAID, Trial(greys, before, 32, Deadline()))
    assert finding is not None
    assert finding.code == "other-preprocessing-better"
    assert "ImageNet's" in finding.message
    assert "100.0 %" in finding.message


def test_normalisations_that_do_about_as_well_are_all_told(greys) -> None:
    between = tuple(tuple((a + b) / 2 for a, b in zip(*pair, strict=True)) for pair in zip(NORMALISATIONS["CLIP's"], NORMALISATIONS["CIFAR-10's"], strict=True))
    model = Thresholds(HALF, (between[0], between[1]), [])
    finding = better_preprocessing(model, HALF, UNSAID, Trial(greys, right(model, greys), 32, Deadline()))
    assert finding is not None
    assert "CLIP's" in finding.message
    assert "CIFAR-10's" in finding.message
    assert "ImageNet's" not in finding.message


def test_a_number_of_heads_that_no_shape_tells_is_tried() -> None:
    heads, width = (resolve(CheckpointSpec("digits-vit")).arguments[name] for name in ("num_heads", "embed_dim"))
    wrong = next(number for number in (1, 2) if number != heads)
    given = resolve(CheckpointSpec("digits-vit", arguments={"num_heads": wrong}))
    examples = open_dataset(DatasetSpec("digits", max_examples=200), given, 0).examples
    finding = better_heads(given, None, "cpu", Trial(examples, right(load_model(given), examples), 64, Deadline()))
    assert width % heads == 0
    assert finding is not None
    assert finding.code == "other-heads-better"
    assert finding.advice.endswith(f"num_heads={heads}")
    true = resolve(CheckpointSpec("digits-vit", arguments={"num_heads": heads}))
    assert better_heads(true, None, "cpu", Trial(examples, right(load_model(true), examples), 64, Deadline())) is None


def test_the_right_one_gives_no_finding_and_is_tried_on_few_images_only(greys) -> None:
    model = Thresholds(HALF, (HALF.mean, HALF.std), [])
    before = right(model, greys)
    model.calls.clear()
    assert better_preprocessing(model, HALF, UNSAID, Trial(greys, before, 32, Deadline())) is None
    assert sum(model.calls) == 64 * 4


def test_only_what_nobody_named_is_tried_otherwise(greys) -> None:
    model = Thresholds(HALF, (MEAN, STD), [])
    before = right(model, greys)
    model.calls.clear()
    assert better_preprocessing(model, HALF, ("interpolation",), Trial(greys, before, 32, Deadline())) is None
    assert model.calls == []


def test_a_crop_that_nobody_named_is_tried_without(tmp_path: Path) -> None:
    """The class is the brightness of the border, which the crop cuts off."""
    for label in range(8):
        (tmp_path / str(label)).mkdir()
        for i in range(16):
            pixels = np.full((16, 16, 3), round(255 * (label + 0.5) / 8), np.uint8)
            pixels[4:12, 4:12] = 7 * i
            Image.fromarray(pixels).save(tmp_path / str(label) / f"{i}.png")
    cropped = dataclasses.replace(HALF, input_size=(3, 8, 8), interpolation="bilinear", crop_pct=0.5)
    network = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", cropped, 8)
    examples = open_dataset(DatasetSpec(f"imagefolder:{tmp_path}"), network, 0).examples
    model = Corners(cropped, (cropped.mean, cropped.std), [])
    finding = better_preprocessing(model, cropped, ("crop_pct",), Trial(examples, right(model, examples), 32, Deadline()))
    assert finding is not None
    assert "crop 1 instead of 0.5" in finding.message


def test_the_check_stops_when_time_is_up(greys) -> None:
    model = Thresholds(HALF, (MEAN, STD), [])
    with pytest.raises(OutOfTime):
        better_preprocessing(model, HALF, UNSAID, Trial(greys, np.zeros(len(greys), dtype=bool), 32, Deadline(0.0)))


def test_what_a_checkpoint_leaves_unsaid_is_a_finding(tiny: Path, tmp_path: Path) -> None:
    whole = resolve(CheckpointSpec(str(tiny)))
    assert whole.assumed == ()
    assert assumed_preprocessing(whole) == ()
    (tmp_path / "bare.safetensors").write_bytes(tiny.read_bytes())
    card = json.loads(tiny.with_suffix(".json").read_text())
    for left_out in ("mean", "std", "interpolation", "crop_pct"):
        del card[left_out]
    (tmp_path / "bare.json").write_text(json.dumps(card))
    bare = resolve(CheckpointSpec(str(tmp_path / "bare.safetensors")))
    assert bare.assumed == ("mean", "std", "interpolation", "crop_pct")
    (finding,) = assumed_preprocessing(bare)
    assert finding.code == "preprocessing-assumed"
    assert "mean 0.500 0.500 0.500" in finding.message
    assert assumed_preprocessing(dataclasses.replace(bare, origin=Origin.RANDOM)) == ()


def test_the_other_weights_of_a_file_are_seen_and_tried(tmp_path: Path) -> None:
    """The plain weights are noise, the moving average's are a trained network's."""
    zoo = resolve(CheckpointSpec("digits-vit"))
    assert zoo.path is not None
    trained = load_file(zoo.path)
    noise = {name: torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0)) * 0.02 for name, tensor in trained.items()}
    torch.save({"state_dict": noise, "state_dict_ema": trained}, tmp_path / "both.pth")
    (tmp_path / "both.json").write_text(zoo.path.with_suffix(".json").read_text())

    def found(name: str, key: str) -> list[str]:
        spec = CheckpointSpec(str(tmp_path / "both.pth"), weights_key=key)
        events: list = []
        run(Plan(spec, DatasetSpec("digits", max_examples=100), "test", (Step("accuracy", {}),), tmp_path / name), events.append)
        return [finding.code for event in events if isinstance(event, Found) for finding in event.findings]

    assert found("plain", "")[0] == "other-weights-better"
    assert "two-sets-of-weights" in found("plain", "")
    assert found("ema", "ema") == ["two-sets-of-weights"]


def test_findings_are_kept_and_come_again(make_plan) -> None:
    plan = make_plan("accuracy")
    for _ in range(2):
        events: list = []
        run(plan, events.append)
        (found,) = [event for event in events if isinstance(event, Found)]
        assert [finding.code for finding in found.findings] == ["one-class-predicted", "near-chance"]
        for log in (plan.out / "work").glob("predictions-*/*"):
            log.unlink()


def test_a_report_begins_with_them_and_is_read_back_with_them(tiny: Path, tmp_path: Path) -> None:
    report = e360.evaluate(tiny, "digits", only=["accuracy"], max_examples=60, out=tmp_path / "run")
    assert [finding.code for finding in report.findings] == ["one-class-predicted", "near-chance"]
    assert e360.load_report(tmp_path / "run").findings == report.findings
    stored = json.loads((tmp_path / "run" / "report.json").read_text())
    assert [finding["code"] for finding in stored["findings"]] == ["one-class-predicted", "near-chance"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.index('id="alerts"') < page.index(report.findings[0].message[:20]) < page.index('id="radar"')
    del stored["findings"]
    (tmp_path / "run" / "report.json").write_text(json.dumps(stored))
    assert e360.load_report(tmp_path / "run").findings == ()
    assert isinstance(report.findings[0], Finding)
