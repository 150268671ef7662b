"""Constraints of settings, written in their annotations: ``bins: AtLeast1 = 15``, ``table: OneOf["auto", "cifar"]``.

Any constraint that pydantic knows will do. The ones here are those that many evaluators share.
"""

from collections.abc import Callable, Collection, Hashable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from efficient360.core.close_names import did_you_mean
from efficient360.core.paths import is_file

T = TypeVar("T", bound=Collection[Hashable])

LARGEST_SEED = 2**32 - 1
"""What NumPy, torch and scikit-learn all take as a seed, from 0 on."""

Count = Annotated[int, Field(ge=0)]
"""A whole number that may be 0."""
AtLeast1 = Annotated[int, Field(ge=1)]
"""A whole number of at least 1."""
AtLeast2 = Annotated[int, Field(ge=2)]
"""A whole number of at least 2: what a spread or a resampling needs."""
Positive = Annotated[float, Field(gt=0)]
"""A number above 0."""
Share = Annotated[float, Field(gt=0, le=1)]
"""A share: above 0 and at most 1."""
Level = Annotated[float, Field(gt=0, lt=1)]
"""A probability strictly between 0 and 1."""


def _each_once(values: T) -> T:
    if len(set(values)) < len(values):
        raise ValueError("name each once")
    return values


def _not_empty(values: T) -> T:
    if not values:
        raise ValueError("name at least one")
    return values


def _rising(values: tuple[float, ...]) -> tuple[float, ...]:
    if sorted(set(values)) != list(values):
        raise ValueError("give them in rising order, each once")
    return values


EachOnce = AfterValidator(_each_once)
"""Refuses a list that names something twice."""
NotEmpty = AfterValidator(_not_empty)
"""Refuses an empty list."""
Rising = AfterValidator(_rising)
"""Refuses numbers that do not increase strictly."""


def among(known: Callable[[], Collection[str]]) -> AfterValidator:
    """Refuses a text that is none of ``known()``, which is looked up only then."""

    def check(value: str) -> str:
        if value not in (names := known()):
            raise ValueError(did_you_mean(value, names, listed=f"known: {', '.join(names)}"))
        return value

    return AfterValidator(check)


def _file(value: str) -> str:
    if value and not is_file(Path(value)):
        raise ValueError("give the path of a file")
    return value


FileOrNone = Annotated[str, AfterValidator(_file)]
"""The path of a file that exists, or the empty text for none."""
