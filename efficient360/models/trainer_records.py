"""What trainers write of a network beside its weights: options in the checkpoint itself (timm, DeiT, Lightning …) and timm's ``args.yaml``."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from timm.data import resolve_data_config

from efficient360.core.parsing import require_plain
from efficient360.core.paths import is_file
from efficient360.core.reading import Reader
from efficient360.errors import CheckpointError
from efficient360.models.sidecar import Sidecar, parse_sidecar

TIMM_OPTIONS: Final = "args.yaml"
_OPTIONS: Final = ("args", "hyper_parameters", "hparams", "config", "cfg", "opt", "opts")
"""Keys under which trainers keep their options."""
_NAMES: Final = (
    "model",
    "model_name",
    "arch",
    "architecture",
    "model_arch",
    "model_type",
    "backbone",
    "backbone_name",
    "encoder",
    "timm_model",
    "network",
    "net",
    "name",
)
_SIZES: Final = ("img_size", "image_size", "input_size", "imgsz", "resolution", "crop_size")
_CHANNELS: Final = ("in_chans", "in_channels", "chans", "num_channels")
_CLASSES: Final = ("class_names", "classes", "label_names", "class_to_idx", "idx_to_class", "id2label", "labels")
_LONGEST: Final = 100
_LARGEST: Final = 1e15
_MOST_CLASSES: Final = 100_000
_MOST_SIDE: Final = 4096
_MEASURED: Final = ("epoch", "global_step", "metric", "best_acc", "best_acc1", "best_metric", "acc", "val_acc", "max_accuracy", "pytorch-lightning_version")
_READER: Final = Reader(CheckpointError, "sidecar-invalid", "correct the file, or move it away")


def recorded(content: Any, known: Callable[[str], bool], defaults: Callable[[str], Mapping[str, Any]], origin: Path) -> Sidecar:
    """What a checkpoint's file itself says of its network. Empty where it says nothing.

    Args:
        content: What the file holds.
        known: Whether a library has an architecture of a name.
        defaults: What is usual for an architecture, in the terms of timm's pretrained configurations.
        origin: The file, for messages.
    """
    if not isinstance(content, Mapping):
        return Sidecar()
    options = [content, *_options(content)]
    named = next(((name, chosen) for chosen in options for name in _strings(chosen) if known(name)), None)
    card = {key: content[key] for key in _MEASURED if _is_short(content.get(key))}
    classes = next((names for chosen in options if (names := _class_names(chosen))), ())
    if named is None:
        return Sidecar(class_names=classes, card=card)
    architecture, told = named
    size = next((size for chosen in options for size in [_size(chosen)] if size), None)
    arguments = _arguments(options)
    if size:
        arguments = _fixed_size(arguments, size, defaults(architecture))
    read = {"architecture": architecture.partition(".")[0], "model_args": arguments, "class_names": list(classes) or None}
    values = {key: list(value) for key in ("mean", "std") if (value := _channel_values(told, key)) is not None}
    return parse_sidecar({**read, **({"input_size": [3, *size]} if size else {}), **values, **card}, origin)


def options_beside(weights: Path, defaults: Callable[[str], Mapping[str, Any]]) -> Sidecar:
    """What timm's training script wrote into ``args.yaml`` beside its checkpoints; empty where there is none.

    What its options leave open it trained with the architecture's own configuration, so those values are known, not assumed.

    Args:
        weights: A file of weights.
        defaults: timm's pretrained configuration of an architecture.

    Raises:
        CheckpointError: It can't be read.
    """
    path = weights.parent / TIMM_OPTIONS
    if not is_file(path):
        return Sidecar()
    options = _READER.from_yaml(_READER.read_text(path), path)
    if not isinstance(options, Mapping) or not isinstance(options.get("model"), str):
        return Sidecar()
    architecture = options["model"].partition(".")[0]
    arguments = _arguments([options])
    if isinstance(options.get("gp"), str):
        arguments["global_pool"] = options["gp"]
    try:
        config = resolve_data_config({key: value for key, value in options.items() if value is not None}, dict(defaults(options["model"])))
    except (AssertionError, TypeError, ValueError) as error:
        raise _READER.refuse(path, f"has an image size, mean or deviation that timm can't use: {error}") from error
    data = {key: config[key] for key in ("mean", "std", "interpolation", "crop_pct", "crop_mode")}
    data = {key: list(value) if isinstance(value, tuple) else value for key, value in data.items()}
    arguments = _fixed_size(arguments, config["input_size"][1:], defaults(options["model"]))
    told = {"input_size": [3, *config["input_size"][1:]], "preprocessing_source": f"{TIMM_OPTIONS} beside it, and {options['model']}'s configuration in timm"}
    return parse_sidecar({"architecture": architecture, "model_args": arguments, **data, **told}, path)


def _options(content: Mapping[Any, Any]) -> Iterator[Mapping[Any, Any]]:
    for key in _OPTIONS:
        if (options := _mapping(content.get(key))) is not None:
            yield options
            for inner in ("model", "net", "network", "backbone", "encoder", "data"):
                if (nested := _mapping(options.get(inner))) is not None:
                    yield nested


def _mapping(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, argparse.Namespace):
        return vars(value)
    return value if isinstance(value, Mapping) else None


def _strings(options: Mapping[Any, Any]) -> Iterator[str]:
    yield from (value for key in _NAMES if isinstance(value := options.get(key), str))


def _arguments(options: list[Mapping[Any, Any]]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for chosen in options:
        if (channels := next((chosen[key] for key in _CHANNELS if isinstance(chosen.get(key), int)), 3)) != 3:
            arguments.setdefault("in_chans", channels)
        for key in ("model_kwargs", "model_args"):
            given = _mapping(chosen.get(key))
            arguments |= {str(name): value for name, value in (given or {}).items() if name != "num_classes" and _is_plain(value)}
    return arguments


def _fixed_size(arguments: dict[str, Any], size: tuple[int, int], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the size of the images, where the architecture is built for one and its own is another."""
    usual = tuple(defaults.get("input_size") or (3, *size))[1:]
    if "img_size" in arguments or not defaults.get("fixed_input_size") or usual == tuple(size):
        return arguments
    return {**arguments, "img_size": size[0] if size[0] == size[1] else list(size)}


