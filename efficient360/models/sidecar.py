"""The card beside a weights file: architecture, arguments, preprocessing, classes, and what else it says."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from efficient360.errors import CheckpointError

PREPROCESSING = ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode")
INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "box", "hamming", "lanczos")
CROP_MODES = ("center", "squash", "border")
GENERIC_NAMES = ("model.json", "config.json")
_CLASSES = ("class_names", "label_names", "labels")
_OURS = (*PREPROCESSING, *_CLASSES, "name", "architecture", "model_args", "arguments", "num_classes", "pretrained_cfg")
# Where timm's configuration says how weights are fetched and adapted, which is no business of who reads the card.
_PLUMBING = ("url", "file", "hf_hub_id", "hf_hub_filename", "source", "custom_load", "state_dict", "first_conv", "classifier", "tag")


@final
@dataclass(frozen=True)
class Sidecar:
    """The metadata beside a weights file. Fields are empty where it says nothing.

    Args:
        name: Short display name.
        architecture: timm architecture.
        arguments: Keyword arguments for it.
        preprocessing: Some of timm's data configuration: ``input_size``, ``mean``, ``std``, ``interpolation``, ``crop_pct``, ``crop_mode``.
        num_classes: Number of classes.
        class_names: Name of each class.
        card: Everything else.
        assumed: Values among ``preprocessing`` that are defaults, which no file names.
    """

    name: str = ""
    architecture: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int | None = None
    class_names: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CheckpointError: It can't be read or holds no JSON object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError("sidecar-invalid", f"{path} can't be read: {error.strerror}", "check the path and its permissions") from error
    except ValueError as error:
        raise CheckpointError("sidecar-invalid", f"{path} is not valid JSON: {error}", "correct the file, or move it away") from error
    if not isinstance(data, dict):
        raise CheckpointError("sidecar-invalid", f"{path} holds a JSON {type(data).__name__}, not an object", 'write {"architecture": …, "model_args": {…}, …}')
    return data


def find_sidecar(weights: Path) -> Path | None:
    """``STEM.json``, ``model.json`` or ``config.json`` beside a weights file, the first that is there."""
    stem = weights.name.removesuffix(weights.suffix)
    names = (f"{stem}.json", f"{stem.removesuffix('.pth')}.json", *GENERIC_NAMES)
    return next((weights.parent / name for name in names if (weights.parent / name).is_file()), None)


def parse_sidecar(data: Mapping[str, Any], origin: Path) -> Sidecar:
    """The sidecar in a JSON object of this project's format or of timm's ``config.json``.

    Raises:
        CheckpointError: A field has a value of the wrong kind.
    """
    inner = data.get("pretrained_cfg") or {}
    if not isinstance(inner, Mapping):
        raise _wrong(origin, "pretrained_cfg", inner, "an object")
    merged = {**inner, **{key: value for key, value in data.items() if value is not None}}
    architecture = merged.get("architecture") or ""
    if not isinstance(architecture, str):
        raise _wrong(origin, "architecture", architecture, "a timm name")
    arguments = data.get("model_args") or data.get("arguments") or {}
    if not isinstance(arguments, Mapping):
        raise _wrong(origin, "model_args", arguments, "an object")
    num_classes = merged.get("num_classes", arguments.get("num_classes"))
    if num_classes is not None and not (isinstance(num_classes, int) and not isinstance(num_classes, bool) and num_classes >= 0):
        raise _wrong(origin, "num_classes", num_classes, "a whole number")
    if num_classes is not None and arguments.get("num_classes", num_classes) != num_classes:
        raise CheckpointError(
            "sidecar-invalid", f"{origin} contradicts itself: num_classes is {num_classes}, in model_args {arguments['num_classes']}", "correct one of them"
        )
    extra = {**{k: v for k, v in inner.items() if k not in _PLUMBING}, **data}
    return Sidecar(
        name=str(data.get("name") or ""),
        architecture=architecture,
        arguments={**_implied(inner, origin), **arguments},
        preprocessing=_preprocessing(merged, origin),
        num_classes=num_classes,
        class_names=_class_names(merged, origin),
        card={key: value for key, value in extra.items() if key not in _OURS and value is not None},
    )


def _implied(pretrained: Mapping[str, Any], origin: Path) -> dict[str, Any]:
    """The arguments that ``timm.create_model`` itself takes from a pretrained configuration."""
    implied: dict[str, Any] = {}
    size = _preprocessing(pretrained, origin).get("input_size")
    if pretrained.get("fixed_input_size") and size is not None:
        implied["img_size"] = [*size[1:]]
    if pretrained.get("global_pool") is not None:
        implied["global_pool"] = pretrained["global_pool"]
    return implied


def _preprocessing(data: Mapping[str, Any], origin: Path) -> dict[str, Any]:
    config: dict[str, Any] = {key: data[key] for key in PREPROCESSING if data.get(key) is not None}
    size = config.get("input_size")
    if size is not None:
        if not (isinstance(size, list | tuple) and len(size) == 3 and all(isinstance(s, int) and s > 0 for s in size)):
            raise _wrong(origin, "input_size", size, "[channels, height, width]")
        config["input_size"] = tuple(size)
    for key in ("mean", "std"):
        values = config.get(key)
        if values is None:
            continue
        numbers = isinstance(values, list | tuple) and values and all(isinstance(v, int | float) and math.isfinite(v) for v in values)
        if not numbers or (key == "std" and min(values) <= 0):
            raise _wrong(origin, key, values, "one number a channel" + (", all above 0" if key == "std" else ""))
        config[key] = tuple(float(v) for v in values)
    share = config.get("crop_pct")
    if share is not None and not (isinstance(share, int | float) and 0 < share <= 1):
        raise _wrong(origin, "crop_pct", share, "a share in (0, 1]")
    for key, known in (("interpolation", INTERPOLATIONS), ("crop_mode", CROP_MODES)):
        if key in config and config[key] not in known:
            raise _wrong(origin, key, config[key], f"one of {', '.join(known)}")
    return config


def _class_names(data: Mapping[str, Any], origin: Path) -> tuple[str, ...]:
    names = next((data[key] for key in _CLASSES if data.get(key)), ())
    if isinstance(names, Mapping):
        # Hugging Face writes {"0": "cat", "1": "dog"}.
        try:
            names = [names[key] for key in sorted(names, key=int)]
        except (TypeError, ValueError):
            raise _wrong(origin, "class_names", names, "a list of names") from None
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise _wrong(origin, "class_names", names, "a list of names")
    return tuple(names)


def _wrong(origin: Path, key: str, value: Any, wanted: str) -> CheckpointError:
    return CheckpointError("sidecar-invalid", f"{origin}: {key} is {value!r}, where {wanted} is wanted", "correct the file")
