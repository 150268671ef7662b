"""Generated images depend only on their ids; data sets are near or far as OpenOOD says; classes that the model knows are excluded."""

import dataclasses

import numpy as np
import pytest
import torch

from efficient360.conformance import subject
from efficient360.core.examples import OtherSet
from efficient360.core.findings import Finding
from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.ood_datasets import OodDataset, OodKind, generated_datasets, ood_dataset, openood_kind, short_name
from efficient360.methods.uncertainty.ood_generated import GAUSSIAN, IMAGE_GENERATORS, PHOTOGRAPHS, UNIFORM, generate_examples

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.mark.parametrize("name", IMAGE_GENERATORS)
def test_an_image_depends_on_its_id_and_the_seed_alone(name: str) -> None:
    examples = generate_examples(name, IMAGE_GENERATORS[name], (16, 24), 7, 3)
    whole = torch.cat([batch.images for batch in examples.batches(7)])
    single = torch.cat([batch.images for batch in examples.batches(1)])
    late = torch.cat([batch.images for batch in examples.batches(2, start=4)])
    assert whole.shape == (7, 3, 16, 24)
    assert 0 <= whole.min() < whole.max() <= 1
    assert torch.equal(whole, single)
    assert torch.equal(whole[4:], late)
    assert torch.equal(whole[[5, 2]], torch.cat([batch.images for batch in examples.select([examples.ids[5], examples.ids[2]]).batches(2)]))
    assert torch.equal(whole[:3], next(iter(examples.subset(3, 0).batches(9))).images)
    assert not torch.equal(whole, next(iter(generate_examples(name, IMAGE_GENERATORS[name], (16, 24), 7, 4).batches(7))).images)
    assert examples.digest != generate_examples(name, IMAGE_GENERATORS[name], (16, 24), 7, 4).digest


def test_noise_is_distributed_as_its_source_says() -> None:
    rng = np.random.default_rng(0)
    gaussian, uniform = IMAGE_GENERATORS[GAUSSIAN](rng, (200, 200)), IMAGE_GENERATORS[UNIFORM](rng, (200, 200))
    assert (gaussian == 0).mean() == pytest.approx(0.3085, abs=0.01)  # a standard normal lies below −0.5
    assert gaussian.mean() == pytest.approx(0.5, abs=0.01)
    assert (uniform.mean(), uniform.std()) == pytest.approx((0.5, 12**-0.5), abs=0.01)


def test_crops_of_any_size_show_the_same() -> None:
    small, large = (IMAGE_GENERATORS[PHOTOGRAPHS](np.random.default_rng(5), (side, side)) for side in (16, 64))
    reduced = large.reshape(3, 16, 4, 16, 4).mean((2, 4))
    assert np.corrcoef(small.ravel(), reduced.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    ("name", "classes", "kind"),
    [
        ("cifar100", CIFAR10, OodKind.NEAR),
        ("svhn", CIFAR10, OodKind.FAR),
        ("birds", CIFAR10, OodKind.UNSORTED),
        ("cifar100", ("cat", "dog"), OodKind.UNSORTED),
        ("cifar10", (*(f"c{i}" for i in range(97)), "aquarium_fish", "sweet_pepper", "willow_tree"), OodKind.NEAR),
        ("ninco", [f"c{i}" for i in range(1000)], OodKind.NEAR),
        ("textures", [f"c{i}" for i in range(1000)], OodKind.FAR),
    ],
)
def test_sets_are_sorted(name: str, classes: tuple[str, ...], kind: OodKind) -> None:
    assert openood_kind(name, classes) is kind


@pytest.mark.parametrize(
    ("reference", "name"),
    [("svhn", "svhn"), ("svhn=/data/svhn", "svhn"), ("cards/birds.yaml", "birds"), ("imagefolder:/data/birds", "birds"), ("cards/b.yml=/x", "b")],
)
def test_short_names(reference: str, name: str) -> None:
    assert short_name(reference) == name


def test_photographs_are_no_outsiders_to_a_model_of_flowers() -> None:
    entries = list(generated_datasets(["cat", "pink-yellow dahlia"], (8, 8), 4, 0))
    assert [entry.name for entry in entries if isinstance(entry, OodDataset)] == [GAUSSIAN, UNIFORM]
    (finding,) = (entry for entry in entries if isinstance(entry, Finding))
    assert finding.code == "known-classes"
    assert "'pink-yellow dahlia'" in finding.message


def _other(names: tuple[str, ...]) -> OtherSet:
    examples = dataclasses.replace(subject().training, class_names=list(names))
    return OtherSet("things", "Things", "1", lambda: examples, lambda: examples)


def test_known_classes_are_left_out_whatever_their_spelling() -> None:
    names = ("tench, Tinca tinca", "Sea_Lion", "c", "d", "e", "f", "g")
    dataset = ood_dataset(_other(names), OodKind.FAR, ["sea lion", "tinca tinca"], 100, 0)
    assert set(dataset.examples.labels.tolist()) == {2, 3, 4, 5, 6}
    assert [finding.code for finding in dataset.findings] == ["known-classes"]
    assert "2 classes of things" in dataset.findings[0].message


def test_a_set_of_known_classes_only_is_refused() -> None:
    with pytest.raises(Unsupported, match="the model knows every class of things") as refused:
        ood_dataset(_other(tuple("abcdefg")), OodKind.FAR, list("abcdefg"), 100, 0)
    assert refused.value.code == "known-classes"


def test_an_unsorted_set_is_told_and_cut_to_size() -> None:
    dataset = ood_dataset(_other(tuple("abcdefg")), OodKind.UNSORTED, ["x"], 10, 0)
    assert len(dataset.examples) == 10
    assert [finding.code for finding in dataset.findings] == ["unsorted-set"]
