"""The evaluator: what it yields, what it says of what it can't, and its settings."""

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from efficient360.conformance import context_of, subject
from efficient360.core.figures import Curve, Table
from efficient360.errors import DatasetError, SettingsError
from efficient360.evaluator import UNSEEN, Context, Failure, Measurement, Model, OtherSet, Status
from efficient360.evaluators.out_of_distribution import OutOfDistribution
from efficient360.execution.plan import configure
from efficient360.methods.uncertainty.ood_datasets import OodKind
from efficient360.methods.uncertainty.ood_summary import below_chance, evaluate_detector, shared_bootstrap

SMALL: dict[str, Any] = {"images": 20, "resamples": 20, "neighbours": 3}


def run(context: Context, model: Model, **settings: Any) -> list[Measurement | Failure]:
    return list(OutOfDistribution(**(SMALL | settings)).evaluate(model, context))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return context_of(subject(), tmp_path, 8)


def measured(outcomes: list[Measurement | Failure]) -> dict[tuple[Any, ...], Measurement]:
    return {(o.metric.name, *o.conditions.values()): o for o in outcomes if isinstance(o, Measurement)}


def others(**sets: Any) -> dict[str, OtherSet]:
    return {name: OtherSet(name, name, "1", partial(sets.__getitem__, name), partial(sets.__getitem__, name)) for name in sets}


def named(examples: Any, names: str) -> Any:
    return dataclasses.replace(examples, class_names=list(names))


def test_every_detector_on_every_set_and_means(context: Context) -> None:
    found = measured(run(context, subject().model))
    sets = ("photographs", "gaussian noise", "uniform noise")
    for detector in ("msp", "energy", "max-logit", "mahalanobis", "knn"):
        each = [found["auroc", detector, name, "far"].value for name in sets]
        assert found["auroc", detector, "photographs and noise"].value == pytest.approx(sum(each) / 3)
        assert found["auroc", detector, "noise"].value == pytest.approx(sum(each[1:]) / 2)
        assert {("aupr", detector, "photographs", "far"), ("fpr95", detector, "photographs", "far"), ("fpr95", detector, "far sets")} <= found.keys()
    first = found["auroc", "msp", "photographs and noise"]
    scores, table, _ = first.extra
    assert isinstance(scores, Curve)
    assert [series.name for series in scores.series] == ["in distribution", *sets]
    assert all(sum(series.y) == pytest.approx(1) for series in scores.series)
    assert isinstance(table, Table)
    assert table.columns == ("Data set", "Kind", "Images", "msp", "energy", "max-logit", "mahalanobis", "knn")
    assert first.interval is not None
    assert first.interval.low <= first.value <= first.interval.high


class Twilight(Model):
    """Sure of dark images, unsure of bright ones; no features."""

    num_classes = 2
    input_size = (3, 32, 32)

    def __call__(self, images: Tensor) -> Tensor:
        level = images.mean((1, 2, 3))
        return torch.stack([10 * (1 - level), torch.zeros_like(level)], 1)


class Dark:
    """The examples with nearly black images."""

    def __init__(self, of: Any) -> None:
        self.of = of

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)

    def __len__(self) -> int:
        return len(self.of)

    def batches(self, size: int, start: int = 0) -> Iterator[Any]:
        for batch in self.of.batches(size, start):
            yield dataclasses.replace(batch, load=lambda batch=batch: batch.images / 100)


def test_a_model_that_knows_perfectly_and_one_that_is_surer_outside(context: Context) -> None:
    dark: Any = dataclasses.replace(context, examples=Dark(context.examples), predicted=lambda examples: examples)
    found = measured(run(dark, Twilight(), detectors=("msp",)))
    perfect = found["auroc", "msp", "noise"]
    assert perfect.value == 1
    assert perfect.interval is not None
    assert perfect.interval.low == pytest.approx(0.025 ** (1 / 20))
    assert found["fpr95", "msp", "gaussian noise", "far"].value == 0

    class Reversed(Twilight):
        def __call__(self, images: Tensor) -> Tensor:
            return torch.stack([10 * images.mean((1, 2, 3)), torch.zeros(len(images))], 1)

    away = dataclasses.replace(dark, scratch=context.scratch / "other")
    away.scratch.mkdir()
    found = measured(run(away, Reversed(), detectors=("msp",)))
    assert found["auroc", "msp", "noise"].value == 0
    table = found["auroc", "msp", "photographs and noise"].extra[2]
    assert isinstance(table, Table)
    assert "surer-outside" in {row[0] for row in table.rows}


def test_detectors_on_features_want_training_images_and_features(context: Context) -> None:
    outcomes = run(dataclasses.replace(context, training=None), subject().model)
    failures = {o.conditions["detector"]: o for o in outcomes if isinstance(o, Failure)}
    assert {(name, failure.code, failure.status) for name, failure in failures.items()} == {
        ("mahalanobis", "no-training-split", Status.UNSUPPORTED),
        ("knn", "no-training-split", Status.UNSUPPORTED),
    }
    assert ("auroc", "energy", "noise") in measured(outcomes)
    plain = dataclasses.replace(context, predicted=lambda examples: examples, scratch=context.scratch / "other")
    plain.scratch.mkdir()
    outcomes = run(plain, Twilight())
    assert {o.code for o in outcomes if isinstance(o, Failure)} == {"no-features"}


