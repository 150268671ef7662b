"""A folder with an artefact and its card: written when something is handed over, evaluated like any checkpoint, and run without this package."""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from efficient360.core.paths import is_file, is_folder, user_path
from efficient360.core.reading import Reader
from efficient360.deployment.artefact import DeployedModel, run_artefact
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Artefact, files_digest
from efficient360.errors import CheckpointError, SettingsError
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.program_file import program_kind, require_harmless
from efficient360.models.weights import checkpoint_digest

CARD: Final = "card.json"
FILES: Final = "artefact"
FORMAT: Final = "efficient360-artefact"


@final
class _Pixels(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input_size: tuple[Literal[3], Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_pct: Annotated[float, Field(gt=0, le=1)]
    crop_mode: str
    processor: str = ""


@final
class _Card(BaseModel):
    model_config = ConfigDict(extra="allow")
    format: Literal["efficient360-artefact"]
    version: Literal[1]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    classes: Annotated[int, Field(ge=2, le=1_000_000)]
    class_names: tuple[str, ...]
    preprocessing: _Pixels
    artefact: dict[str, Any]


_READER: Final = Reader(CheckpointError, "bad-artefact", "hand it over again, or copy the whole folder again", "card")
_CARD: Final = TypeAdapter(_Card)


@final
@dataclass(frozen=True)
class ArtefactCard:
    """What is known of an artefact that is handed over.

    Args:
        name: Display name.
        classes: Number of logits.
        class_names: Their names where known, else empty.
        preprocessing: How images are brought to it; its normalisation happens inside.
        told: Whatever else a reader should know: where it is from, what was measured; plain JSON.
    """

    name: str
    classes: int
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    told: Mapping[str, Any]


def write_artefact(artefact: Artefact, card: ArtefactCard, folder: Path, beside: Mapping[str, bytes]) -> None:
    """Write an artefact with its card into a folder, which is replaced as a whole.

    Args:
        artefact: Its files are copied.
        card: What is said of it.
        folder: Where to; nothing else is in it afterwards.
        beside: Further files by their path within it.

    Raises:
        SettingsError: The system refuses it (``unwritable``).
    """
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    data = {
        "format": FORMAT,
        "version": 1,
        "name": card.name,
        "classes": card.classes,
        "class_names": list(card.class_names),
        "preprocessing": dataclasses.asdict(card.preprocessing),
        "artefact": artefact.to_json(),
        **card.told,
    }
    try:
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(artefact.folder, part / FILES)
        for name, content in {CARD: json.dumps(data, indent=1, ensure_ascii=False).encode("utf-8", "replace"), **beside}.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(content)
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise SettingsError("unwritable", f"{folder} can't be written: {error.strerror}", "check the folder's permissions and free space") from error


def is_artefact(spec: CheckpointSpec) -> bool:
    """Whether a reference names a folder with an artefact, and no architecture into which weights would be read from it."""
    if spec.architecture or spec.random_weights:
        return False
    folder = user_path(spec.reference.strip())
    return is_folder(folder / FILES) and is_file(folder / CARD)


def read_artefact(folder: Path) -> tuple[Artefact, ArtefactCard]:
    """The artefact of a folder and its card.

    Raises:
        CheckpointError: The card is none, or its files are not those that were handed over (``bad-artefact``); what it runs does more than compute with tensors
            (``unsafe-program``); its runtime is not installed (``runtime-not-installed``).
    """
    path = folder / CARD
    card = _READER.validate(_CARD, _READER.from_json(_READER.read_bytes(path), path), path)
    shape = Preprocessing(**card.preprocessing.model_dump())
    try:
        artefact = Artefact.from_json(card.artefact, folder / FILES)
        runtime = catalogue.runtime(artefact.runtime if artefact.runtime in catalogue.names() else "")
    except (ValueError, KeyError, TypeError, AttributeError, SettingsError) as error:
        raise _READER.refuse(path, f"it does not say what runs it ({' '.join(str(error).split())[:160]})") from error
    if files_digest(artefact.folder)[0] != artefact.digest:
        raise _READER.refuse(path, f"the files in {FILES}/ are not those that it was written for")
    if any("/" in text or "\\" in text for key, text in artefact.converted.settings.items() if key == "model" and isinstance(text, str)):
        raise _READER.refuse(path, "it names a file elsewhere")
    for file in artefact.folder.rglob("*"):
        if (kind := program_kind(file)) is not None:
            require_harmless(file, kind)
    if absent := catalogue.missing_to_run(runtime):
        message = f"{folder} runs in {runtime.title}, which is not installed: {', '.join(absent)}"
        raise CheckpointError("runtime-not-installed", message, catalogue.how_to_get(runtime))
    told = {key: value for key, value in card.model_dump().items() if key not in _Card.model_fields}
    return artefact, ArtefactCard(card.name, card.classes, card.class_names, shape, told)


@final
@dataclass(frozen=True)
class RunnableArtefact:
    """An artefact that was handed over.

    Args:
        artefact: Its files.
        classes: Number of its logits.
    """

    artefact: Artefact
    classes: int

    @contextmanager
    def running(self, classes: int, keep: tuple[int, ...] | None) -> Iterator[DeployedModel]:
        """It in a worker, ended afterwards.

        Raises:
            CheckpointError: It can't be loaded here (``network-fails``).
        """
        try:
            with run_artefact(self.artefact, classes if keep is None else len(keep)) as model:
                yield model if keep is None else dataclasses.replace(model, keep=keep)
        except WorkerFailed as error:
            raise CheckpointError("network-fails", f"the artefact in {self.artefact.folder.parent} can't run here: {error.message}", error.hint) from error


def open_artefact(spec: CheckpointSpec) -> tuple[Checkpoint, RunnableArtefact]:
    """The checkpoint that stands for a folder with an artefact, and the means to run it.

    Raises:
        CheckpointError: As :func:`read_artefact`.
    """
    folder = user_path(spec.reference.strip())
    artefact, card = read_artefact(folder)
    title = catalogue.runtime(artefact.runtime).title
    told = {key: value for key, value in card.told.items() if isinstance(value, str | int | float | bool)}
    checkpoint = Checkpoint(
        spec=spec,
        name=card.name,
        architecture=f"{title} {artefact.precision} artefact",
        arguments={},
        origin=Origin.FILE,
        path=folder,
        digest=checkpoint_digest(artefact.digest, "", ""),
        preprocessing=card.preprocessing,
        num_classes=card.classes,
        class_names=card.class_names,
        card={**told, "format": f"{title} artefact"},
    )
    return checkpoint, RunnableArtefact(artefact, card.classes)
