import dataclasses
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image as Pillow
from PIL import ImageFilter

from datasets import Dataset, Features, Image, Value
from efficient360 import conformance
from efficient360.core.figures import Bars, Gallery, Table
from efficient360.core.measurement import Failure, Measurement, Outcome, Status
from efficient360.core.statistics import newcombe, newcombe_paired, wilson
from efficient360.datasets.digits import digits
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import OutOfTime, SettingsError, Unsupported
from efficient360.evaluator import Context, Deadline
from efficient360.evaluators.natural_shift import NaturalShift
from efficient360.execution import runner
from efficient360.execution.events import Finished
from efficient360.execution.plan import Plan, Step
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import Model
from efficient360.models.references import resolve

STEP = 20
"""An image filled with 20 · c is answered with class c, or with the nearest class that may be chosen."""
TEN = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", Preprocessing((3, 8, 8), (0.5,) * 3, (0.5,) * 3), 10)


@dataclass(frozen=True)
class Brightness(Model):
    """Answers by how bright an image is, and remembers which it was shown."""

    shown: list[int] = field(default_factory=list)
    broken_at: int = 256

    @property
    def num_classes(self) -> int:
        return 10

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 8, 8)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        brightness = images.mean((1, 2, 3)) * 255
        self.shown.extend(brightness.round().int().tolist())
        logits = -((brightness[:, None] - STEP * torch.arange(10.0)) / STEP).square()
        return torch.where(brightness[:, None] > self.broken_at, torch.nan, logits)


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(np.full((8, 8, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def parquet(path: Path, images: Sequence[bytes], labels: Sequence[int | str], ids: Sequence[str] = ()) -> str:
    rows: dict = {"image": [{"bytes": image, "path": None} for image in images], "label": list(labels)}
    features = {"image": Image(decode=False), "label": Value("string" if isinstance(labels[0], str) else "int64")}
    if ids:
        rows, features = rows | {"id": list(ids)}, features | {"id": Value("string")}
    Dataset.from_dict(rows, features=Features(features)).to_parquet(path)
    return str(path)


class Made:
    """A data set of bright and dark images with shifted versions, as a card of one's own; ``clean`` and ``add`` take what is predicted, and the labels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card: dict = {"name": "made", "title": "Made", "splits": {"test": "test"}, "classes": 10, "shifts": []}

    def clean(self, predicted: Sequence[int], labels: Sequence[int], ids: Sequence[str] = ()) -> "Made":
        files = parquet(self.folder / "clean.parquet", [png(STEP * p) for p in predicted], labels, ids)
        self.card["source"] = {"kind": "parquet", "location": files}
        return self

    def add(self, name: str, predicted: Sequence[int], truth: Sequence, ids: Sequence[str] = (), **entry: object) -> "Made":
        files = parquet(self.folder / f"{name}.parquet", [png(STEP * p) for p in predicted], truth, ids)
        return self.entry(name, files, **entry)

    def entry(self, name: str, files: str, **entry: object) -> "Made":
        self.card["shifts"].append({"name": name, "title": name.title(), "source": {"kind": "parquet", "location": files}, **entry})
        return self

    def spec(self, **changes: object) -> DatasetSpec:
        path = self.folder / "made.yaml"
        path.write_text(yaml.safe_dump(self.card))
        return DatasetSpec(str(path), **changes)

    def context(self, scratch: Path, batch_size: int = 4, **changes: object) -> Context:
        data = open_dataset(self.spec(**changes), TEN, 0)
        scratch.mkdir(exist_ok=True)
        return Context(TEN, data.examples, None, 0, batch_size, Deadline(), scratch, shifts=data.shifts)


Found = dict[tuple[str, str], Outcome]


def found(outcomes: Sequence[Outcome]) -> Found:
    return {(o.metric.name if o.metric else "all", str(o.conditions.get("shift", ""))): o for o in outcomes}


def run(made: Made, evaluator: NaturalShift | None = None, model: Model | None = None, **changes: object) -> Found:
    context = made.context(made.folder / "scratch", **changes)
    return found(run_in(context, evaluator, model))


def run_in(context: Context, evaluator: NaturalShift | None = None, model: Model | None = None) -> list[Outcome]:
    evaluator, model = evaluator or NaturalShift(), model or Brightness()
    table = score_all(evaluator, model, context.examples, context, context.progress)
    return outcomes_of(evaluator, model, table, context)


def test_other_examples_are_an_independent_sample(tmp_path: Path) -> None:
    """Clean: 6 of 8 right. Shifted: 3 of 5."""
    made = Made(tmp_path).clean([0, 1, 2, 3, 4, 5, 9, 9], range(8)).add("fog", [0, 1, 2, 8, 8], range(5))
    measured = run(made)
    accuracy, baseline, gap = (measured[name, "fog"] for name in ("shift_accuracy", "shift_baseline", "shift_gap"))
    assert (accuracy.value, accuracy.n, accuracy.interval) == (3 / 5, 5, wilson(3, 5))
    assert (baseline.value, baseline.n, baseline.interval) == (6 / 8, 8, wilson(6, 8))
    assert gap.value == pytest.approx(6 / 8 - 3 / 5)
    assert gap.interval == newcombe(6, 8, 3, 5)
    assert len(measured) == 3


def test_versions_of_the_same_examples_are_compared_in_pairs(tmp_path: Path) -> None:
    """By id, whatever the order: a is right both times, b and c only clean, d only shifted, e never."""
    made = Made(tmp_path).clean([0, 1, 2, 9, 9], range(5), "abcde").add("fog", [8, 3, 8, 8, 0], [4, 3, 2, 1, 0], "edcba")
    gap = run(made)["shift_gap", "fog"]
    assert gap.value == pytest.approx(3 / 5 - 2 / 5)
    assert gap.interval == newcombe_paired(1, 2, 1, 1)


def test_of_versions_only_those_of_evaluated_examples_are_run(tmp_path: Path) -> None:
    labels = [i % 5 for i in range(20)]
    ids = [f"picture {i}" for i in range(20)]
    made = Made(tmp_path).clean(labels, labels, ids).add("fog", [label if i % 2 else 9 for i, label in enumerate(labels)], labels, ids)
    context = made.context(tmp_path / "scratch", max_examples=10)
    model = Brightness()
    measured = found(run_in(context, model=model))
    kept = [int(name.removeprefix("picture ")) for name in context.examples.ids]
    assert measured["shift_accuracy", "fog"].value == pytest.approx(np.mean([i % 2 for i in kept]))
    assert measured["shift_accuracy", "fog"].n == 10
    assert measured["shift_gap", "fog"].interval.method == "newcombe-paired"


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        ((), [0, 1, 2, 3, 4]),
        (("a", "b", "c", "d", "e"), [1, 2, 3, 4, 0]),
        (("a", "v", "w", "x", "y"), [0, 1, 2, 3, 4]),
    ],
    ids=["running numbers", "the same ids with other labels", "few in common"],
)
def test_what_happens_to_share_ids_is_no_pair(tmp_path: Path, ids: Sequence[str], labels: list[int]) -> None:
    made = Made(tmp_path).clean(range(5), range(5), "abcde" if ids else ()).add("fog", range(5), labels, ids)
    gap = run(made)["shift_gap", "fog"]
    assert gap.interval.method == "newcombe"
    assert gap.n == 5


def test_a_set_of_some_classes_is_answered_among_these_on_both_sides(tmp_path: Path) -> None:
    """Of the classes 4, 7 and 9, what looks like 5 is nearest to 4, and like 6 to 7.

    Clean images of these classes: 4 answered with 4, 7 with 4 (looks like 5), 9 with 7 (looks like 6): one of three. Shifted: three of four.
    """
    made = Made(tmp_path).clean([0, 4, 5, 6], [0, 4, 7, 9])
    made.add("fog", [5, 6, 9, 5], ["four", "seven", "nine", "seven"], classes=[9, 4, 7], labels=["nine", "four", "seven"])
    measured = run(made)
    assert measured["shift_accuracy", "fog"].value == 3 / 4
    assert (measured["shift_baseline", "fog"].value, measured["shift_baseline", "fog"].n) == (1 / 3, 3)
    assert measured["shift_gap", "fog"].value == pytest.approx(1 / 3 - 3 / 4)
    assert measured["shift_gap", "fog"].interval == newcombe(1, 3, 3, 4)


def test_without_a_clean_image_of_its_classes_there_is_no_gap(tmp_path: Path) -> None:
    made = Made(tmp_path).clean([0, 1], [0, 1]).add("fog", [5, 6], [5, 6], classes=list(range(10))).add("rain", [5, 6], [0, 1], classes=[5, 6])
    measured = run(made)
    assert measured["shift_accuracy", "rain"].value == 1
    for metric in ("shift_baseline", "shift_gap"):
        assert isinstance(measured[metric, "rain"], Failure)
        assert measured[metric, "rain"].code == "no-clean-examples"
        assert isinstance(measured[metric, "fog"], Measurement)


def test_a_set_that_can_t_be_had_takes_no_other_with_it(tmp_path: Path) -> None:
    made = Made(tmp_path).clean(range(5), range(5)).entry("gone", str(tmp_path / "none.parquet"))
    torn = parquet(tmp_path / "torn.parquet", [png(0), b"no image"], [0, 1])
    made.entry("torn", torn).add("fog", range(5), range(5))
    measured = run(made)
    for name, code in (("gone", "no-files"), ("torn", "corrupt-image")):
        failure = measured["all", name]
        assert isinstance(failure, Failure)
        assert (failure.status, failure.code) == (Status.FAILED, code)
        assert failure.message
        assert failure.hint
    assert measured["shift_accuracy", "fog"].value == 1
    assert len(measured) == 5


def test_logits_that_are_no_numbers_fail_that_set_only(tmp_path: Path) -> None:
    made = Made(tmp_path).clean(range(5), range(5)).add("glare", [0, 9], [0, 9]).add("fog", [0, 1], [0, 1])
    measured = run(made, model=Brightness(broken_at=STEP * 8))
    assert measured["all", "glare"].code == "non-finite-logits"
    assert "glare/1 of Glare" in measured["all", "glare"].message
    assert isinstance(measured["shift_gap", "fog"], Measurement)


def test_a_card_without_shifts_says_so(tmp_path: Path) -> None:
    (outcome,) = run_in(Made(tmp_path).clean([0, 1], [0, 1]).context(tmp_path / "scratch"))
    assert isinstance(outcome, Failure)
    assert (outcome.status, outcome.code, outcome.metric) == (Status.UNSUPPORTED, "no-shifts", None)


def test_chosen_ones_in_the_order_given_and_unknown_ones_refused(tmp_path: Path) -> None:
    made = Made(tmp_path).clean([0, 1], [0, 1]).add("fog", [0, 1], [0, 1]).add("rain", [0, 1], [0, 1]).add("snow", [0, 1], [0, 1])
    measured = run(made, NaturalShift(shifts=("snow", "fog", "snow")))
    assert [shift for metric, shift in measured if metric == "shift_accuracy"] == ["snow", "fog"]
    with pytest.raises(SettingsError, match="no shifted version called 'hail'") as caught:
        run(made, NaturalShift(shifts=("hail",)))
    assert caught.value.code == "unknown-shift"
    assert caught.value.hint == "it has: fog, rain, snow"


@pytest.mark.parametrize(("wrong", "name"), [({"examples": 0}, "examples"), ({"mistakes": -1}, "mistakes")])
def test_settings_out_of_range_are_refused(wrong: dict, name: str) -> None:
    with pytest.raises(SettingsError, match=f"setting {name} of natural_shift") as caught:
        NaturalShift(**wrong)
    assert caught.value.code == "bad-setting"


def test_without_examples_it_says_so(tmp_path: Path) -> None:
    context = dataclasses.replace(Made(tmp_path).clean([0], [0]).context(tmp_path / "scratch"), examples=None)
    with pytest.raises(Unsupported) as caught:
        list(NaturalShift().examine(Brightness(), None, context))
    assert caught.value.code == "no-examples"


@pytest.mark.parametrize(("setting", "n"), [(None, 20), (10, 10), (500, 40)])
def test_as_many_as_there_are_clean_ones_unless_asked_otherwise(tmp_path: Path, setting: int | None, n: int) -> None:
    """Stratified: every class keeps its share, and the image of class 9 is always wrong."""
    labels = [c % 10 for c in range(40)]
    made = Made(tmp_path).clean(labels[:20], labels[:20]).add("fog", [c if c < 9 else 0 for c in labels], labels)
    accuracy = run(made, NaturalShift(examples=setting))["shift_accuracy", "fog"]
    assert (accuracy.n, accuracy.value) == (n, pytest.approx(0.9))


def made_of_three(folder: Path) -> Made:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 30)
    near = lambda: np.clip(labels + rng.integers(-1, 2, 30), 0, 10)  # noqa: E731
    made = Made(folder).clean(near(), labels.tolist(), [str(i) for i in range(30)])
    made.add("fog", near(), labels.tolist(), [str(i) for i in range(30)]).add("rain", near(), labels.tolist())
    return made.add("few", near(), (labels % 3).tolist(), classes=[2, 5, 8])


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_batch_size_changes_nothing(tmp_path: Path, batch_size: int) -> None:
    made = made_of_three(tmp_path)
    first = run_in(made.context(tmp_path / "first", 4))
    assert run_in(made.context(tmp_path / "other", batch_size)) == first


def test_what_was_interrupted_goes_on_at_a_whole_batch(tmp_path: Path) -> None:
    made = made_of_three(tmp_path)
    whole = run_in(made.context(tmp_path / "whole"))

    def stop(done: int, total: int) -> None:
        if total == 90 and done >= 41:
            raise InterruptedError

    context = made.context(tmp_path / "stopped")
    with pytest.raises(InterruptedError):
        run_in(dataclasses.replace(context, progress=stop))
    model = Brightness()
    assert run_in(context, model=model) == whole
    # 30 clean images to set the shifted ones beside; 30 of fog and 12 of rain had been done.
    assert len(model.shown) == 30 + 90 - 42


def test_a_log_of_other_images_is_not_taken_up(tmp_path: Path) -> None:
    made = Made(tmp_path).clean(range(5), range(5)).add("fog", range(5), range(5))
    assert run(made)["shift_accuracy", "fog"].value == 1
    made.card["shifts"] = []
    made.add("fog", [9] * 5, range(5))
    assert run(made)["shift_accuracy", "fog"].value == 0


def test_progress_is_told_of_all_sets_together(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    context = dataclasses.replace(made_of_three(tmp_path).context(tmp_path / "scratch", 10), progress=lambda *step: told.append(step))
    run_in(context)
    steps = [done for done, total in told if total == 90]
    assert steps == sorted(steps)
    assert steps[-1] == 90


def test_the_deadline_ends_it(tmp_path: Path) -> None:
    context = made_of_three(tmp_path).context(tmp_path / "scratch")
    evaluator, model = NaturalShift(), Brightness()
    table = score_all(evaluator, model, context.examples, context, context.progress)
    with pytest.raises(OutOfTime):
        list(evaluator.examine(model, table, dataclasses.replace(context, deadline=Deadline(0.0))))


def test_figures(tmp_path: Path) -> None:
    made = Made(tmp_path).clean([0, 1, 2, 9], range(4), "abcd").add("fog", [0, 9, 9, 4], range(4), "abcd").add("few", [1, 7], [0, 1], classes=[0, 9])
    measured = run(made, NaturalShift(mistakes=1))
    bars, table, gallery = measured["shift_accuracy", "fog"].extra
    assert isinstance(bars, Bars)
    assert bars.labels == ("Fog: clean", "Fog: shifted", "Few: clean", "Few: shifted")
    assert bars.values == (3 / 4, 1 / 4, 1.0, 1.0)
    assert (bars.low[1], bars.high[1]) == (wilson(1, 4).low, wilson(1, 4).high)
    assert isinstance(table, Table)
    assert [row[:5] for row in table.rows] == [("Fog", "4", "4", "all", "the same examples, in pairs"), ("Few", "2", "1", "2", "independent samples")]
    assert isinstance(gallery, Gallery)
    assert gallery.title == "Hardest mistakes on Fog"
    (picture,) = gallery.pictures
    assert picture.caption == "predicted 9, is 1"
    assert picture.detail.startswith("b, confidence ")
    assert measured["shift_accuracy", "few"].extra == ()
    assert all(not isinstance(figure, Gallery) for figure in run(made, NaturalShift(mistakes=0))["shift_accuracy", "fog"].extra)


def test_it_keeps_the_contract() -> None:
    conformance.check(NaturalShift())


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


def run_plan(card: Path, out: Path, **settings: object) -> tuple[Found, bool]:
    plan = Plan(CheckpointSpec("digits-vit"), DatasetSpec(str(card)), "test", (Step("natural_shift", settings),), out, batch_size=50)
    events: list = []
    runner.run(plan, events.append)
    (done,) = [event for event in events if isinstance(event, Finished)]
    return found([record.outcome for record in done.records]), done.cached


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
