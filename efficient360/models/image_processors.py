"""An image processor of ``transformers`` as preprocessing: its geometry as the library does it, its normalisation as a mean and a deviation."""

import functools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter

from efficient360.core.paths import exists
from efficient360.core.reading import Reader, in_words, shown
from efficient360.errors import CheckpointError
from efficient360.models.libraries.transformers_import import require_transformers
from efficient360.models.sidecar import Number, read_json

FILES: Final = ("processor_config.json", "preprocessor_config.json")
"""Where a processor is written, the first that has one; in the former under ``image_processor``."""
RESAMPLING: Final = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""PIL's resampling filters by number."""
_TRAINERS: Final = re.compile(r"checkpoint-\d+")
_LONGEST_SIDE: Final = 4096
_RATIO: Final = 10
"""How many times larger the largest side that a processor names may be than the smallest: it crops or pads one to the other."""
_PROBES: Final = ((40, 40), (40, 80), (97, 64))
"""Heights and widths of the images on which a processor is looked at."""
_OFF: Final = ("do_rescale", "do_normalize", "rescale_offset", "include_top", "do_flip_channel_order")
"""What isn't geometry, switched off for it."""

_READER: Final = Reader(CheckpointError, "transformers-setting", "correct the file", "image processor")
Pixels = Callable[[Image.Image], NDArray[np.uint8]]


_Side = Annotated[int, Field(strict=True, ge=1, le=_LONGEST_SIDE)]
_Size = Annotated[
    _Side | Annotated[dict[str, _Side | None], Field(min_length=1, max_length=6)], in_words(f"pixels from 1 to {_LONGEST_SIDE:,}, or an object of such,")
]
"""One number is the shortest edge to some classes, both sides to others."""
_Means = Annotated[list[Number], Field(min_length=3, max_length=3)]
_Deviations = Annotated[list[Annotated[Number, Field(gt=0)]], Field(min_length=3, max_length=3)]


@final
class _Settings(BaseModel):
    """What of a processor's file decides over pixels; a field that is not there, or null, takes the default of the processor's class."""

    do_resize: bool | None = None
    size: _Size | None = None
    resample: Annotated[int, Field(strict=True, ge=0, le=5)] | None = None
    do_center_crop: bool | None = None
    crop_size: _Size | None = None
    crop_pct: Annotated[float, Field(ge=0.1, le=1)] | None = None
    do_rescale: bool | None = None
    rescale_factor: Annotated[Number, Field(gt=0)] | None = None
    rescale_offset: bool | None = None
    include_top: bool | None = None
    do_normalize: bool | None = None
    image_mean: _Means | None = None
    image_std: _Deviations | None = None
    do_pad: bool | None = None
    pad_size: _Size | None = None
    do_flip_channel_order: bool | None = None
    size_divisor: Annotated[int, Field(ge=1, le=_LONGEST_SIDE)] | None = None
    do_align_long_axis: bool | None = None
    do_thumbnail: bool | None = None
    resize_short: Annotated[int, Field(ge=1, le=_LONGEST_SIDE)] | None = None


def _proportionate(settings: _Settings) -> _Settings:
    sizes = (settings.size, settings.crop_size, settings.pad_size)
    sides = [side for size in sizes if size for side in ([size] if isinstance(size, int) else size.values()) if side]
    if sides and max(sides) > _RATIO * min(sides):
        raise ValueError(f"sizes that differ at most {_RATIO} times")
    return settings


_SETTINGS: Final = TypeAdapter(Annotated[_Settings, AfterValidator(_proportionate)])


