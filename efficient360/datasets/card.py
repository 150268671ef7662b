"""A data set's card: where it comes from, its columns, classes, groups and licence. One YAML file each."""

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, final

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from efficient360.errors import DatasetError

_STRICT = ConfigDict(extra="forbid")


@final
@dataclass(frozen=True, config=_STRICT)
class Source:
    """Where the examples are.

    Args:
        kind: ``hub`` (Hugging Face), ``embedded``, ``parquet``, ``imagefolder``, or ``memory`` (given by a program).
        location: Repository id, embedded name, glob of files or folder.
        config: Configuration of a hub data set.
        revision: Branch, tag or commit of a hub data set.
    """

    kind: Literal["hub", "embedded", "parquet", "imagefolder", "memory"]
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
    split: str = "test"
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
        splits: Our split names (``train``, ``test``) to the source's own.
        evaluate: The split that is evaluated when none is asked for.
        image: Image column.
        label: Label column, integers or class names.
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
    splits: dict[str, str]
    evaluate: str = "test"
    image: str = "image"
    label: str = "label"
    classes: int = 0
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
    file = resources.files("efficient360.datasets").joinpath("cards", f"{name}.yaml")
    if not file.is_file():
        known = ", ".join(card_names())
        raise DatasetError(
            "unknown-dataset", f"there is no data set called {name!r}", f"known: {known}; or imagefolder:DIR, parquet:FILES, or a path to a card"
        )
    return parse_card(file.read_text(encoding="utf-8"), name)


def parse_card(text: str, origin: str) -> Card:
    """The card in a YAML text.

    Args:
        text: YAML.
        origin: What to call it in an error.

    Raises:
        DatasetError: Not YAML, an unknown key, a missing or ill-typed value.
    """
    try:
        data: Any = yaml.safe_load(text)
        return TypeAdapter(Card).validate_python(data)
    except yaml.YAMLError as error:
        raise DatasetError("bad-card", f"the data set card {origin} is not YAML: {' '.join(str(error).split())}", "mend the file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DatasetError("bad-card", f"the data set card {origin} is wrong at {where or 'its top'}: {first['msg']}", "see docs/datasets.md") from error
