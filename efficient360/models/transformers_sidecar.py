"""A folder that ``transformers`` wrote: which network its ``config.json`` stands for, its classes, and how its processor prepares images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, final

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter

from efficient360.core.reading import Reader, shown
from efficient360.errors import CheckpointError
from efficient360.models.image_processors import FILES, find_processor, preprocessing_from
from efficient360.models.libraries.transformers_config import NOT_OF_IMAGES, PREFIX, arguments_from, classifier_of, classifiers
from efficient360.models.libraries.transformers_library import CHANNEL_ORDER, image_size_of
from efficient360.models.libraries.transformers_zero_shot import PREFIX as ZERO_SHOT
from efficient360.models.libraries.transformers_zero_shot import TOWERS
from efficient360.models.libraries.zero_shot import FOLDER
from efficient360.models.sidecar import Sidecar
from efficient360.models.transformers_vit import by_number, is_timm_vit, names_of, timm_sidecar

_READER: Final = Reader(CheckpointError, "transformers-setting", "correct the file")
_ASSUMED: Final = ("mean", "std", "interpolation", "crop_pct")
_Name = Annotated[str, Field(max_length=200)]


@final
class _Config(BaseModel):
    """The fields of ``config.json`` that say what it is; the network's own are validated by the library that builds it."""

    model_type: _Name
    architectures: list[_Name] | None = None
    num_channels: int | None = None
    num_labels: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] | None = None
    id2label: Annotated[dict[int, str], BeforeValidator(by_number)] | None = None
    quantization_config: Any = None


_CONFIG: Final = TypeAdapter(_Config)


def transformers_sidecar(config: Mapping[str, Any], origin: Path) -> Sidecar:
    """Architecture, arguments, preprocessing and classes of a ``transformers`` configuration.

    ViT and DeiT are the same networks under timm's names, and are evaluated under those; every other classifier is built by ``transformers`` itself.
    Code that a file names (``auto_map``) is never run.

    Args:
        config: What ``config.json`` holds.
        origin: That file; the processor's is looked for beside it.

    Raises:
        CheckpointError: A type of model that the installed library hasn't got, no classifier, no images of three channels, or a malformed setting.
    """
    if is_timm_vit(config):
        return timm_sidecar(config, origin)
    named = config.get("architectures")
    if isinstance(named, list) and named and isinstance(named[0], str) and named[0] in TOWERS:
        return _zero_shot_sidecar(config, origin, named[0])
    return native_sidecar(config, origin)


def native_sidecar(config: Mapping[str, Any], origin: Path, classes: int | None = None, beside: Path | None = None) -> Sidecar:
    """The same for a network that ``transformers`` itself builds.

    Args:
        config: As of :func:`transformers_sidecar`.
        origin: As of :func:`transformers_sidecar`.
        classes: Number of classes of a head that was trained on this network, whatever it had itself.
        beside: A folder whose processor goes before the one of ``origin``.

    Raises:
        CheckpointError: As for :func:`transformers_sidecar`.
    """
    read = _READER.validate(_CONFIG, config, origin)
    name = _classifier(read, config, origin, headless=classes is not None)
    vision = config.get("vision_config")
    channels = read.num_channels or (vision.get("num_channels") if isinstance(vision, Mapping) else None) or 3
    if channels != 3:
        raise CheckpointError("not-rgb", f"{origin}: the model takes images of {shown(channels)} channels", "only RGB models are evaluated")
    if read.quantization_config:
        message = f"{origin} says that its weights are quantized ({shown(read.quantization_config)})"
        raise CheckpointError("weights-quantized", message, "give the weights from before quantization; compression is evaluated from those")
    arguments = arguments_from(config, read.model_type)
    folders = (*([] if beside is None else [beside]), origin.parent)
    preprocessing, source = _preprocessing(folders, read.model_type, image_size_of(config))
    order = preprocessing.pop(CHANNEL_ORDER, None)
    names = tuple((read.id2label or {}).values())
    count = classes or len(names) or read.num_labels
    return Sidecar(
        architecture=PREFIX + name,
        arguments={**arguments, **({} if order is None else {CHANNEL_ORDER: order}), **({} if count is None else {"num_classes": count})},
        preprocessing=preprocessing,
        num_classes=count,
        class_names=names_of(names) if len(names) == count else (),
        card={"format": f"transformers {name}", "preprocessing_source": source},
        assumed=() if preprocessing and source in FILES else _ASSUMED,
    )


def _zero_shot_sidecar(config: Mapping[str, Any], origin: Path, name: str) -> Sidecar:
    """The same for a model of images and texts, whose classes are named when it is evaluated."""
    read = _READER.validate(_CONFIG, config, origin)
    if read.model_type != TOWERS[name]:
        raise _READER.refuse(origin, f": a {name} is of the type {TOWERS[name]}, not {shown(read.model_type)}")
    preprocessing, source = _preprocessing((origin.parent,), read.model_type, image_size_of(config))
    preprocessing.pop(CHANNEL_ORDER, None)
    return Sidecar(
        architecture=ZERO_SHOT + name,
        arguments={**arguments_from(config, read.model_type), FOLDER: str(origin.parent)},
        preprocessing=preprocessing,
        card={"format": f"transformers {name}", "preprocessing_source": source},
        assumed=() if source in FILES else _ASSUMED,
    )


def _preprocessing(folders: Sequence[Path], model_type: str, image_size: tuple[int, int] | None) -> tuple[dict[str, Any], str]:
    """The preprocessing of the first processor in these folders, or the usual one of the model's type, and where it is from."""
    found = find_processor(*folders)
    if found is None:
        usual = preprocessing_from({}, f"the usual processor of {model_type}", model_type, image_size)
        return usual, "transformers' defaults, for there is no preprocessor_config.json"
    path, data = found
    return preprocessing_from(data, path, model_type, image_size), path.name


def _classifier(read: _Config, config: Mapping[str, Any], origin: Path, headless: bool) -> str:
    """The class of the network; with ``headless``, that of a base model's classifiers."""
    named = read.architectures[0] if read.architectures else ""
    known = classifiers()
    usual = classifier_of(read.model_type)
    if not usual:
        kinds = ", ".join(sorted(set(known.values()))[:12])
        code = " and the code that it names is not run" if "auto_map" in config else ""
        raise CheckpointError(
            "transformers-model-type",
            f"{origin} is a transformers {shown(read.model_type)} model, which the installed library has no image classifier for{code}",
            f"it has classifiers of {kinds} …; save the network with its classifier as a file and give the code that builds it with --arch FILE.py:NAME",
        )
    name = named if named in known else "" if named and not headless else usual
    if not name:
        raise CheckpointError("no-classifier", f"{origin} is a {shown(named)}, not an image classifier", f"give a {usual}, saved with its head")
    if name in NOT_OF_IMAGES:
        raise CheckpointError("transformers-not-images", f"{origin}: transformers' {name} {NOT_OF_IMAGES[name]}", "evaluate a checkpoint that takes images")
    return name
