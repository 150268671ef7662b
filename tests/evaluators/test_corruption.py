import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from efficient360 import conformance
from efficient360.core.figures import Gallery, Heatmap, Table
from efficient360.core.measurement import Failure, Measurement, Outcome, Status
from efficient360.core.outcome import Record, to_json
from efficient360.core.statistics import bootstrap_mean
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Context, Deadline, Examples
from efficient360.evaluators.corruption import CORRECT, CORRUPTION_ACCURACY, Corruption
from efficient360.execution.plan import configure
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.methods.corruptions import frost
from efficient360.methods.corruptions.imagenet_c import COMMON, EXTRA
from efficient360.models.model import Model

SUBJECT = conformance.subject()
SOME = ("gaussian_noise", "brightness", "contrast")


@dataclass(frozen=True)
class Brightest(Model):
    """Says 1 where the mean of the image is above ``limit``, else 0. Logits only, as an artefact has."""

    limit: float = 0.6

    @property
    def num_classes(self) -> int:
        return 7

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 32, 32)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        bright = (images.mean((1, 2, 3)) > self.limit).float()
        return torch.nn.functional.pad(torch.stack([1 - bright, bright], 1), (0, 5), value=-1.0)


@pytest.fixture(autouse=True)
def _no_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frost, "photograph_folder", lambda: None)


def run(
    evaluator: Corruption, scratch: Path, model: Model | None = None, examples: Examples | None = None, batch_size: int = 8
) -> dict[tuple[str, frozenset], Outcome]:
    scratch.mkdir(exist_ok=True)
    model, examples = model or Brightest(), examples or SUBJECT.examples
    context = Context(SUBJECT.checkpoint, examples, None, 0, batch_size, Deadline(), scratch)
    table = score_all(evaluator, model, examples, context, context.progress)
    return {(o.metric.name, frozenset(o.conditions.items())): o for o in outcomes_of(evaluator, model, table, context)}


def value(found: dict[tuple[str, frozenset], Outcome], metric: str, **conditions: Any) -> float:
    matching = [o for (name, has), o in found.items() if name == metric and conditions.items() <= dict(has).items()]
    assert len(matching) == 1, matching
    assert isinstance(matching[0], Measurement)
    return matching[0].value


def test_brighter_images_change_the_answer_of_a_model_that_looks_at_brightness(tmp_path: Path) -> None:
    """Random images have a mean of a half: 0 when clean; 0.1 brighter they stay below 0.6, 0.3 brighter they don't; contrast moves no mean."""
    found = run(Corruption(SOME, (2, 5), examples=None), tmp_path / "run")
    zeros = float((SUBJECT.examples.labels == 0).mean())
    ones = float((SUBJECT.examples.labels == 1).mean())
    assert value(found, "corruption_accuracy", severity=0) == pytest.approx(zeros)
    assert value(found, "corruption_accuracy", corruption="contrast") == pytest.approx(zeros)
    assert value(found, "corruption_accuracy", corruption="brightness") == pytest.approx((zeros + ones) / 2)
    assert value(found, "corruption_accuracy", severity=5) == pytest.approx((2 * zeros + ones) / 3)
    overall = (5 * zeros + ones) / 6
    assert value(found, "corruption_accuracy", over="gaussian_noise brightness contrast, severities 2 5") == pytest.approx(overall)
    assert value(found, "mean_corruption_error") == pytest.approx(1 - overall)
    assert value(found, "relative_corruption_error") == pytest.approx(zeros - overall)
    assert not any(name in ("mce", "relative_mce") for name, _ in found)


def test_the_interval_comes_from_whole_examples(tmp_path: Path) -> None:
    found = run(Corruption(SOME, (1, 3, 5), examples=None), tmp_path / "run", SUBJECT.model)
    overall = next(o for o in found.values() if isinstance(o, Measurement) and o.extra)
    context = Context(SUBJECT.checkpoint, SUBJECT.examples, None, 0, 8, Deadline(), tmp_path / "run")
    table = score_all(Corruption(SOME, (1, 3, 5), examples=None), SUBJECT.model, SUBJECT.examples, context, context.progress)
    per_example = np.mean([table.column(CORRECT, {"corruption": c, "severity": s}) for c in SOME for s in (1, 3, 5)], axis=0)
    assert overall.value == pytest.approx(per_example.mean())
    assert overall.interval == bootstrap_mean(per_example, 0)
    assert overall.n == len(SUBJECT.examples)


def test_figures_are_a_heat_map_one_example_and_the_protocol(tmp_path: Path) -> None:
    found = run(Corruption(SOME, (1, 4), examples=None), tmp_path / "run")
    overall = next(o for o in found.values() if isinstance(o, Measurement) and o.extra)
    heatmap, pictures, protocol = overall.extra
    assert isinstance(heatmap, Heatmap)
    assert (heatmap.rows, heatmap.columns) == (("gaussian noise", "brightness", "contrast"), ("clean", "1", "4"))
    assert isinstance(pictures, Gallery)
    assert [p.caption.partition(":")[0] for p in pictures.pictures] == ["clean", "gaussian noise", "brightness", "contrast"]
    assert pictures.title.endswith("severity 4")  # the nearest to 3 of those asked for
    assert (pictures.pictures[0].caption, pictures.pictures[0].detail) == ("clean: class 0", "correct")
    assert len({p.image for p in pictures.pictures}) == 4
    assert isinstance(protocol, Table)
    assert ("strengths", "cifar-c") in protocol.rows
    assert ("digest of the examples", SUBJECT.examples.digest[:16]) in protocol.rows


