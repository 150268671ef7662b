"""The front door for Python, on references and on networks, data and evaluators in memory."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast, final

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Subset, TensorDataset
from torchvision import transforms

import efficient360 as e360
from efficient360.datasets.digits import digits
from efficient360.datasets.in_memory import Normalisation, Supplied, packed, unpacked
from efficient360.datasets.transforms import preprocessing_of_transform, split_transform
from efficient360.errors import Efficient360Error, MetricError
from efficient360.evaluator import ONE, Better, Evaluator, Metric, Need
from efficient360.evaluators.calibration import Calibration
from efficient360.execution.events import Event, Finished
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec, Origin
from efficient360.models.in_memory import checkpoint_in_memory
from efficient360.models.references import resolve

CHECKPOINT = resolve(CheckpointSpec("digits-vit"))
MEAN, STD = CHECKPOINT.preprocessing.mean, CHECKPOINT.preprocessing.std
NAMES = tuple("0123456789")
COUNT = 60


def images(split: str = "test", n: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    rows = digits(split).select(range(n))
    return np.stack([np.asarray(Image.open(io.BytesIO(cell["bytes"]))) for cell in rows[:]["image"]]), np.array(rows["label"])


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return load_model(CHECKPOINT).network


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> e360.RunReport:
    """The same images and checkpoint by name: Parquet files of the first 60 digits."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("reference")
    rows = digits("test").select(range(COUNT))
    cells = [{"bytes": cell["bytes"], "path": None} for cell in rows[:]["image"]]
    pq.write_table(pa.table({"image": cells, "label": list(rows["label"])}), folder / "a.parquet")
    return e360.evaluate("digits-vit", f"parquet:{folder}/a.parquet", only=["accuracy", "calibration", "parameters"], out=folder / "run")


def small(model: Any, data: Any, out: Path, **changes: Any) -> e360.RunReport:
    arguments: dict[str, Any] = {"only": ["accuracy", "calibration", "parameters"], "out": out, "class_names": NAMES}
    return e360.evaluate(model, data, **(arguments | changes))


class Pairs:
    """A map-style data set as people write it."""

    def __init__(self, transform: Any = None) -> None:
        self.pixels, self.labels = images()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        image = Image.fromarray(self.pixels[i])
        return (image if self.transform is None else self.transform(image)), int(self.labels[i])


NORMALISED = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
WAYS = {
    "arrays": lambda: (images(), {"mean": MEAN, "std": STD}),
    "PIL and a transform": lambda: (Pairs(), {"transform": NORMALISED}),
    "a data set that normalises itself": lambda: (Pairs(NORMALISED), {}),
    "a subset of one": lambda: (Subset(cast(Any, Pairs(NORMALISED)), range(COUNT)), {}),
    "tensors": lambda: (TensorDataset(torch.from_numpy(images()[0]).permute(0, 3, 1, 2) / 255, torch.from_numpy(images()[1])), {"mean": MEAN, "std": STD}),
    "Hugging Face": lambda: (digits("test").select(range(COUNT)).cast_column("image", __import__("datasets").Image()), {"transform": NORMALISED}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_network_in_memory_has_the_numbers_of_its_file(way: str, network: nn.Module, reference: e360.RunReport, tmp_path: Path) -> None:
    data, options = WAYS[way]()
    report = small(network, data, tmp_path / "run", **options)
    for metric in ("top1", "balanced_accuracy", "nll", "parameters"):
        assert report[metric].value == pytest.approx(reference[metric].value, rel=1e-5)
    assert report["top1"].value == reference["top1"].value


def test_a_checkpoint_by_name_on_data_in_memory(reference: e360.RunReport, tmp_path: Path) -> None:
    report = small("digits-vit", Pairs(), tmp_path / "run")
    assert report["top1"].value == reference["top1"].value
    assert report["nll"].value == pytest.approx(reference["nll"].value, rel=1e-6)
    assert (report.folder / "card.png").is_file()  # the page names it as its picture


def test_a_network_in_memory_on_data_by_name(network: nn.Module, reference: e360.RunReport, tmp_path: Path) -> None:
    path = reference.dataset["source"]["location"]
    transform = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(32), *NORMALISED.transforms])
    report = small(network, f"parquet:{path}", tmp_path / "run", transform=transform)
    assert report["nll"].value == pytest.approx(reference["nll"].value, rel=1e-5)


def test_the_callers_network_stays_as_it_is(network: nn.Module, tmp_path: Path) -> None:
    mine = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=10).train()
    before = {name: tensor.clone() for name, tensor in mine.state_dict().items()}
    small(mine, images(), tmp_path / "run")
    assert mine.training
    assert all(parameter.requires_grad for parameter in mine.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in mine.state_dict().items())


