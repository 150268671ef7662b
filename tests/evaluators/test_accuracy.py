import base64
import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score, top_k_accuracy_score

from efficient360 import conformance
from efficient360.core.batch import Batch
from efficient360.core.figures import Bars, Gallery
from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.core.statistics import wilson
from efficient360.errors import SettingsError
from efficient360.evaluator import Context, Deadline
from efficient360.evaluators.accuracy import Accuracy, ClassRecall, balanced_accuracy_interval, class_recall
from efficient360.execution.plan import configure
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import Model


@dataclass(frozen=True)
class Known(Model):
    """A model whose logits are known beforehand and that must not be run again."""

    classes: int

    @property
    def num_classes(self) -> int:
        return self.classes

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 8, 8)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the shared pass has run already")


@dataclass(frozen=True)
class Listed:
    """Examples in memory; the image of the i-th is filled with i / 255."""

    logits: torch.Tensor
    labels: np.ndarray
    places: tuple[int, ...]
    class_names: Sequence[str] = ()
    digest: str = ""

    @property
    def ids(self) -> list[str]:
        return [f"test/{i}" for i in self.places]

    @property
    def groups(self) -> dict[str, list[str]]:
        return {}

    def __len__(self) -> int:
        return len(self.places)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        for first in range(start, len(self), size):
            part = self.places[first : first + size]
            images = torch.tensor(part).float()[:, None, None, None].expand(-1, 3, 8, 8) / 255
            chosen = list(part)
            yield Batch(
                tuple(f"test/{i}" for i in part), torch.from_numpy(self.labels[chosen]), partial(torch.Tensor.clone, images), 0, {}, self.logits[chosen]
            )

    def subset(self, n: int, seed: int) -> "Listed":
        raise NotImplementedError

    def select(self, ids: Sequence[str]) -> "Listed":
        return replace(self, places=tuple(int(i.removeprefix("test/")) for i in ids))


def listed(logits: np.ndarray, labels: np.ndarray, names: Sequence[str] = ()) -> Listed:
    names = names or [f"class {i}" for i in range(logits.shape[1])]
    return Listed(torch.from_numpy(logits.astype(np.float32)), labels.astype(np.int64), tuple(range(len(labels))), names)


def run(logits: np.ndarray, labels: np.ndarray, evaluator: Accuracy | None = None, batch_size: int = 7, names: Sequence[str] = ()) -> dict:
    examples, evaluator = listed(logits, labels, names), evaluator or Accuracy()
    with tempfile.TemporaryDirectory() as scratch:
        context = context_of(examples, batch_size, Path(scratch))
        table = score_all(evaluator, Known(logits.shape[1]), examples, context, context.progress)
        return {outcome.metric.name: outcome for outcome in outcomes_of(evaluator, Known(logits.shape[1]), table, context)}


def context_of(examples: Listed | None, batch_size: int, scratch: Path) -> Context[Any]:
    checkpoint = Checkpoint(CheckpointSpec("x"), "x", "x", {}, Origin.FILE, None, "", Preprocessing((3, 8, 8), (0, 0, 0), (1, 1, 1)), 10)
    return Context(checkpoint, examples, None, 0, batch_size, Deadline(), scratch)


def random_case(n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(np.arange(k), (n, 1)), axis=1) / 2, rng.integers(0, k, n)


@pytest.mark.filterwarnings("ignore::UserWarning:sklearn")
@given(st.integers(1, 50), st.integers(6, 12), st.integers(0, 99), st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_values_are_scikit_learns_whatever_the_batch_size(n: int, k: int, seed: int, batch_size: int) -> None:
    logits, labels = random_case(n, k, seed)
    found = run(logits, labels, Accuracy(resamples=2), batch_size)
    assert found["top1"].value == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert found["top5"].value == pytest.approx(top_k_accuracy_score(labels, logits, k=5, labels=range(k)))
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(labels, logits.argmax(1)))
    assert found["top5"].value >= found["top1"].value
    assert {m.n for m in found.values()} == {n}


def test_intervals_of_proportions_are_wilsons() -> None:
    logits, labels = random_case(40, 8, 0)
    found = run(logits, labels)
    hits = int((logits.argmax(1) == labels).sum())
    assert found["top1"].interval == wilson(hits, 40)
    assert found["top5"].interval == wilson(round(found["top5"].value * 40), 40)
    assert found["balanced_accuracy"].interval.method == "stratified-bootstrap"


def test_balanced_accuracy_by_hand() -> None:
    """Eight of eight and one of two: 9 of 10 are right, yet the mean recall is three quarters."""
    labels = np.array([0] * 8 + [1] * 2)
    logits = np.zeros((10, 6))
    logits[:9, 0], logits[9, 1] = 1, 1
    found = run(logits, labels)
    assert (found["top1"].value, found["balanced_accuracy"].value) == (0.9, 0.75)