@pytest.mark.parametrize("size", [1, 7, 24])
def test_the_batch_size_changes_nothing(tmp_path: Path, size: int) -> None:
    evaluator = Corruption(("shot_noise", "glass_blur", "fog", "elastic_transform"), (3,), examples=None)
    assert run(evaluator, tmp_path / "a", batch_size=size) == run(evaluator, tmp_path / "b", batch_size=16)


def test_without_photographs_frost_is_missing_and_the_means_say_so(tmp_path: Path) -> None:
    found = run(Corruption(COMMON, (1,), examples=None), tmp_path / "run")
    missing = found["corruption_accuracy", frozenset({("corruption", "frost")})]
    assert isinstance(missing, Failure)
    assert (missing.status, missing.code) == (Status.UNSUPPORTED, "no-frost")
    assert "14 corruptions, without frost" in missing.message
    over = {dict(conditions)["over"] for (name, conditions) in found if name == "mean_corruption_error"}
    assert over == {"14 corruptions, without frost, severity 1"}
    assert sum("corruption" in dict(conditions) for _, conditions in found) == 15


def test_frost_alone_without_photographs_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as raised:
        run(Corruption(("frost",)), tmp_path / "run")
    assert raised.value.code == "no-frost"


def test_alexnet_does_not_divide_what_is_not_imagenet(tmp_path: Path) -> None:
    found = run(Corruption(SOME, (1,), examples=None, reference="alexnet"), tmp_path / "run")
    failures = {name: o for (name, _), o in found.items() if isinstance(o, Failure)}
    assert set(failures) == {"mce", "relative_mce"}
    assert {(o.status, o.code) for o in failures.values()} == {(Status.UNSUPPORTED, "other-protocol")}
    assert "32 × 32" in failures["mce"].message


def reported(found: dict[tuple[str, frozenset], Outcome], path: Path) -> str:
    outcomes = [to_json(Record("corruption", outcome)) for outcome in found.values()]
    path.write_text(json.dumps({"checkpoint": {"name": "other"}, "outcomes": outcomes}))
    return str(path)


def test_another_runs_report_divides(tmp_path: Path) -> None:
    """Against itself every model has an mCE of 1; a relative one too, where each corruption costs something."""
    settings: dict[str, Any] = {"corruptions": ("brightness",), "severities": (5,), "examples": None}
    model = Brightest(0.45)  # right about class 1 when clean
    path = reported(run(Corruption(**settings), tmp_path / "a", model), tmp_path / "report.json")
    found = run(Corruption(**settings, reference=path), tmp_path / "b", model)
    assert value(found, "mce", reference="other") == pytest.approx(1)
    flawless = found["relative_mce", frozenset({("reference", "other"), ("over", "brightness, severity 5"), ("table", "cifar-c")})]
    assert isinstance(flawless, Failure)
    assert flawless.code == "flawless-reference"
    worse = run(Corruption(**settings, reference=path), tmp_path / "c", Brightest(2.0))
    labels = SUBJECT.examples.labels
    assert value(worse, "mce") == pytest.approx((labels != 0).mean() / (labels != 1).mean())


def test_whether_frost_is_installed_enters_the_key() -> None:
    assert Corruption().cache_dependencies() == {"frost": None}


def test_a_part_of_the_examples_is_scored_when_asked(tmp_path: Path) -> None:
    assert Corruption(examples=None).sample_size() is None
    assert Corruption(examples=9).sample_size() == 9


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("corruptions", ["fogg"]),
        ("corruptions", []),
        ("corruptions", ["fog", "fog"]),
        ("severities", [0, 1]),
        ("severities", [5, 6]),
        ("severities", [1, 1]),
        ("severities", []),
        ("table", "tiny"),
        ("examples", 0),
        ("reference", "vgg"),
    ],
)
def test_settings_are_refused_with_a_hint(setting: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"setting {setting} of corruption") as raised:
        configure(Corruption, {setting: value})
    assert raised.value.code == "bad-setting"
    assert raised.value.hint


def test_the_fifteen_by_default_and_four_more_by_name() -> None:
    assert Corruption().corruptions == COMMON
    assert Corruption(EXTRA).corruptions == EXTRA


def test_it_yields_what_it_declares() -> None:
    batch = next(SUBJECT.examples.batches(4))
    scores: Iterator = Corruption(("fog",), (2,)).score(SUBJECT.model, batch)
    assert [(s.metric, dict(s.conditions)) for s in scores] == [(CORRECT, {"severity": 0}), (CORRECT, {"corruption": "fog", "severity": 2})]
    assert CORRUPTION_ACCURACY in Corruption.metrics
