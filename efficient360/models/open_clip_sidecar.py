"""A folder that OpenCLIP wrote: its ``open_clip_config.json`` as architecture and preprocessing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, final

from pydantic import BaseModel, Field, TypeAdapter

from efficient360.core.paths import is_file
from efficient360.core.reading import Reader
from efficient360.errors import CheckpointError
from efficient360.models.libraries.open_clip_library import FILES, OWN_CONFIG, PREFIX, config_of, preprocessing_of, require_open_clip
from efficient360.models.libraries.zero_shot import FOLDER
from efficient360.models.sidecar import Number, Side, Sidecar, read_json

CONFIG: Final = "open_clip_config.json"
_TOKENIZERS: Final = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "spiece.model")
_READER: Final = Reader(CheckpointError, "open-clip-setting", "correct the file")
_Means = Annotated[list[Number], Field(min_length=3, max_length=3)]
_Deviations = Annotated[list[Annotated[Number, Field(gt=0)]], Field(min_length=3, max_length=3)]


@final
class _Preprocess(BaseModel):
    size: Side | tuple[Side, Side] | None = None
    mean: _Means | None = None
    std: _Deviations | None = None
    interpolation: Literal["bicubic", "bilinear"] | None = None
    resize_mode: Literal["shortest", "squash", "longest"] | None = None


@final
class _Config(BaseModel):
    model_cfg: dict[str, Any]
    preprocess_cfg: _Preprocess = _Preprocess()


_CONFIG: Final = TypeAdapter(_Config)


def open_clip_weights(folder: Path) -> Path | None:
    """The weights in a folder of OpenCLIP's; ``None`` where it is none."""
    if not is_file(folder / CONFIG):
        return None
    return next((folder / name for name in FILES if is_file(folder / name)), None)


def open_clip_sidecar(folder: Path) -> Sidecar:
    """Architecture, arguments and preprocessing of a folder of OpenCLIP's.

    Raises:
        CheckpointError: OpenCLIP is not installed, or a setting is malformed.
    """
    require_open_clip()
    path = folder / CONFIG
    read = _READER.validate(_CONFIG, read_json(path), path)
    arguments = {OWN_CONFIG: read.model_cfg} | ({FOLDER: str(folder)} if any(is_file(folder / name) for name in _TOKENIZERS) else {})
    told: Mapping[str, Any] = read.preprocess_cfg.model_dump(exclude_none=True)
    return Sidecar(
        architecture=f"{PREFIX}custom",
        arguments=arguments,
        preprocessing=preprocessing_of(config_of(f"{PREFIX}custom", arguments), told),
        card={"format": "open_clip", "preprocessing_source": CONFIG},
    )