def find_processor(*folders: Path) -> tuple[Path, Mapping[str, Any]] | None:
    """The file of an image processor in the first of several folders that has one, and what it says; ``None`` where none has.

    A trainer leaves it in the folder above its ``checkpoint-500``, which is looked into after that.

    Raises:
        CheckpointError: It can't be read.
    """
    places = [place for folder in folders for place in ((folder, folder.parent) if _TRAINERS.fullmatch(folder.name) else (folder,))]
    for path in (place / name for place in places for name in FILES):
        if exists(path):
            data = read_json(path)
            inner = data.get("image_processor", data) if path.name == FILES[0] else data
            if isinstance(inner, Mapping) and (path.name != FILES[0] or "image_processor" in data):
                return path, inner
    return None


def preprocessing_from(data: Mapping[str, Any], origin: object, model_type: str, image_size: tuple[int, int] | None) -> dict[str, Any]:
    """The preprocessing of a processor: the nearest of timm's terms, and the processor itself, which brings images to their size.

    Args:
        data: What the processor's file holds; empty for the defaults of the model's type, at the model's own image size.
        origin: That file, for messages.
        model_type: Type of the model, whose usual processor is taken where the file names none.
        image_size: Height and width that the model takes, where its configuration says so.

    Returns:
        ``input_size``, ``mean``, ``std``, ``interpolation``, ``crop_pct``, ``crop_mode``; ``processor``, see :func:`pixels_of`, where there is a file;
        ``channel_order`` ``"bgr"`` where the network takes blue first.

    Raises:
        CheckpointError: A setting is malformed; the processor makes no images of one size, or does something to their values that is no normalisation.
    """
    settings = _READER.validate(_SETTINGS, data, origin).model_dump(exclude_none=True)
    name = _class_name(data, model_type, origin)
    try:
        processor = _build(name, settings)
        return _described(processor, name, settings, bool(data), image_size, origin)
    except CheckpointError:
        raise
    except Exception as error:  # All that is called is the library's, with settings that came from outside.
        raise _READER.refuse(origin, f": {name} can't be used with it ({type(error).__name__}: {' '.join(str(error).split())[:160]})") from error


def pixels_of(processor: str) -> Pixels:
    """The geometry of a processor: from an RGB image to uint8 ``(3, H, W)``, without scaling, normalisation and change of the channels' order.

    Args:
        processor: A JSON object ``{"type": class, "settings": {…}}``, as :func:`preprocessing_from` returns it.

    Raises:
        CheckpointError: It names no processor, or holds a malformed setting.
    """
    entry = _READER.from_json(processor, "the processor")
    settings = _READER.validate(_SETTINGS, entry.get("settings"), "the processor").model_dump(exclude_none=True)
    return _geometry(_build(_class_name({"image_processor_type": entry.get("type")}, "", "the processor"), settings))


def _geometry(processor: Any) -> Pixels:
    off = {key: False for key in _OFF if key in type(processor).valid_kwargs.__annotations__}

    def pixels(image: Image.Image) -> NDArray[np.uint8]:
        made = processor(image, return_tensors="pt", **off)["pixel_values"][0]
        return torch.as_tensor(made).round().clamp(0, 255).to(torch.uint8).numpy()

    return pixels


def _described(processor: Any, name: str, settings: Mapping[str, Any], given: bool, image_size: tuple[int, int] | None, origin: object) -> dict[str, Any]:
    pixels = _geometry(processor)
    shapes = {pixels(Image.new("RGB", (width, height))).shape for height, width in _PROBES}
    if len(shapes) == 1:
        size = shapes.pop()
    elif image_size is not None:
        size = (3, *image_size)  # it takes images that are of the model's size already
    else:
        raise _READER.refuse(origin, f": {name} makes images of several sizes, {' and '.join('x'.join(map(str, s[1:])) for s in sorted(shapes)[:2])}")
    mean, std = _normalisation(processor)
    described: dict[str, Any] = {"input_size": size, "mean": mean, "std": std, "interpolation": RESAMPLING[int(processor.resample or 0)]}
    if getattr(processor, "do_flip_channel_order", None):
        described["channel_order"] = "bgr"
    _require_normalisation(processor, pixels, described, origin)
    described |= _nearest(pixels)
    if not given:
        return {**described, "input_size": size if image_size is None else (3, *image_size)}
    return {**described, "processor": json.dumps({"type": name, "settings": settings}, sort_keys=True, separators=(",", ":"))}


