"""Made images come from their ids alone; sets are sorted as OpenOOD sorts them; classes that the model knows are left out."""

import dataclasses

import numpy as np
import pytest
import torch

from efficient360.conformance import subject
from efficient360.core.examples import OtherSet
from efficient360.core.findings import Finding
from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.far_images import GAUSSIAN, MAKERS, PHOTOGRAPHS, UNIFORM
from efficient360.methods.uncertainty.made_examples import made
from efficient360.methods.uncertainty.nearness import Kind, sorted_by_openood
from efficient360.methods.uncertainty.unlike import UnlikeSet, made_sets, other, short

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.mark.parametrize("name", MAKERS)
def test_an_image_depends_on_its_id_and_the_seed_alone(name: str) -> None:
    examples = made(name, MAKERS[name], (16, 24), 7, 3)
    whole = torch.cat([batch.images for batch in examples.batches(7)])
    single = torch.cat([batch.images for batch in examples.batches(1)])
    late = torch.cat([batch.images for batch in examples.batches(2, start=4)])
    assert whole.shape == (7, 3, 16, 24)
    assert 0 <= whole.min() < whole.max() <= 1
    assert torch.equal(whole, single)
    assert torch.equal(whole[4:], late)
    assert torch.equal(whole[[5, 2]], torch.cat([batch.images for batch in examples.select([examples.ids[5], examples.ids[2]]).batches(2)]))
    assert torch.equal(whole[:3], next(iter(examples.subset(3, 0).batches(9))).images)
    assert not torch.equal(whole, next(iter(made(name, MAKERS[name], (16, 24), 7, 4).batches(7))).images)
    assert examples.digest != made(name, MAKERS[name], (16, 24), 7, 4).digest


def test_noise_is_distributed_as_its_source_says() -> None:
    rng = np.random.default_rng(0)
    gaussian, uniform = MAKERS[GAUSSIAN](rng, (200, 200)), MAKERS[UNIFORM](rng, (200, 200))
    assert (gaussian == 0).mean() == pytest.approx(0.3085, abs=0.01)  # a standard normal lies below −0.5
    assert gaussian.mean() == pytest.approx(0.5, abs=0.01)
    assert (uniform.mean(), uniform.std()) == pytest.approx((0.5, 12**-0.5), abs=0.01)


def test_crops_of_any_size_show_the_same() -> None:
    small, large = (MAKERS[PHOTOGRAPHS](np.random.default_rng(5), (side, side)) for side in (16, 64))
    reduced = large.reshape(3, 16, 4, 16, 4).mean((2, 4))
    assert np.corrcoef(small.ravel(), reduced.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    ("name", "classes", "kind"),
    [
        ("cifar100", CIFAR10, Kind.NEAR),
        ("svhn", CIFAR10, Kind.FAR),
        ("birds", CIFAR10, Kind.UNSORTED),
        ("cifar100", ("cat", "dog"), Kind.UNSORTED),
        ("cifar10", (*(f"c{i}" for i in range(97)), "aquarium_fish", "sweet_pepper", "willow_tree"), Kind.NEAR),
        ("ninco", [f"c{i}" for i in range(1000)], Kind.NEAR),
        ("textures", [f"c{i}" for i in range(1000)], Kind.FAR),
    ],
)
def test_sets_are_sorted(name: str, classes: tuple[str, ...], kind: Kind) -> None:
    assert sorted_by_openood(name, classes) is kind


@pytest.mark.parametrize(
    ("reference", "name"),
    [("svhn", "svhn"), ("svhn=/data/svhn", "svhn"), ("cards/birds.yaml", "birds"), ("imagefolder:/data/birds", "birds"), ("cards/b.yml=/x", "b")],
)
def test_short_names(reference: str, name: str) -> None:
    assert short(reference) == name


def test_photographs_are_no_outsiders_to_a_model_of_flowers() -> None:
    found = list(made_sets(["cat", "pink-yellow dahlia"], (8, 8), 4, 0))
    assert [one.name for one in found if isinstance(one, UnlikeSet)] == [GAUSSIAN, UNIFORM]
    (finding,) = (one for one in found if isinstance(one, Finding))
    assert finding.code == "known-classes"
    assert "'pink-yellow dahlia'" in finding.message


def _other(names: tuple[str, ...]) -> OtherSet:
    examples = dataclasses.replace(subject().training, class_names=list(names))
    return OtherSet("things", "Things", "1", lambda: examples, lambda: examples)


def test_known_classes_are_left_out_whatever_their_spelling() -> None:
    names = ("tench, Tinca tinca", "Sea_Lion", "c", "d", "e", "f", "g")
    found = other(_other(names), Kind.FAR, ["sea lion", "tinca tinca"], 100, 0)
    assert set(found.examples.labels.tolist()) == {2, 3, 4, 5, 6}
    assert [finding.code for finding in found.findings] == ["known-classes"]
    assert "2 classes of things" in found.findings[0].message


def test_a_set_of_known_classes_only_is_refused() -> None:
    with pytest.raises(Unsupported, match="the model knows every class of things") as refused:
        other(_other(tuple("abcdefg")), Kind.FAR, list("abcdefg"), 100, 0)
    assert refused.value.code == "known-classes"


def test_an_unsorted_set_is_told_and_cut_to_size() -> None:
    found = other(_other(tuple("abcdefg")), Kind.UNSORTED, ["x"], 10, 0)
    assert len(found.examples) == 10
    assert [finding.code for finding in found.findings] == ["unsorted-set"]