def test_equal_logits_rank_by_class_index_and_agree_with_the_prediction() -> None:
    logits, labels = np.zeros((8, 8)), np.arange(8)
    found = run(logits, labels)
    assert (found["top1"].value, found["top5"].value) == (1 / 8, 5 / 8)
    gallery = found["top1"].extra[1]
    assert {picture.caption.partition(",")[0] for picture in gallery.pictures} == {"predicted class 0"}


@pytest.mark.parametrize("classes", [2, 5])
def test_top5_of_five_classes_or_fewer_is_unsupported_and_the_rest_is_measured(classes: int) -> None:
    found = run(*random_case(20, classes, 1))
    assert isinstance(found["top5"], Failure)
    assert (found["top5"].status, found["top5"].code) == (Status.UNSUPPORTED, "too-few-classes")
    assert f"{classes} classes" in found["top5"].message
    assert isinstance(found["top1"], Measurement)
    assert isinstance(found["balanced_accuracy"], Measurement)


def test_six_classes_have_a_top5() -> None:
    assert isinstance(run(*random_case(20, 6, 1))["top5"], Measurement)


def test_bars_show_every_class_that_occurs_in_order() -> None:
    labels = np.array([0, 0, 2, 2, 2, 1, 1])
    logits = np.eye(6)[[0, 0, 2, 2, 0, 0, 0]]
    bars = run(logits, labels, names=["ant", "bee", "cat", "dog", "eel", "fox"])["top1"].extra[0]
    assert isinstance(bars, Bars)
    assert (bars.title, bars.labels) == ("Accuracy by class", ("ant", "bee", "cat"))
    assert bars.values == (1.0, 0.0, pytest.approx(2 / 3))
    assert (bars.low[2], bars.high[2]) == (wilson(2, 3).low, wilson(2, 3).high)


def test_of_many_classes_the_fifteen_lowest_are_shown_and_it_says_so() -> None:
    """Class c of 31 has 31 examples, c of them right: the lowest fifteen are 0 … 14."""
    labels = np.repeat(np.arange(31), 31)
    right = np.tile(np.arange(31), 31) < labels
    logits = np.eye(32)[np.where(right, labels, 31)]
    bars = run(logits, labels, Accuracy(mistakes=0), 100)["top1"].extra[0]
    assert bars.title == "Accuracy by class: the 15 lowest of 31"
    assert bars.labels == tuple(f"class {i}" for i in range(15))
    assert bars.values == tuple(i / 31 for i in range(15))


def graded_mistakes() -> tuple[np.ndarray, np.ndarray]:
    """Twenty examples of class 3; the even ones are called 8, each more confidently than the one before; the odd ones are right."""
    logits = np.zeros((20, 10))
    logits[np.arange(0, 20, 2), 8] = 1 + np.arange(10) / 4
    logits[np.arange(1, 20, 2), 3] = 9
    return logits, np.full(20, 3)


def test_the_gallery_shows_the_most_confident_mistakes_first_with_their_images() -> None:
    logits, labels = graded_mistakes()
    gallery = run(logits, labels, Accuracy(mistakes=3), names=tuple("0123456789"))["top1"].extra[1]
    assert isinstance(gallery, Gallery)
    assert [picture.caption for picture in gallery.pictures] == ["predicted 8, is 3"] * 3
    assert [picture.detail.partition(",")[0] for picture in gallery.pictures] == ["test/18", "test/16", "test/14"]
    confidence = np.exp(3.25) / (np.exp(3.25) + 9)
    assert gallery.pictures[0].detail == f"test/18, confidence {100 * confidence:.1f} %"
    shown = [Image.open(io.BytesIO(base64.b64decode(p.image.partition(",")[2]))).getpixel((0, 0)) for p in gallery.pictures]
    assert shown == [(18, 18, 18), (16, 16, 16), (14, 14, 14)]


def test_twelve_mistakes_unless_asked_otherwise_and_none_where_there_are_none() -> None:
    logits = np.eye(10)[np.arange(20) % 10]
    assert len(run(logits, np.full(20, 3))["top1"].extra[1].pictures) == 12
    assert len(run(logits, np.arange(20) % 10)["top1"].extra) == 1
    assert len(run(logits, np.full(20, 3), Accuracy(mistakes=0))["top1"].extra) == 1


def test_a_class_without_a_name_goes_by_its_index() -> None:
    logits, labels = graded_mistakes()
    found = run(logits, labels, names=["a", "b", "c", "d"])
    assert found["top1"].extra[1].pictures[0].caption == "predicted 8, is d"


