import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from efficient360.conformance import Subject, subject
from efficient360.core.figures import Curve, Table
from efficient360.datasets.loader import open_dataset, open_split
from efficient360.datasets.spec import DatasetSpec
from efficient360.dimensions.continual import DIMENSION
from efficient360.errors import DatasetError, OutOfTime, SettingsError, Unsupported
from efficient360.evaluator import UNSEEN, Context, Deadline, Examples, Failure, Measurement, Model, OtherSet, Outcome
from efficient360.evaluators.continual import Continual
from efficient360.execution.plan import configure
from efficient360.methods.continual_learning.experiment import accuracy_matrix
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

BRIEF = {"methods": ("naive", "joint"), "steps": 1, "batch": 2, "images": 4, "tested": 6, "tasks": 2, "corruptions": ("contrast", "brightness")}


@pytest.fixture(scope="module")
def on() -> Subject:
    return subject()


def context(on: Subject, folder: Path, **changes: Any) -> Context:
    folder.mkdir(exist_ok=True)
    return dataclasses.replace(Context(on.checkpoint, on.examples, on.training, 0, 16, Deadline(), folder), **changes)


def run(on: Subject, folder: Path, settings: dict[str, Any], **changes: Any) -> list[Outcome]:
    return list(Continual(**(BRIEF | settings)).evaluate(on.model, context(on, folder, **changes)))  # type: ignore[arg-type]


def other(on: Subject, names: tuple[str, ...], name: str = "letters") -> dict[str, OtherSet]:
    """The subject's images as a data set of other classes."""

    def part(of: Examples) -> Callable[[], Examples]:
        return lambda: dataclasses.replace(of, class_names=names)  # type: ignore[type-var]

    return {name: OtherSet(name, name.title(), "x", part(on.examples), part(on.training))}


def values(found: list[Outcome], metric: str, **given: Any) -> list[float]:
    return [o.value for o in found if isinstance(o, Measurement) and o.metric.name == metric and given.items() <= o.conditions.items()]


def failure(found: list[Outcome]) -> Failure:
    (one,) = found
    assert isinstance(one, Failure)
    return one


LETTERS = tuple("abcdefg")


def test_corruptions_by_default_with_every_number_and_picture(on: Subject, tmp_path: Path) -> None:
    found = run(on, tmp_path / "a", {})
    where = {"stream": "corruptions", "scenario": "domain-incremental", "tasks": 2}
    assert all(where.items() <= o.conditions.items() for o in found)
    assert {o.metric.name for o in found if isinstance(o, Measurement)} == {m.name for m in Continual.metrics}
    naive = next(o for o in found if isinstance(o, Measurement) and o.metric.name == "average_accuracy")
    assert (naive.n, len(naive.samples), naive.interval.method) == (3, 3, "student-t over seeds")
    assert naive.value == pytest.approx(np.mean(naive.samples))
    before = found[0]
    assert before.conditions["when"] == "before"
    with torch.inference_mode():
        batch = next(on.examples.subset(6, 0).batches(6))
        assert before.value == (on.model(batch.images).argmax(1) == batch.labels).sum().item() / 6
    table, *curves, _ = before.extra
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["naive", "joint"]
    assert isinstance(curves[0], Curve)
    assert [s.name for s in curves[0].series] == ["original test set", "task 1", "task 2", "joint training"]


def test_a_matrix_on_disk_is_what_the_numbers_say(on: Subject, tmp_path: Path) -> None:
    found = run(on, tmp_path / "a", {})
    runs = np.fromfile(tmp_path / "a" / "corruptions" / "domain-incremental-naive.f64").reshape(3, 3, 3)
    assert values(found, "average_accuracy", method="naive") == [pytest.approx(runs[:, 2, 1:].mean())]
    assert values(found, "forgetting", method="naive") == [pytest.approx((runs[:, 1, 1] - runs[:, 2, 1]).mean())]
    assert values(found, "plasticity", method="naive") == [pytest.approx((runs[:, 1, 1] + runs[:, 2, 2]).mean() / 2)]
    assert values(found, "original_accuracy", when="after", method="naive") == [pytest.approx(runs[:, 2, 0].mean())]


