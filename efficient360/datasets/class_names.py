"""When two class names mean the same class: equal, equal but for case and spacing, or names of the same ImageNet synset."""

import importlib.util
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, final

IMAGENET_SIZES: Final = (1000, 11221, 11821, 21841, 21843)
"""Numbers of classes by which timm knows the ImageNet subsets."""
_SYNSET = re.compile(r"n\d{8}")
_PLACEHOLDER = re.compile(r"(?:label|class)[ _-]?(\d+)", re.IGNORECASE)


@final
@dataclass(frozen=True)
class CommonNames:
    """The names of both sides brought to a form in which they can be compared.

    Args:
        data: Of the data's classes, each different.
        outputs: Of the checkpoint's, each different.
        how: How, in words; ``""`` for equal names.
    """

    data: Sequence[str]
    outputs: Sequence[str]
    how: str


def common_names(data: Sequence[str], outputs: Sequence[str]) -> CommonNames | None:
    """The form in which one side's names are all among the other's; ``None`` where there is none."""
    for how, form in _FORMS:
        left, right = [form(name) for name in data], [form(name) for name in outputs]
        if None in left or None in right:
            continue
        ours, theirs = [str(name) for name in left], [str(name) for name in right]
        distinct = len(set(ours)) == len(ours) and len(set(theirs)) == len(theirs)
        if distinct and (set(ours) <= set(theirs) or set(theirs) <= set(ours)):
            return CommonNames(ours, theirs, how)
    return None


def are_placeholders(names: Sequence[str]) -> bool:
    """Whether names say nothing but their own index: ``LABEL_0``, ``LABEL_1`` … as Hugging Face writes them, or there are none."""
    numbers = [_PLACEHOLDER.fullmatch(name) for name in names]
    return all(match is not None and int(match[1]) == i for i, match in enumerate(numbers))


def spelling(name: str) -> str:
    """A name without what spelling varies in: case, spaces, hyphens, underscores, dots, Unicode form."""
    return re.sub(r"[\s_.\-]+", "", unicodedata.normalize("NFKC", name).casefold()) or name


def synset(name: str) -> str | None:
    """The ImageNet synset of a class name: the id itself, or the id of the one class that has this name; ``None`` where none or several have it."""
    if _SYNSET.fullmatch(name):
        return name
    return _synsets().get(spelling(name))


def is_synset(name: str) -> bool:
    """Whether a name is a WordNet id, as ImageNet's class folders are called."""
    return _SYNSET.fullmatch(name) is not None


def imagenet_1k() -> tuple[str, ...]:
    """ImageNet-1k's synset ids in the order of its outputs: timm's list, read without importing timm, which takes seconds."""
    folder = next(iter(getattr(importlib.util.find_spec("timm"), "submodule_search_locations", None) or ()), "")
    return tuple(Path(folder, "data", "_info", "imagenet_synsets.txt").read_text(encoding="utf-8").split())


def imagenet_synsets(classes: int) -> tuple[str, ...]:
    """Synset ids of an ImageNet subset in the order of a checkpoint's outputs; empty where no subset has that many classes."""
    from timm.data import ImageNetInfo

    subsets = dict(zip(IMAGENET_SIZES, ("imagenet-1k", "imagenet-21k-miil", "imagenet-12k", "imagenet-22k", "imagenet-21k-goog"), strict=True))
    return tuple(ImageNetInfo(subsets[classes]).label_names()) if classes in subsets else ()


@cache
def _synsets() -> dict[str, str]:
    """Synset by spelling of each of ImageNet-1k's names that only one class has."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    found: dict[str, set[str]] = {}
    for name in info.label_names():
        description = info.label_name_to_description(name)
        for lemma in (*description.split(","), description):
            found.setdefault(spelling(lemma), set()).add(name)
    return {lemma: next(iter(ids)) for lemma, ids in found.items() if len(ids) == 1}


def _itself(name: str) -> str:
    return name


_FORMS: Final[Sequence[tuple[str, Callable[[str], str | None]]]] = (
    ("", _itself),
    ("but for case, spaces and hyphens", spelling),
    ("by ImageNet synset", synset),
)
