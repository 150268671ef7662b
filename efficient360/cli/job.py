"""A job file: models, data, evaluation and results of ``efficient360 evaluate`` in one YAML, turned into the options that would say the same."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from efficient360.core.close_names import did_you_mean
from efficient360.core.paths import exists
from efficient360.core.reading import MEBIBYTE, Reader, misfit, where
from efficient360.errors import SettingsError

Texts = str | list[str]
Whole = Annotated[int, Field(strict=True)]


@final
class ModelEntry(BaseModel):
    """One checkpoint, in the names of the command's options."""

    model_config = ConfigDict(extra="forbid")

    checkpoint: str
    arch: str = ""
    arch_arg: dict[str, Any] = {}
    output: str | int = ""
    preprocess: dict[str, Any] = {}
    random_weights: bool = False
    weights_key: str = ""
    as_: str = Field(default="", alias="as")


@final
class DataEntry(BaseModel):
    """The data, likewise."""

    model_config = ConfigDict(extra="forbid")

    dataset: str = ""
    data_dir: str = ""
    split: str = ""
    image_column: str = ""
    label_column: str = ""
    group_column: Texts = []
    class_map: str = ""
    class_order: Literal["", "data", "checkpoint"] = ""
    max_examples: Whole | None = None


@final
class EvaluationEntry(BaseModel):
    """What is measured, likewise; ``set`` holds settings by evaluator."""

    model_config = ConfigDict(extra="forbid")

    protocol: str = ""
    only: Texts = []
    set: dict[str, dict[str, Any]] = {}
    plugin: Texts = []
    device: str = ""
    batch_size: Whole | None = None
    max_minutes: float | None = None
    seed: Whole | None = None


@final
class ResultsEntry(BaseModel):
    """Where results go, likewise."""

    model_config = ConfigDict(extra="forbid")

    out: str = ""
    strict: bool = False
    wandb: str = ""
    wandb_mode: Literal["", "online", "offline", "disabled"] = ""


@final
class Job(BaseModel):
    """What a job file holds."""

    model_config = ConfigDict(extra="forbid")

    models: Annotated[list[ModelEntry], Field(min_length=1)]
    data: DataEntry = DataEntry()
    evaluation: EvaluationEntry = EvaluationEntry()
    results: ResultsEntry = ResultsEntry()


_JOB: Final = TypeAdapter(Job)
_READER: Final = Reader(SettingsError, "bad-job", "efficient360 init writes one to start from", "job file", MEBIBYTE)
_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {"models": ModelEntry, "data": DataEntry, "evaluation": EvaluationEntry, "results": ResultsEntry}


def read_job(path: Path) -> Job:
    """The job in a YAML file.

    Raises:
        SettingsError: There is no such file (``unknown-job``), or it is no job (``bad-job``): an unknown key, a value of another type.
    """
    if not exists(path):
        raise SettingsError("unknown-job", f"there is no job file {path}", "check the path; efficient360 init writes one")
    data = _READER.from_yaml(_READER.read_text(path), path)
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if value is not None}  # a section of which nothing but comments is left
    try:
        return _JOB.validate_python(data)
    except ValidationError as error:
        raise _refused(path, error) from error


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a section, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def options_of(job: Job, checkpoints: Sequence[str] = ()) -> list[list[str]]:
    """Arguments of ``efficient360 evaluate`` for each model of a job, the checkpoint first.

    Args:
        job: The job.
        checkpoints: Evaluated in place of the job's models, where any are given.
    """
    models = [ModelEntry.model_validate({"checkpoint": checkpoint}) for checkpoint in checkpoints] or job.models
    shared = [argument for section in (job.data, job.evaluation, job.results) for argument in _arguments(section)]
    return [[model.checkpoint, *_arguments(model), *shared] for model in models]


def _arguments(section: BaseModel) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if name == "checkpoint" or value in ("", None, False, [], {}):
            continue
        option = f"--{(field.alias or name).replace('_', '-')}"
        if name == "only":
            yield f"{option}={value if isinstance(value, str) else ','.join(value)}"
        elif name == "set":
            yield from (f"{option}={evaluator}.{setting}={_yaml(inner)}" for evaluator, settings in value.items() for setting, inner in settings.items())
        elif isinstance(value, dict):
            yield from (f"{option}={key}={_yaml(inner)}" for key, inner in value.items())
        elif value is True:
            yield option
        else:
            yield from (f"{option}={one}" for one in (value if isinstance(value, list) else [value]))


def _yaml(value: Any) -> str:
    """A value as an option takes it; a text that YAML would read as something else stays one."""
    return json.dumps(value, ensure_ascii=False)


def _refused(path: Path, error: ValidationError) -> SettingsError:
    if (first := next((entry for entry in error.errors() if entry["type"] == "extra_forbidden"), None)) is not None:
        *inside, key = first["loc"]
        section = _SECTIONS.get(str(inside[0])) if inside else Job
        if section is not None:
            place = f" in {where(tuple(inside))}" if inside else ""
            hint = did_you_mean(str(key), keys_of(section), listed=f"its keys are: {', '.join(keys_of(section))}")
            return SettingsError("bad-job", f"the job file {path} has an unknown key {key!r}{place}", hint)
    return SettingsError("bad-job", f"the job file {path}{misfit(error)}", "efficient360 init writes one to start from")
