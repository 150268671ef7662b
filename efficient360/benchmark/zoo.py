"""Which models: a zoo's YAML, the name of a built-in one, or references one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any, final

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


KEYS = ("name", "reference", "family", "architecture", "arguments", "random_weights")


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
            entries += _from_file(Path(part), seed)
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
    import yaml

    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError("bad-zoo", f"the zoo {origin} is not YAML: {' '.join(str(error).split())}", "mend the file") from error
    if not isinstance(data, dict) or not isinstance(data.get("models"), list) or not data["models"]:
        raise SettingsError("bad-zoo", f"the zoo {origin} lists no models", "give it a list called models: [{name: resnet18, random_weights: true}]")
    if unknown := sorted(set(data) - {"name", "description", "models"}):
        raise SettingsError("bad-zoo", f"the zoo {origin} has an unknown key {unknown[0]!r}", "its keys are: name, description, models")
    return [_entry(item, origin, seed) for item in data["models"]]


def _from_file(path: Path, seed: int) -> Sequence[ZooEntry]:
    if not path.is_file():
        raise SettingsError("no-zoo-file", f"there is no zoo file {path}", f"check the path, or take a built-in zoo: {', '.join(zoo_names())}")
    return parse_zoo(path.read_text(encoding="utf-8"), str(path), seed)


def _entry(item: Any, origin: str, seed: int) -> ZooEntry:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
        raise SettingsError("bad-zoo", f"the zoo {origin} has a model without a name: {item!r}", "write it as {name: resnet18, random_weights: true}")
    name = item["name"]
    if unknown := sorted(set(item) - set(KEYS)):
        raise SettingsError("bad-zoo", f"the model {name} in {origin} has an unknown key {unknown[0]!r}", f"its keys are: {', '.join(KEYS)}")
    family = item.get("family", Family.UNKNOWN.value)
    if family not in {f.value for f in Family}:
        raise SettingsError("bad-zoo", f"the family of {name} in {origin} is {family!r}", f"it is one of {', '.join(f.value for f in Family)}")
    arguments, random_weights = item.get("arguments", {}), item.get("random_weights", False)
    if not isinstance(arguments, dict) or not isinstance(random_weights, bool):
        raise SettingsError("bad-zoo", f"the model {name} in {origin} is written wrongly", "arguments is a mapping, random_weights is true or false")
    spec = CheckpointSpec(str(item.get("reference", name)), str(item.get("architecture", "")), arguments, random_weights=random_weights, seed=seed)
    return ZooEntry(name, spec, Family(family))
