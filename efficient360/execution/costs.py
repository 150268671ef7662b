"""What each evaluator is known to cost: a recorded table, scaled by an evaluation's settings, its number of images and the model's speed. Imports no torch."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated, Any, Final, final

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass as checked_dataclass

from efficient360.core.parsing import parse_yaml

SPLIT: Final = "split"
"""In place of a setting: the number of evaluated images."""
_IMAGES: Final = ("examples", "images", "tested")
"""Settings that say how many images are taken: never more than there are, and all where they say nothing."""
_INSTALLED: Final = "installed"
"""In a list of runtimes: all that this machine has."""


@final
@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Cost:
    """What an evaluator took where it was recorded.

    Args:
        seconds: Apart from the model: processes, files, statistics.
        images: Images that the model could have answered in the rest of its time.
        times: Settings that both grow with, and their recorded values; of a list its length.
    """

    seconds: Annotated[float, Field(ge=0)]
    images: Annotated[float, Field(ge=0)]
    times: Mapping[str, Annotated[float, Field(gt=0)]] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Circumstances:
    """What an evaluator's cost depends on besides its settings.

    Args:
        images: Number of evaluated images; ``None`` without data.
        seconds_per_image: Of the model on this machine.
        runtimes: Number of runtimes installed here.
    """

    images: int | None
    seconds_per_image: float
    runtimes: int = 1


@functools.cache
def recorded() -> Mapping[str, Cost]:
    """The recorded cost of each evaluator that has one, by name."""
    text = resources.files("efficient360").joinpath("configs", "costs.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Cost]).validate_python(parse_yaml(text)["evaluators"])


def expected_seconds(cost: Cost, settings: Mapping[str, Any], around: Circumstances) -> float:
    """Seconds that an evaluator is expected to take.

    Args:
        cost: Its recorded cost.
        settings: Its settings; one that is left out counts as recorded.
        around: Data, model and machine.
    """
    factor = 1.0
    for name, then in cost.times.items():
        factor *= amount(name, settings.get(name, then), then, around) / then
    return factor * (cost.seconds + cost.images * around.seconds_per_image)


def amount(name: str, value: Any, then: float, around: Circumstances) -> float:
    """How much of a setting there is, above 0.

    Args:
        name: The setting, or :data:`SPLIT`.
        value: Its value.
        then: The amount where the value tells none.
        around: Data, model and machine.
    """
    if name == SPLIT:
        return around.images or then
    if isinstance(value, str):
        return 1.0
    if isinstance(value, list | tuple):
        return max(1.0, sum(around.runtimes if item == _INSTALLED else 1 for item in value))
    if name in _IMAGES and around.images is not None:
        return float(min(value or around.images, around.images))
    return float(value) if isinstance(value, int | float) and value > 0 else then
