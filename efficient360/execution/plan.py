"""From a protocol and the command line to a frozen plan: what will be run, on what, with which settings."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from efficient360.core.close_names import did_you_mean
from efficient360.core.parsing import parse_yaml
from efficient360.core.paths import exists, user_path
from efficient360.core.reading import MEBIBYTE, Reader, shown, wanted
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import SettingsError
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.plugins.registry import Entry


@final
@dataclass(frozen=True)
class Step:
    """One evaluator with its settings as written; what is left out keeps the evaluator's default."""

    evaluator: str
    settings: Mapping[str, Any]


@final
@dataclass(frozen=True)
class Protocol:
    """A pinned list of evaluators.

    Args:
        name: What the user types.
        description: One sentence.
        steps: In the order they run.
        max_examples: Size of the stratified subset; ``None`` takes all.
    """

    name: str
    description: str
    steps: tuple[Step, ...]
    max_examples: int | None = None


@final
class _ProtocolFile(BaseModel):
    """What a protocol's YAML holds."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100)] = ""
    description: Annotated[str, Field(max_length=1000)] = ""
    max_examples: Annotated[int, Field(strict=True, ge=1, le=2**31)] | None = None
    evaluators: dict[str, dict[str, Any] | None]


_PROTOCOL_FILE: Final = TypeAdapter(_ProtocolFile)
_READER: Final = Reader(
    SettingsError, "bad-protocol", f"its keys are: {', '.join(_ProtocolFile.model_fields)}; evaluators is {{accuracy: {{bins: 15}}, …}}", "protocol", MEBIBYTE
)


@final
@dataclass(frozen=True)
class Plan:
    """All that determines a run.

    Args:
        checkpoint: What to evaluate.
        dataset: On what; ``None`` measures only what needs no data.
        protocol: Name of the protocol.
        steps: Evaluators in order.
        seed: Of all randomness.
        batch_size: Examples held at a time; changes no number beyond rounding in the last bits.
        device: ``cpu`` or ``cuda``.
        deployment: ``runtime[:precision]`` whose artefact is evaluated in place of the checkpoint; ``""`` for the checkpoint itself.
        max_minutes: Time budget of this invocation; what it doesn't reach is ``not-run``.
        until: When the budget is spent, on the clock of ``time.monotonic``, which all processes of an invocation share; ``None`` counts ``max_minutes`` from
            the opening of checkpoint and data.
        plugins: Files with further evaluators and dimensions.
        out: The run's folder.
        command: What the user typed.
    """

    checkpoint: CheckpointSpec
    dataset: DatasetSpec | None
    protocol: str
    steps: tuple[Step, ...]
    out: Path
    seed: int = 0
    batch_size: int = 64
    device: str = "cpu"
    deployment: str = ""
    max_minutes: float | None = None
    until: float | None = None
    plugins: tuple[Path, ...] = ()
    command: str = ""


def protocol_names() -> list[str]:
    """Names of the built-in protocols, from short to long."""
    files = resources.files("efficient360").joinpath("configs", "protocols").iterdir()
    names = {Path(str(f)).stem for f in files if str(f).endswith(".yaml")}
    return [name for name in ("quick", "standard", "full") if name in names] + sorted(names - {"quick", "standard", "full"})


def read_protocol(reference: str, known: Mapping[str, Entry]) -> Protocol:
    """A built-in protocol by name, or a YAML file by path.

    Raises:
        SettingsError: No such protocol, not YAML, an unknown key or evaluator.
    """
    if reference.endswith((".yaml", ".yml")):
        path = user_path(reference)
        if not exists(path):
            raise SettingsError("unknown-protocol", f"there is no protocol file {path}", "check the path")
        return parse_protocol(_READER.read_text(path), str(path), known)
    if reference not in protocol_names():
        raise SettingsError(
            "unknown-protocol", f"there is no protocol called {reference!r}", did_you_mean(reference, protocol_names(), "or a path to a YAML file")
        )
    file = resources.files("efficient360").joinpath("configs", "protocols", f"{reference}.yaml")
    return parse_protocol(file.read_text(encoding="utf-8"), reference, known)


def parse_protocol(text: str, origin: str, known: Mapping[str, Entry]) -> Protocol:
    """The protocol in a YAML text. Unknown keys are errors.

    Raises:
        SettingsError: As :func:`read_protocol`.
    """
    data = _READER.validate(_PROTOCOL_FILE, _READER.from_yaml(text, origin), origin)
    if unknown := [name for name in data.evaluators if name not in known]:
        raise SettingsError(
            "unknown-evaluator",
            f"the protocol {origin} names an evaluator {unknown[0]!r} that does not exist",
            did_you_mean(unknown[0], known, "all: efficient360 list evaluators"),
        )
    steps = tuple(Step(name, settings or {}) for name, settings in data.evaluators.items())
    return Protocol(data.name or Path(origin).stem, data.description, steps, data.max_examples)


def parse_settings(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings by evaluator.

    Args:
        texts: ``EVALUATOR.SETTING=VALUE`` each, the value in YAML.

    Raises:
        SettingsError: Not of that form.
    """
    settings: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        evaluator, dot, setting = name.partition(".")
        if not (equals and dot and setting.isidentifier()):
            raise SettingsError("bad-option", f"--set {text} is not EVALUATOR.SETTING=VALUE", "write it as --set latency.device=limited:1core-2gb")
        try:
            settings.setdefault(evaluator, {})[setting] = parse_yaml(value)
        except ValueError as error:
            raise SettingsError("bad-option", f"the value in --set {text} is not YAML", "quote it, or write lists as [a, b]") from error
    return settings


