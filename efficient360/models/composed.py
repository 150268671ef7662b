"""Weights that lie in two places: a base of ``transformers``, and beside or apart from it what was trained on it, an adapter or a head."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from torch import Tensor

from efficient360.core.paths import entries, is_file, is_folder, user_path
from efficient360.core.reading import shown
from efficient360.errors import CheckpointError
from efficient360.models import adapters
from efficient360.models.hub import WEIGHTS, Repository, fetch, fetch_first
from efficient360.models.libraries.transformers_config import classifiers
from efficient360.models.libraries.transformers_import import has_transformers
from efficient360.models.shards import INDICES
from efficient360.models.sidecar import read_json

ALL_WEIGHTS: Final = (*WEIGHTS, *INDICES)
"""The usual names of a model's weights, the first that is there before the others."""
_HEAD: Final = re.compile(r"(.*[_.-])?(head|classifier|linear|linear_head|linear_probe|probe|fc)([_.-].*)?\.(safetensors|pth|pt|bin)")
_LAYER: Final = "classifier"
_MOST_TENSORS: Final = 2
Read = Callable[[Path], Mapping[str, Tensor]]


@final
@dataclass(frozen=True)
class Composed:
    """Weights in two places.

    Args:
        weights: What was trained: the file of an adapter or a head.
        base: Weights of the base.
        config: The base's ``config.json``.
        told: What was put together, for the report.
    """

    weights: Path
    base: Path
    config: Path
    told: str


def find_composed(path: Path) -> Composed | None:
    """What a folder, or a file, is composed of; ``None`` where it is no adapter and no head of a base without one.

    Raises:
        CheckpointError: An adapter of another kind than LoRA, or whose base is not on this machine.
    """
    folder = path if is_folder(path) else path.parent
    if adapters.is_adapter(folder) and (path == folder or path.name in adapters.WEIGHTS):
        weights = next(folder / name for name in adapters.WEIGHTS if is_file(folder / name))
        named = adapters.base_of(folder)
        config, base = _base(folder, named)
        return Composed(weights, base, config, f"LoRA adapter merged into {named}")
    base_file = next((folder / name for name in ALL_WEIGHTS if is_file(folder / name)), None)
    if base_file is None or not is_file(folder / "config.json"):
        return None
    heads = [path] if path != folder else sorted(p for p in entries(folder) if is_file(p))
    heads = [p for p in heads if _HEAD.fullmatch(p.name.lower()) and p != base_file]
    if len(heads) != 1 or not _is_headless(folder / "config.json"):
        return None
    return Composed(heads[0], base_file, folder / "config.json", f"the head {heads[0].name} on {base_file.name}")


def composed_tensors(composed: Composed, read: Read) -> dict[str, Tensor]:
    """All tensors of both places, those of an adapter under the names of its file with its scale multiplied in.

    Args:
        composed: From :func:`find_composed`.
        read: Reads one place.

    Raises:
        CheckpointError: A head that is more than one linear layer, or what ``read`` raises.
    """
    base, trained = read(composed.base), read(composed.weights)
    if composed.weights.name in adapters.WEIGHTS:
        return {**base, **adapters.scaled(composed.weights.parent, trained)}
    return {**base, **_as_classifier(trained, composed.weights)}


def head_rows(composed: Composed, read: Read) -> int | None:
    """Number of classes of the head that was trained on the base; ``None`` where the base's own is used."""
    tensors = read(composed.weights)
    if composed.weights.name not in adapters.WEIGHTS:
        return len(next(iter(_as_classifier(tensors, composed.weights).values())))
    rows = [len(t) for name, t in tensors.items() if "classifier" in name and name.endswith(".weight") and "lora_" not in name and t.ndim == 2]
    return rows[-1] if rows else None


def _as_classifier(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    weights = [tensor for tensor in tensors.values() if tensor.ndim == 2]
    biases = [tensor for tensor in tensors.values() if tensor.ndim == 1]
    if len(weights) != 1 or len(tensors) > _MOST_TENSORS or any(len(bias) != len(weights[0]) for bias in biases):
        shapes = ", ".join(f"{shown(name)} {tuple(tensor.shape)}" for name, tensor in list(tensors.items())[:3])
        raise CheckpointError("head-not-linear", f"{path} is no linear head: it holds {shapes}", "give the network with its head in one file")
    return {f"{_LAYER}.weight": weights[0], **{f"{_LAYER}.bias": bias for bias in biases}}


def _is_headless(config: Path) -> bool:
    """Whether a configuration is of a base model of transformers that has classifiers, without one."""
    data = read_json(config)
    named, kind = data.get("architectures"), data.get("model_type")
    if not isinstance(kind, str) or not isinstance(named, list) or not named or not has_transformers():
        return False
    known = classifiers()
    return kind in known.values() and isinstance(named[0], str) and named[0] not in known


def _base(folder: Path, named: str) -> tuple[Path, Path]:
    """Configuration and weights of an adapter's base: a folder by its path, or a repository in the local cache."""
    places = (user_path(named), folder / named, folder.parent / named)
    for place in places:
        weights = next((place / name for name in ALL_WEIGHTS if is_file(place / name)), None)
        if weights is not None and is_file(place / "config.json"):
            return place / "config.json", weights
    if named.count("/") == 1 and not named.startswith((".", "/", "~")):
        repository = Repository(named)
        config, cached = fetch(repository, "config.json"), fetch_first(repository, WEIGHTS)
        if config is not None and cached is not None:
            return config, cached
    message = f"the adapter {folder} was trained on {shown(named)}, which is no folder with config.json and weights here"
    raise CheckpointError("adapter-base-missing", message, f"put its base there, or write its path as base_model_name_or_path into {adapters.CONFIG}")