@pytest.mark.slow
def test_new_classes_are_learned_in_both_scenarios(on: Subject, tmp_path: Path) -> None:
    found = run(on, tmp_path / "a", {"streams": ("letters",)}, others=other(on, LETTERS))
    assert {o.conditions["scenario"] for o in found} == {"class-incremental", "task-incremental"}
    gaps = [o for o in found if isinstance(o, Failure) and o.metric.name == "forward_transfer"]
    assert [o.code for o in gaps] == ["untrained-outputs"] * 2
    assert len(values(found, "joint_accuracy")) == 2


@pytest.mark.slow
def test_unseen_classes_are_taken_where_there_are_any(on: Subject, tmp_path: Path) -> None:
    found = run(on, tmp_path / "a", {"scenarios": ("class-incremental",)}, others=other(on, LETTERS, UNSEEN))
    assert {o.conditions["stream"] for o in found} == {UNSEEN}
    assert values(found, "average_accuracy", scenario="class-incremental", method="naive")


@pytest.mark.slow
def test_groups_one_after_the_other(on: Subject, tmp_path: Path) -> None:
    found = run(on, tmp_path / "a", {"streams": ("group:side",)})
    assert {o.conditions["stream"] for o in found} == {"group:side"}
    assert "known-groups" in str(found[0].extra)


@pytest.mark.parametrize(
    ("settings", "changes", "code", "words"),
    [
        ({"streams": ("group:hat",)}, {}, "no-group-column", "no group column 'hat'"),
        ({"streams": ("corruptions",)}, {"training": None}, "no-training-split", "the stream corruptions needs a training split"),
        ({"streams": ("unseen-classes",)}, {}, "no-unseen-classes", "knows every class of the evaluated data set"),
        ({"streams": ("group:side",), "scenarios": ("task-incremental",)}, {}, "no-such-scenario", "is domain-incremental, not task-incremental"),
    ],
)
def test_a_stream_that_cannot_be_had_says_why(on: Subject, tmp_path: Path, settings: dict[str, Any], changes: dict[str, Any], code: str, words: str) -> None:
    found = failure(run(on, tmp_path / "a", settings, **changes))
    assert found.code == code
    assert words in found.message
    assert found.conditions == {"stream": settings["streams"][0]}


@pytest.mark.slow
def test_known_classes_are_refused_and_a_missing_data_set_takes_nothing_with_it(on: Subject, tmp_path: Path) -> None:
    def gone() -> Examples:
        raise DatasetError("offline", "it can't be reached", "give a copy: letters=DIR")

    others = other(on, tuple(on.examples.class_names), "same") | {"lost=dir": OtherSet("lost", "Lost", "x", gone, gone)}
    found = run(on, tmp_path / "a", {"streams": ("same", "lost=dir", "corruptions")}, others=others)
    gaps = {o.conditions["stream"]: o for o in found if isinstance(o, Failure)}
    assert gaps["same"].code == "known-classes"
    assert "knows every class of Same" in gaps["same"].message
    assert (gaps["lost"].code, gaps["lost"].hint) == ("offline", "give a copy: letters=DIR")
    assert values(found, "average_accuracy", stream="corruptions")


@pytest.mark.slow
def test_classes_that_are_known_by_name_are_left_out(on: Subject, tmp_path: Path) -> None:
    names = (*on.examples.class_names[:4], "x", "y", "z")
    found = run(on, tmp_path / "a", {"streams": ("letters",)}, others=other(on, names))
    assert {(o.conditions["scenario"], o.conditions["tasks"]) for o in found} == {("class-incremental", 2)}


