"""Which models: a zoo's YAML, the name of a built-in one, or references one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from efficient360.core.paths import exists, user_path
from efficient360.core.reading import MEBIBYTE, Reader
from efficient360.errors import SettingsError
from efficient360.models.checkpoint import CheckpointSpec


class Family(StrEnum):
    """What a network is made of, as its zoo says."""

    VIT = "vit"
    HYBRID = "hybrid"
    CNN = "cnn"
    UNKNOWN = "unknown"


@final
@dataclass(frozen=True)
class ZooEntry:
    """One model of a matrix.

    Args:
        name: What its row is called, unique within a zoo.
        spec: Its checkpoint.
        family: What it is made of.
    """

    name: str
    spec: CheckpointSpec
    family: Family


@final
class _ZooModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    reference: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    family: Family = Family.UNKNOWN
    architecture: str = ""
    arguments: dict[str, Any] = {}
    random_weights: Annotated[bool, Field(strict=True)] = False
    output: str = ""
    preprocessing: dict[str, Any] = {}


@final
class _ZooFile(BaseModel):
    """What a zoo's YAML holds."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    description: str = ""
    models: Annotated[list[_ZooModel], Field(min_length=1, max_length=10_000)]


_ZOO: Final = TypeAdapter(_ZooFile)
_READER: Final = Reader(
    SettingsError,
    "bad-zoo",
    f"write models: [{{name: resnet18, random_weights: true}}, …]; a model's keys are: {', '.join(_ZooModel.model_fields)}",
    "zoo",
    MEBIBYTE,
)


def zoo_names() -> list[str]:
    """Names of the built-in zoos."""
    files = resources.files("efficient360").joinpath("configs", "zoos").iterdir()
    return sorted(Path(str(file)).stem for file in files if str(file).endswith(".yaml"))


def read_models(text: str, random_weights: bool, seed: int) -> list[ZooEntry]:
    """The models of what was typed for ``--models``.

    Args:
        text: Parts with commas between them; each a ``.yaml`` file, the name of a built-in zoo, or any reference to a checkpoint.
        random_weights: Whether references that stand outside a zoo are built with random weights.
        seed: Seed of random weights.

    Raises:
        SettingsError: No models, the same name twice, or a zoo that can't be read.
    """
    entries: list[ZooEntry] = []
    for part in (part.strip() for part in text.split(",")):
        if part.endswith((".yaml", ".yml")):
            entries += _from_file(user_path(part), seed)
        elif part in zoo_names():
            file = resources.files("efficient360").joinpath("configs", "zoos", f"{part}.yaml")
            entries += parse_zoo(file.read_text(encoding="utf-8"), part, seed)
        elif part:
            entries.append(ZooEntry(part, CheckpointSpec(part, random_weights=random_weights, seed=seed), Family.UNKNOWN))
    if not entries:
        raise SettingsError("no-models", f"--models {text!r} names no model", f"give a zoo ({', '.join(zoo_names())}), a YAML file, or names with commas")
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError("model-twice", f"the model {twice[0]!r} is named twice", "name it once, or give the second another name in a zoo file")
    return entries


def parse_zoo(text: str, origin: str, seed: int) -> list[ZooEntry]:
    """The models in a YAML text. Unknown keys are errors.

    Raises:
        SettingsError: It is not YAML, or an entry is not as ``configs/zoos/mobile.yaml`` shows.
    """
    data = _READER.validate(_ZOO, _READER.from_yaml(text, origin), origin)
    return [_entry(model, seed) for model in data.models]


def _from_file(path: Path, seed: int) -> Sequence[ZooEntry]:
    if not exists(path):
        raise SettingsError("no-zoo-file", f"there is no zoo file {path}", f"check the path, or take a built-in zoo: {', '.join(zoo_names())}")
    return parse_zoo(_READER.read_text(path), str(path), seed)


def _entry(model: _ZooModel, seed: int) -> ZooEntry:
    reference = model.name if model.reference is None else model.reference
    spec = CheckpointSpec(
        reference,
        model.architecture,
        model.arguments,
        random_weights=model.random_weights,
        seed=seed,
        output=model.output,
        preprocessing=model.preprocessing,
    )
    return ZooEntry(model.name, spec, model.family)
