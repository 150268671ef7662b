"""Out-of-distribution data sets: generated images, other data sets, unseen classes; near-OOD or far-OOD as OpenOOD classifies them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Final, final

from efficient360.core import formatting
from efficient360.core.examples import Examples, OtherSet
from efficient360.core.findings import Finding
from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.ood_generated import IMAGE_GENERATORS, PHOTOGRAPHED, PHOTOGRAPHS, generate_examples

KNOWN_CLASSES: Final = "known-classes"


class OodKind(StrEnum):
    """Whether a data set is near-OOD or far-OOD."""

    NEAR = "near"
    """Other classes of a similar kind of image (semantic shift)."""
    FAR = "far"
    """A different kind of image (semantic and covariate shift)."""
    UNSORTED = "unsorted"
    """Not classified; excluded from the near-OOD and far-OOD means."""


_CIFAR10: Final = frozenset({"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"})
_CIFAR100: Final = frozenset({"aquarium_fish", "sweet_pepper", "willow_tree"})
_FAR_FROM_CIFAR: Final = frozenset({"digits", "dtd", "mnist", "places365", "svhn", "textures"})
_NEAR_IMAGENET: Final = frozenset({"ninco", "ssb-hard"})
_FAR_FROM_IMAGENET: Final = frozenset({"digits", "dtd", "inaturalist", "mnist", "openimage-o", "textures"})


def openood_kind(name: str, class_names: Sequence[str]) -> OodKind:
    """Near-OOD or far-OOD by a data set's name, relative to an in-distribution data set with these classes.

    Yang et al. 2022 (OpenOOD) for CIFAR-10 and CIFAR-100, Zhang et al. 2023 (OpenOOD v1.5) for ImageNet-1k; scikit-learn's digits are treated as MNIST.

    Args:
        name: Name of the data set.
        class_names: Classes of the data set that is evaluated.
    """
    near, far = _openood_benchmark(frozenset(class_names), len(class_names))
    if name in near:
        return OodKind.NEAR
    return OodKind.FAR if name in far else OodKind.UNSORTED


def _openood_benchmark(classes: frozenset[str], count: int) -> tuple[frozenset[str], frozenset[str]]:
    """Names of the near-OOD and far-OOD data sets."""
    if classes == _CIFAR10:
        return frozenset({"cifar100", "tiny-imagenet"}), _FAR_FROM_CIFAR
    if count == 100 and classes >= _CIFAR100:
        return frozenset({"cifar10", "tiny-imagenet"}), _FAR_FROM_CIFAR
    if count == 1000:
        return _NEAR_IMAGENET, _FAR_FROM_IMAGENET
    return frozenset(), frozenset()


@final
@dataclass(frozen=True)
class OodDataset:
    """Images outside a model's training distribution.

    Args:
        name: For conditions and print.
        kind: Near or far.
        examples: The images; their labels are ignored.
        findings: Validity warnings about results on them.
    """

    name: str
    kind: OodKind
    examples: Examples
    findings: tuple[Finding, ...] = ()


def generated_datasets(known_classes: Sequence[str], size: tuple[int, int], n: int, seed: int) -> Iterator[OodDataset | Finding]:
    """Photograph crops and noise, which are far-OOD for every data set; a finding instead of the photographs where the model knows what they show.

    Args:
        known_classes: Names of the classes that the model knows.
        size: ``(H, W)`` of its images.
        n: Images in each data set.
        seed: Of the images.
    """
    shown = next((name for name in known_classes if set(re.findall(r"[a-z]+", name.lower())) & set(PHOTOGRAPHED)), None)
    for name, generator in IMAGE_GENERATORS.items():
        if name == PHOTOGRAPHS and shown is not None:
            message = f"the photographs of a flower and a palace were excluded: the model knows the class {shown!r}"
            yield Finding(KNOWN_CLASSES, message, "name a data set of your own")
            continue
        findings = (_two_photographs(n),) if name == PHOTOGRAPHS else ()
        yield OodDataset(name, OodKind.FAR, generate_examples(name, generator, size, n, seed), findings)


def _two_photographs(n: int) -> Finding:
    return Finding(
        "two-photographs",
        f"the {formatting.count(n)} photographs are crops of only two, so their interval is narrower than that of as many independent photographs",
        "name a data set of photographs that you expect in deployment",
    )


def ood_dataset(other_set: OtherSet, kind: OodKind, known_classes: Sequence[str], n: int, seed: int) -> OodDataset:
    """Images of another data set, restricted to classes that the model does not know.

    Args:
        other_set: The data set.
        kind: Near or far.
        known_classes: Names of the classes that the model knows.
        n: At most so many images.
        seed: Of the subset.

    Raises:
        DatasetError: It is unavailable.
        Unsupported: The model knows every one of its classes.
    """
    examples, taken = other_set.test(), {spelling for name in known_classes for spelling in _spellings(name)}
    shared = [i for i, name in enumerate(examples.class_names) if _spellings(name) & taken]
    name, findings = short_name(other_set.name), []
    if shared:
        kept = [example for example, label in zip(examples.ids, examples.labels.tolist(), strict=True) if label not in shared]
        if not kept:
            raise Unsupported(
                KNOWN_CLASSES, f"the model knows every class of {name}, which is therefore not out of distribution", "name a data set of other classes"
            )
        examples = examples.select(kept)
        message = f"{len(shared)} classes of {name} were excluded because the model knows them, the first being {examples.class_names[shared[0]]!r}"
        findings.append(Finding(KNOWN_CLASSES, message, "nothing, unless the name means something else in that data set"))
    if kind is OodKind.UNSORTED:
        hint = f"declare it: --set 'out_of_distribution.far=[{name}]', or near"
        findings.append(Finding("unsorted-set", f"{name} is declared neither near-OOD nor far-OOD, so it is excluded from both means", hint))
    return OodDataset(name, kind, examples.subset(n, seed), tuple(findings))


def short_name(reference: str) -> str:
    """A data set's name without its folder: ``cards/birds.yaml`` and ``imagefolder:/data/birds`` are both ``birds``."""
    name, _, _ = reference.partition("=")
    return PurePath(name.partition(":")[2] or name).name.removesuffix(".yaml").removesuffix(".yml")


def _spellings(name: str) -> set[str]:
    """The synonyms in a class name, normalised: ImageNet separates several by commas, and data sets differ in case and underscores."""
    return {" ".join(re.split(r"[\s_-]+", synonym.strip().lower())) for synonym in name.split(",")}