@pytest.mark.slow
def test_numbers_are_taken_up_again_for_the_same_network_only(network: nn.Module, tmp_path: Path) -> None:
    def cached(model: nn.Module, out: Path) -> set[bool]:
        events: list[Event] = []
        small(model, images(), out, mean=MEAN, std=STD, progress=events.append)
        return {event.cached for event in events if isinstance(event, Finished)}

    assert cached(network, tmp_path / "run") == {False}
    assert cached(load_model(CHECKPOINT).network, tmp_path / "run") == {True}
    other = load_model(CHECKPOINT).network
    with torch.no_grad():
        next(other.parameters()).add_(1e-3)
    with pytest.raises(Efficient360Error) as caught:
        cached(other, tmp_path / "run")
    assert caught.value.code == "another-run"


class Scaled(nn.Module):
    """Logits that depend on a plain value, which no state dict holds."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.linear = nn.Linear(3, 2)
        nn.init.constant_(self.linear.weight, 0.1)
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * self.linear(images.mean((2, 3)))


def test_identity_of_a_network_holds_its_code_and_plain_values() -> None:
    shape = e360.Preprocessing((3, 8, 8), (0.0,) * 3, (1.0,) * 3)
    first, same, other = (checkpoint_in_memory(Scaled(scale), shape, ()) for scale in (1.0, 1.0, 2.0))
    assert first.digest == same.digest != other.digest
    assert first.origin is Origin.MEMORY
    assert (first.architecture.rpartition(".")[2], first.num_classes) == ("Scaled", 2)
    with pytest.raises(Efficient360Error) as caught:
        first.require_rebuildable()
    assert caught.value.code == "in-memory"


WIDTH = Metric("widest_layer", ONE, Better.NEITHER, "Inputs of the widest linear layer.", low=1)


@final
@dataclass(frozen=True)
class WidestLayer(Evaluator):
    """An evaluator that is written in a notebook: no name leads to it."""

    name: ClassVar[str] = "widest_layer"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (WIDTH,)
    needs: ClassVar[frozenset[Need]] = frozenset()
    least: int = 1

    def evaluate(self, model: Any, context: Any) -> Iterator[Any]:
        widths = [m.in_features for m in model.network.modules() if isinstance(m, nn.Linear)]
        yield e360.Measurement(WIDTH, float(max(*widths, self.least)))


@pytest.mark.slow
def test_evaluators_as_instances(network: nn.Module, tmp_path: Path) -> None:
    options = {"mean": MEAN, "std": STD, "only": [WidestLayer(), Calibration(bins=5, resamples=50, draws=20), "parameters"]}
    report = small(network, images(), tmp_path / "run", **options)
    assert report["widest_layer"].value == max(m.in_features for m in network.modules() if isinstance(m, nn.Linear))
    settings = {record.evaluator: record.settings for record in report.report.records}
    assert settings["calibration"]["bins"] == 5
    assert list(settings) == ["calibration", "parameters", "widest_layer"]  # the package's own first


@pytest.mark.slow
def test_an_evaluator_that_was_rewritten_is_run_again(network: nn.Module, tmp_path: Path) -> None:
    def key(body: str) -> str:
        space: dict[str, Any] = {}
        source = f"class Widest(WidestLayer.__bases__[0]):\n    name, version, metrics, needs = 'widest_layer', 1, (WIDTH,), frozenset()\n{body}"
        exec(source, {**globals()}, space)  # as a notebook's cell is run
        cls = dataclass(frozen=True)(space["Widest"])
        report = small(network, images(), tmp_path / "run", mean=MEAN, std=STD, only=[cls()])
        return report.report.records[0].key

    first = key("    def evaluate(self, model, context):\n        yield e360.Measurement(WIDTH, 1.0)\n")
    assert key("    def evaluate(self, model, context):\n        yield e360.Measurement(WIDTH, 1.0)\n") == first
    assert key("    def evaluate(self, model, context):\n        yield e360.Measurement(WIDTH, 2.0)\n") != first


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model": "digits-vit", "dataset": "digits"}, "bad-option"),
        ({"model": 3}, "not-a-model"),
        ({"model": nn.Linear(3, 2)}, "network-fails"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), "class_names": ("a", "b")}, "class-names-mismatch"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(3072, 1)), "class_names": ()}, "logits-shape"),
        ({"model": nn.Conv2d(3, 3, 1), "class_names": ()}, "logits-shape"),
        ({"model": "nowhere.safetensors"}, "checkpoint-not-found"),
        ({"dataset": "nowhere"}, "no-preprocessing"),
        ({"dataset": 3}, "not-a-dataset"),
        ({"dataset": (images()[0], images()[1][:3])}, "lengths-differ"),
        ({"dataset": [1, 2]}, "not-a-pair"),
        ({"dataset": [{"pixels": 1}]}, "not-a-pair"),
        ({"dataset": (images()[0].astype(np.float32), images()[1])}, "pixels-out-of-range"),
        ({"dataset": (images()[0].astype(np.int64), images()[1])}, "not-an-image"),
        ({"dataset": (images()[0][..., 0], images()[1])}, "not-rgb"),
        ({"dataset": (images()[0], images()[1] + 1)}, "label-out-of-range"),
        ({"dataset": (images()[0], images()[1] + 0.5)}, "bad-label"),
        ({"dataset": (images()[0][:0], images()[1][:0])}, "empty-split"),
        ({"groups": {"side": ["left"]}}, "groups-mismatch"),
        ({"mean": (0.5,) * 3}, "bad-option"),
        ({"max_examples": 0}, "bad-option"),
        ({"only": ["acuracy"]}, "unknown-evaluator"),
        ({"only": [Calibration(bins=0)]}, "bad-setting"),
        ({"settings": {"calibration": {"bin": 3}}}, "unknown-setting"),
        ({"settings": {"latency": {}}}, "bad-option"),
        ({"protocol": "fast"}, "unknown-protocol"),
        ({"deployment": "abacus"}, "unknown-runtime"),
        ({"transform": transforms.Compose([NORMALISED.transforms[1], transforms.RandomHorizontalFlip()])}, "transform-order"),
        ({"dataset": Pairs(), "transform": transforms.Compose([transforms.RandomCrop(16), transforms.Resize(32), transforms.ToTensor()])}, "random-transform"),
    ],
)
def test_bad_arguments_have_a_code_a_sentence_and_a_hint(changes: dict, code: str, tmp_path: Path) -> None:
    options = {"model": nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), "dataset": images(), "class_names": NAMES, "only": ["accuracy", "calibration"]}
    with pytest.raises(Efficient360Error) as caught:
        e360.evaluate(**{**options, "out": tmp_path / "run", **changes})
    assert caught.value.code == code
    assert caught.value.hint


def test_images_of_two_sizes_are_refused(network: nn.Module, tmp_path: Path) -> None:
    pixels, labels = images()
    mixed = [*zip(pixels[:3], labels[:3], strict=True), (np.zeros((16, 16, 3), np.uint8), 0)]
    with pytest.raises(Efficient360Error) as caught:
        small(network, mixed, tmp_path / "run")
    assert caught.value.code == "image-size"


def test_a_network_that_cannot_be_built_twice_still_has_what_needs_no_second_one(tmp_path: Path) -> None:
    report = small(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), images(), tmp_path / "run", only=["memory", "macs", "parameters"])
    assert report["weight_bytes"].value == 4 * (3072 * 10 + 10)
    assert "in-memory" in {record.outcome.code for record in report.failures if isinstance(record.outcome, e360.Failure)}


@pytest.mark.slow
def test_training_data_and_groups_in_memory(network: nn.Module, tmp_path: Path) -> None:
    sides = ["left" if i % 2 else "right" for i in range(COUNT)]
    report = small(
        network,
        images(),
        tmp_path / "run",
        mean=MEAN,
        std=STD,
        training=images("train", 200),
        groups={"side": sides},
        only=["group_fairness", "out_of_distribution"],
    )
    assert report.dataset is not None
    assert report.dataset["groups"] == ["side"]
    assert {record.evaluator for record in report.failures if record.metric is None} == set()
    with pytest.raises(Efficient360Error) as caught:
        e360.evaluate("digits-vit", "digits", training=images(), out=tmp_path / "b")
    assert caught.value.code == "bad-option"


def test_numbers_by_name_and_conditions(reference: e360.RunReport) -> None:
    assert reference["top1"] == next(m for m in reference.measurements if m.metric.name == "top1")
    assert reference["accuracy_at_coverage", {"coverage": "80 %"}].conditions == {"coverage": "80 %"}
    assert dict(reference["ece"].conditions) == {}
    assert "top1" in reference
    assert "robust_accuracy" not in reference
    for key, code in (("robust_accuracy", "no-such-metric"), (("ece", {"coverage": "7 %"}), "no-such-conditions"), ("accuracy_at_coverage", "several-values")):
        with pytest.raises(MetricError) as caught:
            reference[key]
        assert caught.value.code == code
        assert isinstance(caught.value, LookupError)


@pytest.mark.slow
def test_a_metric_without_value_says_why(tmp_path: Path) -> None:
    report = e360.evaluate("digits-vit", only=["accuracy"], out=tmp_path / "run")
    assert [record.outcome.code for record in report.failures if isinstance(record.outcome, e360.Failure)] == ["no-dataset"]
    assert report.axes["performance"].score is None


def test_axes_frame_radar_and_texts(reference: e360.RunReport) -> None:
    assert reference.axes["performance"].score == reference["top1"].value
    frame = reference.to_frame()
    assert len(frame) == len(reference.report.records)
    top1 = frame[frame.metric == "top1"].iloc[0]
    interval = reference["top1"].interval
    assert interval is not None
    assert (top1.value, top1.low, top1.high, top1.n) == (reference["top1"].value, interval.low, interval.high, COUNT)
    assert set(frame[frame.metric == "accuracy_at_coverage"].coverage) == {"80 %", "90 %", "95 %"}
    assert len(reference.radar().data) == 3
    assert "\n" not in repr(reference)
    assert len(repr(reference)) < 300
    assert "digits-vit" in repr(reference)
    page = reference._repr_html_()
    assert page.count("<svg") == 1
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_names_in_a_notebook_are_escaped(reference: e360.RunReport) -> None:
    from dataclasses import replace

    evil = replace(reference.report, checkpoint={**reference.report.checkpoint, "name": "<script>alert(1)</script>"})
    assert "<script" not in e360.RunReport(evil, reference.folder)._repr_html_()


def test_saved_and_loaded_reports_are_equal(reference: e360.RunReport, tmp_path: Path) -> None:
    assert reference.save(tmp_path / "copy") == tmp_path / "copy" / "report.html"
    loaded = e360.load_report(tmp_path / "copy")
    assert loaded.to_frame().drop(columns="conditions").equals(reference.to_frame().drop(columns="conditions"))
    comparison = e360.compare(reference, tmp_path / "copy")
    assert comparison.paired == COUNT
    assert {row.verdict.value for row in comparison.rows} <= {"equal", "undecided", "not tested"}
    assert {row.verdict.value for row in comparison.rows if "paired test" in row.basis} == {"undecided"}
    with pytest.raises(Efficient360Error) as caught:
        e360.load_report(tmp_path / "nowhere")
    assert caught.value.code == "no-run"


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_script_needs_no_guard_and_shows_progress(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import efficient360\n"
        "report = efficient360.evaluate('digits-vit', 'digits', only=['parameters'], max_examples=20, out='run', progress=True)\n"
        "print(report['parameters'].value)\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout) == json.loads((tmp_path / "run" / "report.json").read_text())["outcomes"][0]["value"]
    assert "parameters" in done.stderr


@pytest.mark.slow
def test_a_module_in_the_current_folder_is_not_imported_by_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timm.py").write_text("raise SystemExit('the current folder was imported from')")
    monkeypatch.chdir(tmp_path)
    assert e360.evaluate("digits-vit", only=["parameters"], out=tmp_path / "run")["parameters"].value > 0


def test_transforms_are_taken_apart_and_read_off() -> None:
    geometry, normalisation = split_transform(NORMALISED)
    assert normalisation == Normalisation(tuple(map(float, MEAN)), tuple(map(float, STD)))
    image = Image.fromarray(images()[0][0])
    assert torch.equal(geometry(image), transforms.ToTensor()(image))
    plain = transforms.ToTensor()
    assert split_transform(plain) == (plain, None)
    usual = transforms.Compose([transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224), *NORMALISED.transforms])
    shape = preprocessing_of_transform(usual)
    assert (shape.input_size, shape.crop_pct, shape.interpolation) == ((3, 224, 224), 0.875, "bicubic")
    squashed = preprocessing_of_transform(transforms.Compose([transforms.Resize((64, 64)), transforms.ToTensor()]))
    assert (squashed.input_size, squashed.crop_mode) == ((3, 64, 64), "squash")
    for odd in (transforms.Compose([transforms.Resize(32), transforms.CenterCrop(32), transforms.Grayscale(3), transforms.ToTensor()]), transforms.ToTensor()):
        with pytest.raises(Efficient360Error) as caught:
            preprocessing_of_transform(odd)
        assert caught.value.code == "transform-not-readable"


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixels_survive_packing(dtype: type) -> None:
    pixels: np.ndarray = np.random.default_rng(0).integers(0, 256, (3, 5, 7)).astype(dtype)
    assert np.array_equal(unpacked(packed(pixels), "x"), pixels)
    assert unpacked(packed(pixels), "x").dtype == dtype


def test_undone_normalisation_gives_the_pixels_back() -> None:
    size = Supplied(Pairs(NORMALISED), normalisation=Normalisation(MEAN, STD)).image_size()
    assert size == (3, 32, 32)
    data = Supplied(Pairs(NORMALISED), normalisation=Normalisation(MEAN, STD)).open((), 10, size, np.asarray, None, 0)
    (batch,) = data.examples.batches(COUNT)
    assert torch.allclose(batch.images, torch.from_numpy(images()[0]).permute(0, 3, 1, 2) / 255, atol=1e-6)
