"""The card beside a weights file: architecture, arguments, preprocessing, classes, and what else it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, final

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter

from efficient360.core.paths import is_file
from efficient360.core.reading import Reader, in_words, shown
from efficient360.errors import CheckpointError

MOST_PIXELS: Final = 4096 * 4096
"""Pixels of an image that a network may take: a batch of one is 200 MB."""
GENERIC_NAMES = ("model.json", "config.json")
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
        preprocessing: Some of timm's data configuration: ``input_size``, ``mean``, ``std``, ``interpolation``, ``crop_pct``, ``crop_mode``, ``processor``.
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

    def require_names_of(self, classes: int, reference: str) -> None:
        """Check that names, where there are some, are as many as the classes that a network was found to have.

        Raises:
            CheckpointError: They are not (``class-names-mismatch``).
        """
        if self.class_names and len(self.class_names) != classes:
            message = f"{reference}: {len(self.class_names)} class names are given for {classes} classes"
            raise CheckpointError("class-names-mismatch", message, "correct class_names in the sidecar")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CheckpointError: It can't be read or holds no JSON object.
    """
    data = READER.from_json(READER.read_text(path), path)
    if not isinstance(data, dict):
        raise READER.refuse(path, f"holds a JSON {type(data).__name__}, not an object")
    checked: dict[str, Any] = READER.plain(data, path)
    return checked


def find_sidecar(weights: Path) -> Path | None:
    """``STEM.json``, ``model.json`` or ``config.json`` beside a weights file, the first that is there."""
    stem = weights.name.removesuffix(weights.suffix)
    own = () if weights.suffix == ".json" else (f"{stem}.json", f"{stem.removesuffix('.pth')}.json")  # .json is an index of shards
    names = (*own, *GENERIC_NAMES)
    return next((weights.parent / name for name in names if is_file(weights.parent / name)), None)


def _few_pixels(size: tuple[int, int, int]) -> tuple[int, int, int]:
    if size[1] * size[2] > MOST_PIXELS:
        raise ValueError(f"at most {MOST_PIXELS:,} pixels")
    return size


def _listed(names: Any) -> Any:
    """Hugging Face writes ``{"0": "cat", "1": "dog"}``."""
    return [names[key] for key in sorted(names, key=int)] if isinstance(names, Mapping) else names


Side = Annotated[int, Field(strict=True, ge=1, le=MOST_PIXELS)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_InputSize = Annotated[tuple[Side, Side, Side], in_words("[channels, height, width]"), AfterValidator(_few_pixels)]
_Channels = Annotated[tuple[Number, ...], Field(min_length=1, max_length=64), in_words("one number a channel")]
_Deviations = Annotated[tuple[Annotated[Number, Field(gt=0)], ...], Field(min_length=1, max_length=64), in_words("one number a channel, all above 0,")]
_Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(max_length=1_000_000), in_words("a list of names")]
_Name = Annotated[str, Field(max_length=200)]
_Classes = Annotated[int, Field(strict=True, ge=0, le=10_000_000)]
_Object = Annotated[dict[str, Any], in_words("an object")]


class _Preprocessing(BaseModel):
    """Some of timm's data configuration."""

    input_size: _InputSize | None = None
    mean: _Channels | None = None
    std: _Deviations | None = None
    interpolation: Literal["bicubic", "bilinear", "nearest", "box", "hamming", "lanczos"] | None = None
    crop_pct: Annotated[float, Field(strict=True, ge=0.1, le=1), in_words("a share from 0.1 to 1")] | None = None
    crop_mode: Literal["center", "squash", "border"] | None = None
    processor: Annotated[str, Field(max_length=10_000)] | None = None

    def given(self) -> dict[str, Any]:
        """What it says."""
        return {key: value for key in _Preprocessing.model_fields if (value := getattr(self, key)) is not None}


@final
class _Pretrained(_Preprocessing):
    """timm's ``pretrained_cfg``, as far as it decides how a network is built."""

    fixed_input_size: bool | None = None
    global_pool: str | bool | None = None


