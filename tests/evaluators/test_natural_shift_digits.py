"""A trained ViT on shifted digits, against plain PyTorch code and through the runner."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image as Pillow
from PIL import ImageFilter
from shifted_datasets import OutcomesByShift, by_metric_and_shift, parquet

from efficient360.core.statistics import newcombe, newcombe_paired
from efficient360.datasets.digits import digits
from efficient360.datasets.spec import DatasetSpec
from efficient360.execution import runner
from efficient360.execution.events import Finished
from efficient360.execution.plan import Plan, Step
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve


def digit_images() -> tuple[list[Pillow.Image], list[int]]:
    table = digits("test")
    return [Pillow.open(io.BytesIO(cell["bytes"])) for cell in table["image"]], list(table["label"])


def encoded(image: Pillow.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def digits_card(tmp_path: Path) -> tuple[Path, dict]:
    """Digits and three shifted versions of them: inverted (the same ones, with ids), blurred (other ones), and enlarged ones of 4, 7 and 9."""
    images, labels = digit_images()
    blurred = [image.filter(ImageFilter.GaussianBlur(2)) for image in images[200:400]]
    some = [i for i in range(400, 800) if labels[i] in (4, 7, 9)]
    enlarged = [images[i].crop((3, 3, 29, 29)).resize((32, 32)) for i in some]
    inverted = [Pillow.eval(image, lambda value: 255 - value) for image in images[:200]]
    made = {
        "clean": (images[:200], labels[:200]),
        "inverted": (inverted, labels[:200]),
        "blurred": (blurred, labels[200:400]),
        "enlarged": (enlarged, [labels[i] for i in some]),
    }
    words = {4: "vier", 7: "sieben", 9: "neun"}
    written = {name: [words[label] for label in there] if name == "enlarged" else there for name, (_, there) in made.items()}
    ids = [f"digit {i}" for i in range(200)]
    files = {
        name: parquet(tmp_path / f"{name}.parquet", [encoded(image) for image in pictures], written[name], ids if name in ("clean", "inverted") else ())
        for name, (pictures, _) in made.items()
    }
    source = lambda name: {"kind": "parquet", "location": files[name]}  # noqa: E731
    card = {
        "name": "shifted-digits",
        "title": "Digits",
        "source": source("clean"),
        "splits": {"test": "test"},
        "classes": 10,
        "shifts": [
            {"name": "inverted", "title": "Inverted digits", "source": source("inverted")},
            {"name": "blurred", "title": "Blurred digits", "source": source("blurred")},
            {"name": "enlarged", "title": "Enlarged digits", "source": source("enlarged"), "classes": [4, 7, 9], "labels": ["vier", "sieben", "neun"]},
            {"name": "lost", "title": "Lost digits", "source": {"kind": "parquet", "location": str(tmp_path / "lost-*.parquet")}},
        ],
    }
    (tmp_path / "shifted-digits.yaml").write_text(yaml.safe_dump(card))
    return tmp_path / "shifted-digits.yaml", made


def plainly(images: Sequence[Pillow.Image], among: Sequence[int]) -> list[int]:
    """Predictions with nothing but the network and the sidecar's mean and deviation."""
    checkpoint = resolve(CheckpointSpec("digits-vit"))
    network = load_model(checkpoint).network
    pixels = np.stack([np.asarray(image.convert("RGB"), dtype=np.float32) for image in images]) / 255
    mean, std = (np.array(values, dtype=np.float32) for values in (checkpoint.preprocessing.mean, checkpoint.preprocessing.std))
    with torch.inference_mode():
        logits = network(torch.from_numpy(((pixels - mean) / std).transpose(0, 3, 1, 2)))
    return [max(among, key=lambda c: row[c]) for row in logits.tolist()]


def run_plan(card: Path, out: Path, **settings: Any) -> tuple[OutcomesByShift, bool]:
    plan = Plan(CheckpointSpec("digits-vit"), DatasetSpec(str(card)), "test", (Step("natural_shift", settings),), out, batch_size=50)
    events: list = []
    runner.run(plan, events.append)
    (done,) = [event for event in events if isinstance(event, Finished)]
    return by_metric_and_shift([record.outcome for record in done.records]), done.cached


@pytest.mark.slow
def test_real_digits_against_plain_torch_code(digits_card: tuple[Path, dict], tmp_path: Path) -> None:
    card, made = digits_card
    measured, _ = run_plan(card, tmp_path / "run")
    everything, some = range(10), (4, 7, 9)
    right: Callable[[str, Sequence[int]], np.ndarray] = lambda name, among: np.array(plainly(made[name][0], among)) == np.array(made[name][1])  # noqa: E731
    clean, labels = right("clean", everything), np.array(made["clean"][1])
    for name, among, beside in (
        ("inverted", everything, clean),
        ("blurred", everything, clean),
        ("enlarged", some, right("clean", some)[np.isin(labels, some)]),
    ):
        shifted = right(name, among)
        accuracy, gap = measured["shift_accuracy", name], measured["shift_gap", name]
        assert (accuracy.n, accuracy.value) == (len(shifted), pytest.approx(shifted.mean(), abs=1e-12))
        assert gap.value == pytest.approx(beside.mean() - shifted.mean(), abs=1e-12)
        if name == "inverted":
            table = [int(((clean == a) & (shifted == b)).sum()) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0))]
            assert gap.interval == newcombe_paired(*table)
        else:
            assert gap.interval == newcombe(int(beside.sum()), len(beside), int(shifted.sum()), len(shifted))
    assert measured["shift_gap", "inverted"].value > 0.2
    assert measured["all", "lost"].code == "no-files"


def test_a_changed_file_is_measured_anew(digits_card: tuple[Path, dict], tmp_path: Path) -> None:
    card, _ = digits_card
    chosen = {"shifts": ["blurred"], "mistakes": 0}
    first, _ = run_plan(card, tmp_path / "run", **chosen)
    again, cached = run_plan(card, tmp_path / "run", **chosen)
    assert cached
    assert again == first
    images, labels = digit_images()
    parquet(tmp_path / "blurred.parquet", [encoded(image) for image in images[200:300]], labels[200:300])
    other, cached = run_plan(card, tmp_path / "run", **chosen)
    assert not cached
    assert other["shift_accuracy", "blurred"].n == 100
