import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spots
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from efficient360.core.figures import Curve, Table
from efficient360.core.statistics import clopper_pearson
from efficient360.datasets.examples import ExampleSet
from efficient360.errors import OutOfTime, SettingsError, Unsupported
from efficient360.evaluator import Context, Deadline, Failure, Measurement, Model, Outcome, Status
from efficient360.evaluators.membership_inference import MembershipInference
from efficient360.execution.plan import configure
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.model import TorchModel
from efficient360.models.weights import digest

N = 120


@dataclasses.dataclass(frozen=True)
class Case:
    checkpoint: Checkpoint
    model: TorchModel
    training: ExampleSet
    evaluated: ExampleSet


@pytest.fixture(scope="module")
def overfitted(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A model that knows its 120 images by heart, and images of the same source that it never saw."""
    pixels, labels = spots.pixels_of(N, 0)
    checkpoint, model = spots.learned(tmp_path_factory.mktemp("overfitted"), pixels, labels, epochs=80)
    return Case(checkpoint, model, spots.examples(pixels, labels, "train", checkpoint), spots.examples(*spots.pixels_of(N, 1), "test", checkpoint))


@pytest.fixture(scope="module")
def ignorant(overfitted: Case) -> Case:
    """The same model, said to have been trained on images that it never saw."""
    return dataclasses.replace(overfitted, training=spots.examples(*spots.pixels_of(N, 2), "train", overfitted.checkpoint))


def context(case: Case, folder: Path, batch_size: int = 32, progress: Callable[[int, int], None] = lambda *_: None, **changes: Any) -> Context:
    folder.mkdir(exist_ok=True)
    made = Context(case.checkpoint, case.evaluated, case.training, 0, batch_size, Deadline(), folder, progress)
    return dataclasses.replace(made, **changes)


def run(case: Case, folder: Path, model: Model | None = None, **settings: Any) -> list[Outcome]:
    return list(MembershipInference(**settings).evaluate(model or case.model, context(case, folder)))


def named(found: list[Outcome], metric: str, **conditions: Any) -> Outcome:
    (one,) = [o for o in found if o.metric is not None and o.metric.name == metric and conditions.items() <= o.conditions.items()]
    return one


def values(found: list[Outcome]) -> dict[tuple[str, frozenset[tuple[str, object]]], float]:
    return {(o.metric.name, frozenset(o.conditions.items())): o.value for o in found if isinstance(o, Measurement)}


@pytest.mark.slow
def test_a_model_that_knows_its_images_by_heart_gives_them_away_and_another_does_not(overfitted: Case, ignorant: Case, tmp_path: Path) -> None:
    leaking, silent = run(overfitted, tmp_path / "a"), run(ignorant, tmp_path / "b")
    for attack in ("loss", "margin", "gradient norm"):
        found, none = (named(of, "attack_auc", attack=attack) for of in (leaking, silent))
        assert found.interval.low > 0.6
        assert none.interval.low < 0.5 < none.interval.high
    strongest = leaking[0]
    assert strongest.metric.name == "strongest_attack_auc"
    assert strongest.value == max(o.value for o in leaking if o.metric.name == "attack_auc")
    assert strongest.conditions["tier"] == "one checkpoint, lower bound"


def test_every_number_of_the_loss_attack_is_that_of_scikit_learn_and_scipy(overfitted: Case, tmp_path: Path) -> None:
    found = run(overfitted, tmp_path / "a", gradient_examples=0)
    losses = []
    for side in (overfitted.training, overfitted.evaluated):
        (batch,) = side.batches(N)
        with torch.inference_mode():
            losses.append(torch.nn.functional.cross_entropy(overfitted.model(batch.images).double(), batch.labels, reduction="none").numpy())
    auc = named(found, "attack_auc", attack="loss")
    assert auc.value == pytest.approx(roc_auc_score(np.repeat([1, 0], N), -np.concatenate(losses)), abs=1e-4)
    assert auc.n == 2 * N
    balanced = named(found, "attack_balanced_accuracy", attack="loss")
    assert balanced.interval == clopper_pearson(round(balanced.value * 2 * N), 2 * N)


def test_rates_need_examples_and_say_how_many(overfitted: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(overfitted, tmp_path / "a", gradient_examples=60)
    short = [o for o in found if isinstance(o, Failure)]
    assert {o.code for o in short} == {"too-few-examples"}
    assert {(o.metric.name, *o.conditions.items()) for o in short} >= {("tpr_at_fpr", ("fpr", "0.1 %")), ("tnr_at_fnr", ("fnr", "0.1 %"))}
    assert any("10,000" in o.message and "120" in o.message for o in short)
    monkeypatch.setattr("efficient360.methods.privacy.attack_results.ERROR_RATES", ((0.05, "5 %", 100),))
    found = run(overfitted, tmp_path / "b", gradient_examples=60)
    tpr = named(found, "tpr_at_fpr", attack="loss")
    assert (tpr.conditions["fpr"], tpr.n) == ("5 %", N)
    assert tpr.interval == clopper_pearson(round(tpr.value * N), N).given("the threshold")
    assert named(found, "tnr_at_fnr", attack="loss").value > 0.2
    assert isinstance(named(found, "tpr_at_fpr", attack="gradient norm"), Failure)
    assert "there are 60" in named(found, "tpr_at_fpr", attack="gradient norm").message


def test_figures_are_a_logarithmic_roc_the_findings_and_both_sides(overfitted: Case, tmp_path: Path) -> None:
    curve, told, sides = run(overfitted, tmp_path / "a")[0].extra
    assert isinstance(curve, Curve)
    assert curve.x_log
    assert curve.y_log
    assert [s.name for s in curve.series] == ["guessing", "loss", "entropy", "margin", "gradient norm"]
    assert all(min(s.x) > 0 and min(s.y) > 0 and max(s.y) <= 1 for s in curve.series)
    assert isinstance(told, Table)
    assert [row[0] for row in told.rows] == ["lower-bound"]
    assert isinstance(sides, Table)
    assert sides.rows[0][2] == "100.0 %"


def test_brightened_members_are_warned_of(ignorant: Case, tmp_path: Path) -> None:
    pixels, labels = spots.pixels_of(N, 5)
    brighter = dataclasses.replace(ignorant, training=spots.examples((pixels * 1.15).clip(0, 255).astype(np.uint8), labels, "train", ignorant.checkpoint))
    found = run(brighter, tmp_path / "a", gradient_examples=0)
    assert named(found, "pixel_auc").value > 0.8
    assert [row[0] for row in found[0].extra[1].rows] == ["told-by-pixels", "lower-bound"]
    measured = [outcome for outcome in found if isinstance(outcome, Measurement)]
    assert {outcome.metric.name for outcome in measured if not outcome.void} == {"pixel_auc"}
    assert "blind baseline" in measured[0].void


def test_attacks_on_splits_that_look_alike_are_not_void(ignorant: Case, tmp_path: Path) -> None:
    found = run(ignorant, tmp_path / "a", gradient_examples=0)
    assert not any(outcome.void for outcome in found if isinstance(outcome, Measurement))


def test_images_in_both_splits_are_left_out_and_told(overfitted: Case, tmp_path: Path) -> None:
    pixels, labels = spots.pixels_of(N, 1)
    (first, first_labels) = spots.pixels_of(N, 0)
    pixels[:20], labels[:20] = first[:20], first_labels[:20]
    mixed = dataclasses.replace(overfitted, evaluated=spots.examples(pixels, labels, "test", overfitted.checkpoint))
    found = run(mixed, tmp_path / "a", gradient_examples=0)
    shared = 2 * N - found[0].n
    assert shared // 2 in range(15, 21)
    assert "shared-images" in [row[0] for row in found[0].extra[1].rows]
    (only,) = run(dataclasses.replace(overfitted, evaluated=overfitted.training), tmp_path / "b")
    assert isinstance(only, Failure)
    assert (only.code, only.status) == ("shared-images", Status.UNSUPPORTED)


def test_the_batch_size_changes_nothing_and_the_checkpoint_stays_as_it_was(overfitted: Case, tmp_path: Path) -> None:
    before, randomness = digest(overfitted.model.network.state_dict()), torch.get_rng_state()
    first = run(overfitted, tmp_path / "a")
    for i, size in enumerate((32, 7)):
        again = list(MembershipInference().evaluate(overfitted.model, context(overfitted, tmp_path / f"b{i}", size)))
        assert values(again).keys() == values(first).keys()
        for identity, value in values(again).items():
            assert value == pytest.approx(values(first)[identity], abs=0 if size == 32 else 1e-3)
    assert digest(overfitted.model.network.state_dict()) == before
    assert torch.equal(torch.get_rng_state(), randomness)
    assert not overfitted.model.module.training
    assert not any(p.requires_grad or p.grad is not None for p in overfitted.model.module.parameters())


def test_an_interrupted_evaluation_goes_on_where_it_stopped(overfitted: Case, tmp_path: Path) -> None:
    whole = values(run(overfitted, tmp_path / "a"))
    calls = 0

    def stop(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 14:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(MembershipInference().evaluate(overfitted.model, context(overfitted, tmp_path / "b", progress=stop)))
    kept = {file.name for file in (tmp_path / "b").iterdir()}
    assert "signals-others.f64" in kept
    later = 0

    def count(done: int, total: int) -> None:
        nonlocal later
        later += 1

    resumed = values(list(MembershipInference().evaluate(overfitted.model, context(overfitted, tmp_path / "b", progress=count))))
    assert resumed == pytest.approx(whole)
    assert later == 24 - 14


def test_a_spent_time_budget_is_told(overfitted: Case, tmp_path: Path) -> None:
    with pytest.raises(OutOfTime):
        list(MembershipInference().evaluate(overfitted.model, context(overfitted, tmp_path / "a", deadline=Deadline(0.0))))


@dataclasses.dataclass(frozen=True)
class Artefact(Model):
    """A model that gives logits only."""

    of: TorchModel

    @property
    def num_classes(self) -> int:
        return self.of.num_classes

    @property
    def input_size(self) -> tuple[int, int, int]:
        return self.of.input_size

    def __call__(self, images: Tensor) -> Tensor:
        return self.of(images)


def test_an_artefact_has_no_gradients_and_everything_else(overfitted: Case, tmp_path: Path) -> None:
    found = run(overfitted, tmp_path / "a", model=Artefact(overfitted.model))
    missing = named(found, "attack_auc", attack="gradient norm")
    assert isinstance(missing, Failure)
    assert missing.code == "deployed"
    assert isinstance(named(found, "attack_auc", attack="loss"), Measurement)


@dataclasses.dataclass(frozen=True)
class SingleClass(Model):
    """A model that knows one class."""

    num_classes = 1
    input_size = (3, 32, 32)

    def __call__(self, images: Tensor) -> Tensor:
        return torch.zeros(len(images), 1)


def test_what_can_not_be_attacked_says_why(overfitted: Case, tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        list(MembershipInference().evaluate(overfitted.model, context(overfitted, tmp_path / "a", training=None)))
    assert caught.value.code == "no-training-split"
    with pytest.raises(Unsupported) as caught:
        run(overfitted, tmp_path / "a", model=SingleClass())
    assert caught.value.code == "one-class"


@pytest.mark.slow
def test_attacks_with_shadow_models_tell_members_from_others(overfitted: Case, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"shadows": 2, "shadow_epochs": 60, "shadow_images": 240, "shadow_batch": 50, "gradient_examples": 0}
    found = run(overfitted, tmp_path / "a", **settings)
    by_attack = {o.conditions["attack"]: o for o in found if o.metric.name == "attack_auc"}
    assert {"LiRA online", "LiRA offline", "RMIA online", "RMIA offline"} < set(by_attack)
    assert {o.conditions["tier"] for name, o in by_attack.items() if name.startswith(("LiRA", "RMIA"))} == {"2 shadow models"}
    for attack in ("LiRA online", "LiRA offline", "RMIA online", "RMIA offline"):
        assert by_attack[attack].interval.low > 0.5
    assert "lower-bound" not in [row[0] for row in found[0].extra[1].rows]


def test_a_list_of_shadows_enters(overfitted: Case, tmp_path: Path) -> None:
    ids = overfitted.training.ids
    given = {}
    for i in range(2):
        reference = tmp_path / f"s{i}" / "learned.safetensors"
        spots.learned(reference.parent, *spots.pixels_of(40, 10 + i), epochs=1)
        (tmp_path / f"{i}.txt").write_text("\n".join(ids[i::2]))
        given[str(reference)] = str(tmp_path / f"{i}.txt")
    evaluator = MembershipInference(shadow_checkpoints=given, gradient_examples=0)
    found = list(evaluator.evaluate(overfitted.model, context(overfitted, tmp_path / "a")))
    assert isinstance(named(found, "attack_auc", attack="LiRA offline"), Measurement)
    missing = named(found, "attack_auc", attack="LiRA online")
    assert isinstance(missing, Failure)
    assert missing.code == "no-reference-model"


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"examples": 5}, "examples"),
        ({"gradient_examples": 3}, "gradient_examples"),
        ({"shadows": 3}, "shadows"),
        ({"shadows": -2}, "shadows"),
        ({"shadow_images": 4}, "shadow_images"),
        ({"shadows": 2, "shadow_checkpoints": {"a": "b"}}, "shadows and shadow_checkpoints"),
        ({"shadow_model": "huge"}, "shadow_model"),
        ({"shadow_epochs": 0}, "shadow_epochs"),
        ({"shadow_batch": 0}, "shadow_batch"),
        ({"shadow_rate": 0.0}, "shadow_rate"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict, setting: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(MembershipInference, wrong)
    assert caught.value.code == "bad-setting"
    assert setting in caught.value.message


def test_zero_gradient_examples_and_no_limit_are_allowed() -> None:
    assert configure(MembershipInference, {"examples": None, "gradient_examples": 0, "shadows": 4}) == MembershipInference(None, 0, 4)
