"""What a ``transformers`` image processor does to images, in timm's terms."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficient360.errors import CheckpointError
from efficient360.models.sidecar import read_json

PROCESSOR = "preprocessor_config.json"
_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""PIL's resampling filters by number."""
_STANDARD = (0.5, 0.5, 0.5)


def processing_of(folder: Path, input_size: tuple[int, int, int]) -> tuple[dict[str, Any], str]:
    """The data configuration, in timm's terms, of a folder's ``preprocessor_config.json``, and where it is from.

    Args:
        folder: The model's folder; without the file, the defaults of ``ViTImageProcessor`` hold.
        input_size: ``(3, H, W)`` that the model takes.

    Raises:
        CheckpointError: A setting is malformed or has no counterpart.
    """
    path = folder / PROCESSOR
    if not path.is_file():
        return _translated({}, path, input_size), f"transformers' defaults, for there is no {PROCESSOR}"
    return _translated(read_json(path), path, input_size), PROCESSOR


def _translated(found: Mapping[str, Any], path: Path, input_size: tuple[int, int, int]) -> dict[str, Any]:
    factor = found.get("rescale_factor", 1 / 255)
    if not isinstance(factor, int | float) or abs(factor - 1 / 255) > 1e-9 or not found.get("do_rescale", True):
        raise CheckpointError(
            "transformers-setting", f"{path} scales pixels by {factor} instead of 1/255", "write a sidecar model.json with mean and std for pixels in [0, 1]"
        )
    filter_number = found.get("resample", 2)
    if filter_number not in _RESAMPLING:
        raise _wrong(path, "resample", filter_number, f"one of PIL's filters, {', '.join(str(n) for n in _RESAMPLING)},")
    normalised = bool(found.get("do_normalize", True))
    mean, std = (found.get("image_mean", _STANDARD), found.get("image_std", _STANDARD)) if normalised else ((0.0,) * 3, (1.0,) * 3)
    for key, values in (("image_mean", mean), ("image_std", std)):
        numbers = isinstance(values, list | tuple) and all(isinstance(v, int | float) and math.isfinite(v) for v in values)
        if not numbers or len(values) != 3 or (key == "image_std" and min(values) <= 0):
            raise _wrong(path, key, values, "one number for each of three channels")
    return {
        "input_size": input_size,
        "mean": tuple(float(v) for v in mean),
        "std": tuple(float(v) for v in std),
        "interpolation": _RESAMPLING[filter_number],
        **_crop(found, path, input_size[1]),
    }


def _crop(found: Mapping[str, Any], path: Path, height: int) -> dict[str, Any]:
    """Both sides given squash the image; the shortest edge keeps its shape; a centre crop cuts the model's size out of either."""
    size = found.get("size", height)
    # Older files give one number, which ViT's processor reads as both sides.
    sides: Mapping[str, Any] = {"height": size} if isinstance(size, int) else size if isinstance(size, Mapping) else {}
    shortest = sides.get("shortest_edge")
    resized = shortest if shortest is not None else sides.get("height")
    if not isinstance(resized, int) or resized < 1:
        raise _wrong(path, "size", size, 'pixels, {"height": …, "width": …} or {"shortest_edge": …}')
    kept = height if found.get("do_center_crop") else resized
    return {"crop_mode": "squash" if shortest is None else "center", "crop_pct": min(1.0, kept / resized)}


def _wrong(path: Path, key: str, value: Any, wanted: str) -> CheckpointError:
    return CheckpointError("transformers-setting", f"{path}: {key} is {value!r}, where {wanted} is wanted", "correct the file")