def _is_plain(value: Any) -> bool:
    """Whether a value could stand in a sidecar."""
    if not isinstance(value, bool | int | float | str | list | tuple | dict | None):
        return False
    try:
        require_plain(value)
    except ValueError:
        return False
    return True


def _is_short(value: Any) -> bool:
    """Whether a value is a finite number or a short text."""
    return (isinstance(value, str) and len(value) <= _LONGEST) or (isinstance(value, int | float) and abs(value) < _LARGEST)


def _size(options: Mapping[Any, Any]) -> tuple[int, int] | None:
    for key in _SIZES:
        value = options.get(key)
        sides = [value, value] if isinstance(value, int) else list(value)[-2:] if isinstance(value, list | tuple) and len(value) in (2, 3) else []
        if len(sides) == 2 and all(type(side) is int and 0 < side <= _MOST_SIDE for side in sides):
            return sides[0], sides[1]
    return None


def _channel_values(options: Mapping[Any, Any], key: str) -> tuple[float, ...] | None:
    value = options.get(key)
    if isinstance(value, list | tuple) and len(value) in (1, 3) and all(type(v) in (int, float) for v in value):
        return tuple(map(float, value)) * (3 if len(value) == 1 else 1)
    return None


def _class_names(options: Mapping[Any, Any]) -> tuple[str, ...]:
    for key in _CLASSES:
        value = options.get(key)
        if not isinstance(value, list | tuple | Mapping) or not 1 < len(value) <= _MOST_CLASSES or not _is_plain(value):
            continue
        if not isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
            return tuple(value)
        if isinstance(value, Mapping):
            pairs = list(value.items())
            forward = all(isinstance(name, str) and type(index) is int for name, index in pairs)
            back = all(str(index).isdecimal() and isinstance(name, str) for index, name in pairs)
            by_index = {index: name for name, index in pairs} if forward else {int(index): name for index, name in pairs} if back else {}
            if sorted(by_index) == list(range(len(pairs))):
                return tuple(by_index[index] for index in range(len(pairs)))
    return ()