def with_settings(steps: Sequence[Step], settings: Mapping[str, Mapping[str, Any]]) -> tuple[Step, ...]:
    """Steps with some settings replaced.

    Args:
        steps: Evaluators with their settings.
        settings: Other values of settings, by evaluator.

    Raises:
        SettingsError: An evaluator that is not among the steps. Unknown settings are refused by :func:`configure`.
    """
    names = [step.evaluator for step in steps]
    for name in settings:
        if name not in names:
            raise SettingsError(
                "bad-option",
                f"settings are given for {name!r}, which is not going to run",
                did_you_mean(name, names, listed=f"going to run: {', '.join(names)}"),
            )
    return tuple(Step(step.evaluator, {**step.settings, **settings.get(step.evaluator, {})}) for step in steps)


def chosen(protocol: Protocol, only: Sequence[str], plugins: Sequence[str], known: Mapping[str, Entry]) -> tuple[Step, ...]:
    """The protocol's steps, narrowed to ``only``; evaluators of plug-in files join by being given.

    Raises:
        SettingsError: A name in ``only`` that does not exist.
    """
    for name in only:
        if name not in known:
            raise SettingsError("unknown-evaluator", f"there is no evaluator called {name!r}", did_you_mean(name, known, "all: efficient360 list evaluators"))
    steps = {step.evaluator: step for step in protocol.steps}
    steps |= {name: Step(name, {}) for name in plugins if name not in steps}
    if not only:
        return tuple(steps.values())
    return tuple(steps.get(name, Step(name, {})) for name in only)


def configure(cls: type[Any], settings: Mapping[str, Any]) -> Any:
    """An evaluator with its settings, validated against its fields and their types.

    Raises:
        SettingsError: An unknown setting, or a value that its annotation or the evaluator refuses.
    """
    fields = {f.name for f in dataclasses.fields(cls)}
    name = cls.name
    if unknown := sorted(set(settings) - fields):
        hint = did_you_mean(unknown[0], sorted(fields), f"its settings: efficient360 show evaluator {name}") if fields else "it has no settings"
        raise SettingsError("unknown-setting", f"the evaluator {name} has no setting {unknown[0]!r}", hint)
    try:
        return TypeAdapter(cls).validate_python(dict(settings))
    except ValidationError as error:
        raise _bad_setting(cls, error.errors()[0]) from error


def _bad_setting(cls: type[Any], error: Any) -> SettingsError:
    """One sentence of what a setting is and what it must be, with its default."""
    setting, *inside = error["loc"] or ("",)
    message = f"the setting {setting} of {cls.name} {'holds' if inside else 'is'} {shown(error['input'])}"
    advice = wanted(error) if error["type"] == "value_error" else f"give {wanted(error)}"
    default = next((field.default for field in dataclasses.fields(cls) if field.name == setting), dataclasses.MISSING)
    if default is not dataclasses.MISSING:
        advice += f"; the default is {list(default) if isinstance(default, tuple) else default!r}"
    return SettingsError("bad-setting", message, advice)