def test_other_data_sets_and_unseen_classes(context: Context) -> None:
    training = subject().training
    found = others(birds=named(training, "tuvwxyz"), fish=named(training, "tuvwxyz"), moss=named(training, "tuvwxyz"))
    found[UNSEEN] = dataclasses.replace(found["birds"], name=UNSEEN)
    settings = {"datasets": ("birds", "fish", "moss"), "near": ("birds",), "far": ("fish",), "detectors": ("msp",)}
    got = measured(run(dataclasses.replace(context, others=found), subject().model, **settings))
    assert {key[2:] for key in got if len(key) == 4 and key[2] not in ("photographs", "gaussian noise", "uniform noise")} == {
        ("birds", "near"),
        ("fish", "far"),
        ("moss", "unsorted"),
        (UNSEEN, "near"),
    }
    near = [got["auroc", "msp", name, "near"].value for name in ("birds", UNSEEN)]
    assert got["auroc", "msp", "near sets"].value == pytest.approx(sum(near) / 2)
    findings = got["auroc", "msp", "photographs and noise"].extra[2]
    assert isinstance(findings, Table)
    assert {row[0] for row in findings.rows} >= {"two-photographs", "unsorted-set"}


def test_a_set_that_cannot_be_had_is_one_failure_and_the_others_go_on(context: Context) -> None:
    def absent() -> Any:
        raise DatasetError("hub-unreachable", "birds can't be had", "give a local copy")

    found = {"birds": OtherSet("birds", "Birds", "1", absent, absent)}
    outcomes = run(dataclasses.replace(context, others=found), subject().model, datasets=("birds",), detectors=("msp",))
    (failure,) = (o for o in outcomes if isinstance(o, Failure))
    assert (failure.status, failure.code, failure.conditions) == (Status.FAILED, "hub-unreachable", {"set": "birds"})
    assert failure.hint == "give a local copy; in the setting datasets a local copy is birds=DIR"
    assert ("auroc", "msp", "noise") in measured(outcomes)


def test_digits_are_left_out_in_words_where_the_model_knows_them(context: Context) -> None:
    examples = subject().training
    found = {"digits": OtherSet("digits", "Digits", "1", lambda: examples, lambda: examples)}
    outcomes = run(dataclasses.replace(context, others=found), subject().model, detectors=("msp",))
    assert not [o for o in outcomes if isinstance(o, Failure)]
    table = measured(outcomes)["auroc", "msp", "photographs and noise"].extra[2]
    assert isinstance(table, Table)
    assert [row[1] for row in table.rows if row[0] == "known-classes"] == ["the model knows every class of digits, which is therefore not out of distribution"]
    asked = run(dataclasses.replace(context, others=found), subject().model, detectors=("msp",), datasets=("digits",))
    assert [o.code for o in asked if isinstance(o, Failure)] == ["known-classes"]


def test_a_model_of_flowers_has_no_mean_over_photographs(context: Context) -> None:
    flowers = dataclasses.replace(subject().examples, class_names=["dahlia", *"abcdef"])
    outcomes = run(dataclasses.replace(context, examples=flowers), subject().model, detectors=("msp",))
    (failure,) = (o for o in outcomes if isinstance(o, Failure))
    assert (failure.code, failure.conditions) == ("known-classes", {"detector": "msp", "over": "photographs and noise"})
    assert measured(outcomes)["auroc", "msp", "noise"].extra


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"detectors": ("odin",)}, "detectors"),
        ({"detectors": ()}, "detectors"),
        ({"images": 1}, "images"),
        ({"neighbours": 0}, "neighbours"),
        ({"resamples": 1}, "resamples"),
        ({"training_examples": 0}, "training_examples"),
        ({"datasets": ("a=/x", "a=/y")}, "datasets"),
        ({"near": ("a",)}, "near"),
        ({"datasets": ("a",), "far": ("b",)}, "far"),
        ({"datasets": ("a",), "near": ("a",), "far": ("a",)}, "near"),
    ],
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=f"the setting {words} of out_of_distribution") as refused:
        configure(OutOfDistribution, settings)
    assert refused.value.code == "bad-setting"


def test_it_looks_at_digits_and_at_what_the_settings_name() -> None:
    assert OutOfDistribution(datasets=("svhn=/data", "digits")).others() == ("digits", "svhn=/data")


def test_a_set_that_only_chance_puts_higher_is_no_finding() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(0, 1, 200)
    close, above = (
        evaluate_detector("msp", name, OodKind.FAR, (own, rng.normal(shift, 1, 200)), (), shared_bootstrap(200, 100, 0))
        for name, shift in (("close", 0.05), ("above", 1.0))
    )
    assert [finding.message.split(" than ")[0] for finding in below_chance([close, above])] == ["msp scores above higher"]
