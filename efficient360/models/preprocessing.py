"""Image preprocessing of a checkpoint: the user's values, then the sidecar's, then the library's configuration of the architecture."""

from collections.abc import Mapping
from typing import Any, Final

from timm.data import resolve_data_config
from torch import nn

from efficient360.core.reading import shown
from efficient360.errors import CheckpointError
from efficient360.models.architectures import default_config
from efficient360.models.checkpoint import CheckpointSpec, Preprocessing
from efficient360.models.greyscale import grey_values
from efficient360.models.libraries.catalogue import library_of
from efficient360.models.sidecar import MOST_PIXELS, Sidecar, preprocessing_values

SMALL: Final = 96
"""Pixels a side of images that are not cropped where nothing says so."""


def preprocessing_of(architecture: str, sidecar: Sidecar, spec: CheckpointSpec) -> Preprocessing:
    """The evaluation data config of the library under the sidecar's and the user's values; ``img_size`` among the user's arguments decides the size.

    Raises:
        CheckpointError: The images aren't RGB, or ``img_size`` is no size, or the user's values are none.
    """
    typed = preprocessing_values(spec.preprocessing, "the preprocessing given")
    config = resolve_data_config(pretrained_cfg={"architecture": architecture, **_defaults(architecture), **sidecar.preprocessing, **typed})
    channels, *sides = config["input_size"]
    channels = {**sidecar.arguments, **spec.arguments}.get("in_chans", channels)
    mean, std = (tuple(config[key]) * (3 if len(config[key]) == 1 else 1) for key in ("mean", "std"))
    if channels not in (1, 3) or len(mean) != 3 or len(std) != 3:
        message = f"{spec.reference} takes images of {channels} channels"
        raise CheckpointError("not-rgb", message, "give a network for RGB images, or for one channel, which gets their luminance (--arch-arg in_chans=1)")
    sidecar_size = None if "input_size" in sidecar.preprocessing else _size_among(sidecar.arguments)
    size = None if "input_size" in typed else _size_among(spec.arguments) or sidecar_size
    height, width = tuple(sides) if size is None else _sides(size)
    whole = Preprocessing((3, height, width), mean, std, config["interpolation"], float(config["crop_pct"]), config["crop_mode"])
    return grey_values(whole) if channels == 1 else whole


def _defaults(architecture: str) -> dict[str, Any]:
    """What is usual for the architecture; a user's file names values as a user does."""
    config = default_config(architecture)
    return config if not library_of(architecture).source(architecture) else _of_small_images(preprocessing_values(config, architecture))


def _of_small_images(values: dict[str, Any]) -> dict[str, Any]:
    """With nothing cropped off images as small as CIFAR's or Tiny ImageNet's, where no crop is named."""
    return {"crop_pct": 1.0, **values} if "input_size" in values and max(values["input_size"][1:]) <= SMALL else values


def assumed_values(architecture: str, sidecar: Sidecar, spec: CheckpointSpec) -> tuple[str, ...]:
    """Values of the preprocessing that neither the sidecar, the user nor the user's own file names: defaults, which its training may not have used."""
    sized = _size_among(spec.arguments) is not None or _size_among(sidecar.arguments) is not None
    own = default_config(architecture) if library_of(architecture).source(architecture) else {}
    named = {*sidecar.preprocessing, *(["input_size"] if sized else [])} - set(sidecar.assumed) | {*own, *spec.preprocessing}
    return tuple(name for name in ("input_size", "mean", "std", "interpolation", "crop_pct") if name not in named)


def preprocessing_of_timm(network: nn.Module) -> Preprocessing | None:
    """The evaluation data config that a network built by timm carries; ``None`` for any other."""
    config = getattr(network, "pretrained_cfg", None)
    if not isinstance(config, dict) or "input_size" not in config:
        return None
    resolved = resolve_data_config(model=network)
    size = getattr(getattr(network, "patch_embed", None), "img_size", None) or resolved["input_size"][1:]
    return Preprocessing(
        input_size=(3, int(size[0]), int(size[1])),
        mean=tuple(resolved["mean"]),
        std=tuple(resolved["std"]),
        interpolation=resolved["interpolation"],
        crop_pct=float(resolved["crop_pct"]),
        crop_mode=resolved["crop_mode"],
    )


def require_input_size(network: nn.Module, preprocessing: Preprocessing, spec: CheckpointSpec) -> None:
    """Check that a network with a fixed image size has the size of its preprocessing.

    Raises:
        CheckpointError: The sizes differ.
    """
    embed: Any = getattr(network, "patch_embed", None)
    built = getattr(embed, "img_size", None)
    if not built or not getattr(embed, "strict_img_size", True):
        return
    if tuple(built) != preprocessing.input_size[1:]:
        height, width = preprocessing.input_size[1:]
        raise CheckpointError(
            "input-size-mismatch",
            f"{spec.reference}: images are prepared at {height} x {width}, the network is built for {built[0]} x {built[1]}",
            "give input_size and model_args' img_size the same size in the sidecar",
        )


def _size_among(arguments: Mapping[str, Any]) -> Any:
    """The image size among an architecture's arguments, ``None`` where there is none: timm says ``img_size``, torchvision and others ``image_size``."""
    return arguments.get("img_size", arguments.get("image_size"))


def _sides(size: Any) -> tuple[int, int]:
    both = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else ()
    if len(both) != 2 or not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in both) or both[0] * both[1] > MOST_PIXELS:
        wanted = f"a number of pixels, at most {MOST_PIXELS:,} in all,"
        raise CheckpointError("architecture-arguments", f"img_size is {shown(size)}, where {wanted} is wanted", "--arch-arg img_size=224")
    return int(both[0]), int(both[1])