def test_without_joint_training_there_is_no_ceiling(on: Subject, tmp_path: Path) -> None:
    found = run(on, tmp_path / "a", {"methods": ("naive",)})
    gaps = [(o.code, o.metric.name) for o in found if isinstance(o, Failure)]
    assert gaps == [("no-joint", metric) for metric in ("joint_accuracy", "share_of_joint", "intransigence")]


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(on: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(on, tmp_path / "whole", {})
    calls = []

    def dying(*given: object) -> object:
        calls.append(given)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return accuracy_matrix(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("efficient360.methods.continual_learning.experiment.accuracy_matrix", dying)
    with pytest.raises(KeyboardInterrupt):
        run(on, tmp_path / "killed", {})
    calls.clear()
    told: list[tuple[int, int]] = []
    assert run(on, tmp_path / "killed", {}, progress=lambda done, total: told.append((done, total))) == whole
    assert len(calls) == 2  # of six
    assert told[-1] == (3 * (2 + 5), 3 * (2 + 5))


def test_out_of_time_between_steps(on: Subject, tmp_path: Path) -> None:
    with pytest.raises(OutOfTime):
        run(on, tmp_path / "a", {}, deadline=Deadline(0.0))


class Artefact(Model):
    num_classes = 7
    input_size = (3, 32, 32)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images), 7)


def test_what_it_cannot_do_without(on: Subject, tmp_path: Path) -> None:
    for model, changes, code in ((Artefact(), {}, "deployed"), (on.model, {"examples": None}, "no-dataset")):
        with pytest.raises(Unsupported) as refused:
            list(Continual().evaluate(model, context(on, tmp_path / "a", **changes)))
        assert refused.value.code == code


@pytest.mark.parametrize(
    "settings",
    [
        {"streams": ()},
        {"streams": ("digits", "digits")},
        {"scenarios": ("instance",)},
        {"methods": ("joint",)},
        {"methods": ("magic",)},
        {"methods": ()},
        {"corruptions": ("rust", "fog")},
        {"corruptions": ("fog",)},
        {"severity": 6},
        {"severity": 0},
        {"seeds": 2},
        {"tasks": 1},
        {"steps": 0},
        {"batch": 0},
        {"images": 0},
        {"tested": 0},
        {"rank": 0},
        {"memory": 0},
        {"memory_kind": "heap"},
        {"rate": 0.0},
        {"head_rate": -1.0},
        {"lora_rate": 0.0},
        {"ewc_strength": -1.0},
        {"lwf_strength": -0.1},
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        configure(Continual, settings)
    assert refused.value.code == "bad-setting"
    assert next(iter(settings)) in refused.value.message
    assert refused.value.hint


def test_it_names_the_data_sets_it_wants() -> None:
    assert Continual(streams=("auto", "corruptions", "unseen-classes", "group:side", "digits", "cifar100=there")).others() == ("digits", "cifar100=there")


@pytest.mark.slow
def test_a_trained_checkpoint_learns_its_tasks(tmp_path: Path) -> None:
    checkpoint = resolve(CheckpointSpec("digits-vit"))
    dataset = open_dataset(DatasetSpec("digits", max_examples=300), checkpoint, 0)
    training = open_split(dataset.card, "train", None, checkpoint, 0)
    on = Subject(checkpoint, load_model(checkpoint), dataset.examples, training)
    settings = {"methods": ("naive", "joint"), "steps": 12, "batch": 16, "images": 100, "tested": 100, "corruptions": ("gaussian_noise", "contrast")}
    found = run(on, tmp_path / "a", settings)
    runs = np.fromfile(tmp_path / "a" / "corruptions" / "domain-incremental-naive.f64").reshape(3, 3, 3)
    (plasticity,) = values(found, "plasticity", method="naive")
    assert plasticity > runs[:, 0, 1:].mean() + 0.1
    (ceiling,) = values(found, "joint_accuracy")
    assert ceiling > runs[:, 0, 1:].mean() + 0.05
    assert 0.8 < values(found, "retention", method="naive")[0] < 1.02


def test_the_axis_names_what_there_is() -> None:
    assert DIMENSION.anchors
    assert {a.metric for a in DIMENSION.anchors} <= {m.name for m in Continual.metrics}