@final
class _Card(_Preprocessing):
    """A card of this project's format or of timm's ``config.json``, its ``pretrained_cfg`` folded in; further fields are told as they are."""

    name: _Name | None = None
    architecture: Annotated[_Name, in_words("a timm name")] | None = None
    model_args: _Object | None = None
    arguments: _Object | None = None
    num_classes: _Classes | None = None
    class_names: _Names | None = None
    label_names: _Names | None = None
    labels: _Names | None = None
    pretrained_cfg: _Object | None = None


_CARD: Final = TypeAdapter(_Card)
_VALUES: Final = TypeAdapter(_Preprocessing)
_PRETRAINED: Final = TypeAdapter(_Pretrained)
READER: Final = Reader(CheckpointError, "sidecar-invalid", "correct the file, or move it away")


def parse_sidecar(data: Mapping[str, Any], origin: Path) -> Sidecar:
    """The sidecar in a JSON object of this project's format or of timm's ``config.json``.

    Raises:
        CheckpointError: A field has a value of the wrong kind.
    """
    given = data.get("pretrained_cfg")
    inner = given if isinstance(given, Mapping) else {}
    pretrained = READER.validate(_PRETRAINED, inner, origin)
    card = READER.validate(_CARD, {**inner, **{key: value for key, value in data.items() if value is not None}}, origin)
    arguments = {**_implied(pretrained), **(card.model_args or card.arguments or {})}
    num_classes = arguments.get("num_classes") if card.num_classes is None else card.num_classes
    if num_classes is not None and arguments.get("num_classes", num_classes) != num_classes:
        raise READER.refuse(origin, f"contradicts itself: num_classes is {num_classes}, in model_args {shown(arguments['num_classes'])}")
    if num_classes is not None:
        READER.validate(_CARD, {"num_classes": num_classes}, origin)
    extra = {**{key: value for key, value in inner.items() if key not in _PLUMBING}, **data}
    return Sidecar(
        name=card.name or "",
        architecture=card.architecture or "",
        arguments=arguments,
        preprocessing=card.given(),
        num_classes=num_classes,
        class_names=card.class_names or card.label_names or card.labels or (),
        card={key: value for key, value in extra.items() if key not in _Card.model_fields and value is not None},
    )


def preprocessing_values(data: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Some of timm's data configuration, as a user writes it: ``input_size`` may be one side, or height and width; ``mean`` and ``std`` one number.

    Args:
        data: The values by name.
        origin: Where they are from, for messages.

    Raises:
        CheckpointError: There is no such value, or it is of the wrong kind (``preprocessing-invalid``).
    """
    reader = Reader(
        CheckpointError, "preprocessing-invalid", "write input_size=32, mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25], interpolation=bicubic, crop_pct=1"
    )
    other = [key for key in data if key not in _Preprocessing.model_fields]
    if other:
        raise reader.refuse(origin, f": there is no {other[0]!r}; there are {', '.join(_Preprocessing.model_fields)}")
    return reader.validate(_VALUES, {key: _spelt_out(key, value) for key, value in data.items()}, origin).given()


def _spelt_out(key: str, value: Any) -> Any:
    if key == "input_size":
        sides = [value, value] if isinstance(value, int) and not isinstance(value, bool) else value
        return [3, *sides] if isinstance(sides, list | tuple) and len(sides) == 2 else sides
    if key in ("mean", "std") and isinstance(value, int | float) and not isinstance(value, bool):
        return [value] * 3
    return value


def _implied(pretrained: _Pretrained) -> dict[str, Any]:
    """The arguments that ``timm.create_model`` itself takes from a pretrained configuration."""
    implied: dict[str, Any] = {}
    if pretrained.fixed_input_size and pretrained.input_size is not None:
        implied["img_size"] = [*pretrained.input_size[1:]]
    if pretrained.global_pool is not None:
        implied["global_pool"] = pretrained.global_pool
    return implied
