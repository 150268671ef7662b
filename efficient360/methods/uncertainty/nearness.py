"""Whether a set of images is near to a data set or far from it, as OpenOOD has sorted the usual ones."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How like the in-distribution images a set is."""

    NEAR = "near"
    """Other classes of the same kind of picture."""
    FAR = "far"
    """Another kind of picture."""
    UNSORTED = "unsorted"
    """Nobody has said; it counts in no mean."""


_CIFAR10: Final = frozenset({"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"})
_CIFAR100: Final = frozenset({"aquarium_fish", "sweet_pepper", "willow_tree"})
_FAR_FROM_CIFAR: Final = frozenset({"digits", "dtd", "mnist", "places365", "svhn", "textures"})
_NEAR_IMAGENET: Final = frozenset({"ninco", "ssb-hard"})
_FAR_FROM_IMAGENET: Final = frozenset({"digits", "dtd", "inaturalist", "mnist", "openimage-o", "textures"})


def sorted_by_openood(name: str, class_names: Sequence[str]) -> Kind:
    """The kind of a set by its name, seen from a data set with these classes.

    Yang et al. 2022 (OpenOOD) for CIFAR-10 and CIFAR-100, Zhang et al. 2023 (OpenOOD v1.5) for ImageNet-1k; scikit-learn's digits stand with MNIST.

    Args:
        name: Name of the set.
        class_names: Classes of the data set that is evaluated.
    """
    near, far = _of(frozenset(class_names), len(class_names))
    if name in near:
        return Kind.NEAR
    return Kind.FAR if name in far else Kind.UNSORTED


def _of(classes: frozenset[str], count: int) -> tuple[frozenset[str], frozenset[str]]:
    if classes == _CIFAR10:
        return frozenset({"cifar100", "tiny-imagenet"}), _FAR_FROM_CIFAR
    if count == 100 and classes >= _CIFAR100:
        return frozenset({"cifar10", "tiny-imagenet"}), _FAR_FROM_CIFAR
    if count == 1000:
        return _NEAR_IMAGENET, _FAR_FROM_IMAGENET
    return frozenset(), frozenset()