def _normalisation(processor: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation for pixels in [0, 1] that come to the same as the processor's scaling and normalisation of pixels up to 255."""
    scale = 255.0 * processor.rescale_factor if processor.do_rescale else 255.0
    scale = 1.0 if abs(scale - 1.0) < 1e-9 else scale
    shift = 1.0 if processor.do_rescale and getattr(processor, "rescale_offset", False) else 0.0
    mean, std = (tuple(processor.image_mean), tuple(processor.image_std)) if processor.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    again = tuple(processor.image_std) if getattr(processor, "include_top", False) else (1.0,) * 3
    return tuple((m + shift) / scale for m in mean), tuple(s * a / scale for s, a in zip(std, again, strict=True))


def _require_normalisation(processor: Any, pixels: Pixels, described: Mapping[str, Any], origin: object) -> None:
    """Hold what was read off the processor against what it makes of an image."""
    _, height, width = described["input_size"]
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    theirs = torch.as_tensor(processor(image, return_tensors="pt")["pixel_values"][0]).float()
    mean, std = (torch.tensor(described[key]).view(3, 1, 1) for key in ("mean", "std"))
    ours = (torch.from_numpy(pixels(image)).float() / 255 - mean) / std
    ours = ours.flip(0) if "channel_order" in described else ours
    if ours.shape != theirs.shape or not torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max())):
        raise _READER.refuse(origin, f": {type(processor).__name__} does more to pixels than scale and normalise them")


def _nearest(pixels: Pixels) -> dict[str, Any]:
    """Crop in timm's terms, to two digits: how much of a ramp from left to right is left of a square image, and of one twice as wide."""
    ramp = np.arange(256, dtype=np.uint8)
    square, wide = (_share(pixels(Image.fromarray(np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (height, 256, 3)))))) for height in (256, 128))
    return {"crop_mode": "squash" if wide > 0.75 * square else "center", "crop_pct": min(1.0, max(0.1, round(square, 2)))}


def _share(image: NDArray[np.uint8]) -> float:
    """How much of the ramp an image spans, counted to the outer edges of its outer pixels."""
    row = image[0, image.shape[1] // 2].astype(float)
    return float(np.ptp(row)) / 255 / (1 - 1 / len(row))


def _class_name(data: Mapping[str, Any], model_type: str, origin: object) -> str:
    """The class of an image processor by the name in a file, of older forms too, else by the model's type."""
    require_transformers("an image processor of transformers")
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    known = {str(kinds.get("torchvision") or kinds.get("pil")) for kinds in IMAGE_PROCESSOR_MAPPING_NAMES.values()}
    named = data.get("image_processor_type") or data.get("feature_extractor_type")
    if isinstance(named, str):
        name = named.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
        if name not in known:
            raise _READER.refuse(origin, f" names the image processor {shown(named)}, which transformers has not got; code that comes with it is not run")
        return name
    usual = IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type, {})
    if not usual:
        raise _READER.refuse(origin, f" names no image processor, and transformers has none for a {model_type or 'nameless'} model")
    return str(usual.get("torchvision") or usual.get("pil"))


@functools.cache
def _processor_class(name: str) -> Any:
    from transformers.image_processing_utils import BaseImageProcessor
    from transformers.models.auto.image_processing_auto import get_image_processor_class_from_name

    found = get_image_processor_class_from_name(name)
    if not (isinstance(found, type) and issubclass(found, BaseImageProcessor)):
        raise CheckpointError("transformers-setting", f"transformers has no image processor {name}", "update transformers")
    return found


def _build(name: str, settings: Mapping[str, Any]) -> Any:
    cls = _processor_class(name)
    return cls(**{key: value for key, value in settings.items() if key in cls.valid_kwargs.__annotations__})