def test_perfect_and_hopeless_models_keep_an_interval_of_some_width() -> None:
    labels = np.arange(12) % 6
    for logits, value in ((np.eye(6)[labels], 1.0), (np.eye(6)[(labels + 1) % 6], 0.0)):
        found = run(logits, labels)
        assert found["top1"].value == found["balanced_accuracy"].value == value
        assert found["balanced_accuracy"].interval.high > found["balanced_accuracy"].interval.low


@pytest.mark.parametrize(("wrong", "name"), [({"mistakes": -1}, "mistakes"), ({"resamples": 1}, "resamples")])
def test_settings_out_of_range_are_refused(wrong: dict, name: str) -> None:
    with pytest.raises(SettingsError, match=f"setting {name} of accuracy") as caught:
        configure(Accuracy, wrong)
    assert caught.value.code == "bad-setting"


def test_it_keeps_the_contract() -> None:
    conformance.check(Accuracy())


def recall_of(hits: list[int], counts: list[int]) -> ClassRecall:
    return ClassRecall(np.arange(len(hits)), np.array(hits), np.array(counts))


def test_recalls_by_hand() -> None:
    found = class_recall(np.array([7, 2, 7, 2, 2, 9]), np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0]))
    assert found.classes.tolist() == [2, 7, 9]
    assert (found.hits.tolist(), found.counts.tolist()) == ([2, 1, 0], [3, 2, 1])
    assert found.values.tolist() == [2 / 3, 0.5, 0.0]
    assert found.mean == pytest.approx((2 / 3 + 0.5) / 3)


@pytest.mark.filterwarnings("ignore::UserWarning:sklearn")
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60))
def test_recalls_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(pairs).T
    found = class_recall(labels, (labels == predicted).astype(float))
    oracle = recall_score(labels, predicted, labels=np.unique(labels), average=None, zero_division=0)
    np.testing.assert_allclose(found.values, oracle)
    assert found.mean == pytest.approx(balanced_accuracy_score(labels, predicted))


def test_the_interval_is_as_wide_as_the_variance_of_independent_classes_says() -> None:
    """Var = Σ p(1 − p)/n / C² by hand, so the normal approximation must agree within the noise of the resampling."""
    hits, counts = np.array([900, 150, 30]), np.array([1000, 200, 60])
    share = hits / counts
    half = 1.96 * float(np.sqrt((share * (1 - share) / counts).sum())) / 3
    found = balanced_accuracy_interval(ClassRecall(np.arange(3), hits, counts), seed=0, resamples=5000)
    assert found.low == pytest.approx(share.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(share.mean() + half, abs=0.1 * half)
    assert found.method == "stratified-bootstrap"


def test_it_is_wider_than_wilsons_when_a_small_class_carries_a_third_of_the_weight() -> None:
    of = recall_of([990, 985, 5], [1000, 1000, 10])
    balanced, plain = balanced_accuracy_interval(of, 0, 2000), wilson(1980, 2010)
    assert balanced.high - balanced.low > 5 * (plain.high - plain.low)


def test_classes_of_one_example_borrow_their_spread_from_each_other() -> None:
    """With one example a class the balanced accuracy is top-1, so its interval must be a proportion's, not a point."""
    of = recall_of([1] * 80 + [0] * 20, [1] * 100)
    found, plain = balanced_accuracy_interval(of, 0, 5000), wilson(80, 100)
    assert found.low == pytest.approx(plain.low, abs=0.02)
    assert found.high == pytest.approx(plain.high, abs=0.02)


@pytest.mark.parametrize("hits", [[5, 3], [0, 0]])
def test_all_right_or_all_wrong_still_leaves_an_interval(hits: list[int]) -> None:
    assert balanced_accuracy_interval(recall_of(hits, [5, 3]), 0, 100) == wilson(sum(hits), 8)


def test_the_same_seed_gives_the_same_interval() -> None:
    of = recall_of([7, 4, 9], [10, 9, 11])
    assert balanced_accuracy_interval(of, 3, 500) == balanced_accuracy_interval(of, 3, 500)
    assert balanced_accuracy_interval(of, 3, 500) != balanced_accuracy_interval(of, 4, 500)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=8), st.integers(0, 9))
def test_the_interval_holds_the_value_and_stays_within_bounds(classes: list[tuple[int, int]], seed: int) -> None:
    of = recall_of([min(h, n) for h, n in classes], [n for _, n in classes])
    found = balanced_accuracy_interval(of, seed, 400)
    assert 0 <= found.low <= of.mean + 1e-9
    assert of.mean - 1e-9 <= found.high <= 1
