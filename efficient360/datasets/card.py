"""A data set's card: where it comes from, its columns, classes, groups and licence. One YAML file each."""

import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal, final

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from efficient360.core.close_names import did_you_mean
from efficient360.core.reading import MEBIBYTE, Reader
from efficient360.errors import DatasetError

_STRICT = ConfigDict(extra="forbid")


def _split_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w .+%:=\[\]-]{0,99}", name):
        raise ValueError("the name of a split, without / and *,")
    return name


SplitName = Annotated[str, AfterValidator(_split_name)]
"""A split's name, which becomes part of the names of files that are looked for: no path and no pattern."""


SourceKind = Literal["hub", "embedded", "parquet", "imagefolder", "memory", "imagenet", "manifest", "webdataset", "save_to_disk", "torchvision", "npz"]


@final
@dataclass(frozen=True, config=_STRICT)
class Source:
    """Where the examples are.

    Args:
        kind: ``hub`` (Hugging Face), ``embedded``, ``memory`` (given by a program), or one of the layouts: ``imagefolder``, ``imagenet``, ``parquet``,
            ``manifest``, ``webdataset``, ``save_to_disk``, ``torchvision``, ``npz``.
        location: Repository id, embedded name, glob of files or folder.
        config: Configuration of a hub data set.
        revision: Branch, tag or commit of a hub data set.
    """

    kind: SourceKind
    location: str
    config: str | None = None
    revision: str = "main"


@final
@dataclass(frozen=True, config=_STRICT)
class Shift:
    """A shifted version of the test set: new pictures of its classes, or its own pictures changed.

    Args:
        name: What the user types, and the condition of its measurements.
        title: What it is called in print.
        source: Where the examples are.
        split: The source's own name of the split.
        image: Image column.
        label: Label column, integers or names.
        classes: The data set's class of each of the shifted set's own labels, in their order; empty when its labels are the data set's.
        labels: Names of its own labels in that order, where the label column holds names other than the data set's.
        where: Value of a column that a row must have to belong to it.
        license: SPDX name or what the owners say.
        citation: Paper that describes it.
        notes: What a reader should know before trusting a number on it.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    title: str
    source: Source
    split: SplitName = "test"
    image: str = "image"
    label: str = "label"
    classes: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    where: dict[str, str | int] | None = None
    license: str = ""
    citation: str = ""
    notes: str = ""


@final
@dataclass(frozen=True, config=_STRICT)
class Card:
    """What is known of a data set before it is opened.

    Args:
        name: What the user types.
        title: What it is called in print.
        source: Where the examples are.
        splits: Our split names (``train``, ``test``) to the source's own; empty for a folder that is not divided into splits.
        evaluate: The split that is evaluated when none is asked for.
        image: Image column; ``""`` finds it.
        label: Label column, integers or class names; ``""`` finds it.
        classes: Number of classes, 0 when only opening it tells.
        groups: Group columns for fairness.
        group_values: Names of a group column's integer values where the source doesn't name them.
        imagenet_classes: Index of each class among ImageNet-1k's, so that a 1000-class checkpoint can be evaluated on it.
        shifts: Shifted versions of its test set.
        license: SPDX name or what the owners say.
        citation: Paper that describes it.
        notes: What a reader should know before trusting a number on it.
    """

    name: str
    title: str
    source: Source
    splits: dict[SplitName, SplitName | Literal[""]]
    evaluate: str = "test"
    image: str = "image"
    label: str = "label"
    classes: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    groups: tuple[str, ...] = ()
    group_values: dict[str, tuple[str, ...]] | None = None
    imagenet_classes: tuple[int, ...] = ()
    shifts: tuple[Shift, ...] = ()
    license: str = ""
    citation: str = ""
    notes: str = ""


def card_names() -> list[str]:
    """Names of the data sets that have a card, sorted."""
    return sorted(Path(str(f)).stem for f in resources.files("efficient360.datasets").joinpath("cards").iterdir() if str(f).endswith(".yaml"))


def read_card(name: str) -> Card:
    """The card of a data set by name.

    Raises:
        DatasetError: No such card, or a card that doesn't validate.
    """
    if name not in card_names():
        hint = did_you_mean(name, card_names(), "or KIND:PATH (efficient360 list datasets), or a path to a card")
        raise DatasetError("unknown-dataset", f"there is no data set called {name!r}", hint)
    file = resources.files("efficient360.datasets").joinpath("cards", f"{name}.yaml")
    return parse_card(file.read_text(encoding="utf-8"), name)


def read_card_file(path: Path) -> Card:
    """The card in a YAML file.

    Raises:
        DatasetError: It can't be read, or a card that doesn't validate.
    """
    return parse_card(_READER.read_text(path), str(path))


def parse_card(text: str, origin: str) -> Card:
    """The card in a YAML text.

    Args:
        text: YAML.
        origin: What to call it in an error.

    Raises:
        DatasetError: Not YAML, an unknown key, a missing or ill-typed value.
    """
    return _READER.validate(_CARD, _READER.from_yaml(text, origin), origin)


_CARD: Final = TypeAdapter(Card)
_READER: Final = Reader(DatasetError, "bad-card", "see docs/datasets.md", "data set card", MEBIBYTE)
