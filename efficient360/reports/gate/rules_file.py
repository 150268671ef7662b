"""A file of rules in YAML: what must not be, what must be, and what they are held against."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from efficient360.core.paths import exists
from efficient360.core.reading import MEBIBYTE, Reader, in_words
from efficient360.errors import SettingsError
from efficient360.reports.gate.rule import Kind, Rule, parse_rule

KEYS: Final = "baseline, alpha, strict, fail-if, require"


@final
@dataclass(frozen=True)
class RulesFile:
    """What a file of rules says.

    Args:
        rules: Its rules in order, forbidden ones first.
        baseline: Folder of the baseline; ``""`` where it names none.
        alpha: Chance of a false alarm of the whole check; ``None`` where it says nothing.
        strict: Whether values decide by themselves.
    """

    rules: tuple[Rule, ...]
    baseline: str = ""
    alpha: float | None = None
    strict: bool = False


@final
class _Entry(BaseModel):
    """A rule with more to say than itself."""

    model_config = ConfigDict(extra="forbid")

    rule: Annotated[str, Field(strict=True, max_length=500)]
    name: Annotated[str, Field(strict=True, max_length=200)] = ""
    why: Annotated[str, Field(strict=True, max_length=1000)] = ""


_Rules = list[Annotated[Annotated[str, Field(strict=True, max_length=500)] | _Entry, in_words("a rule such as top1 < -0.5pt, or {rule: …, name: …, why: …}")]]


@final
class _File(BaseModel):
    """What the YAML holds."""

    model_config = ConfigDict(extra="forbid")

    baseline: Annotated[str, Field(strict=True, max_length=4000)] = ""
    alpha: Annotated[float, Field(strict=True, gt=0, lt=0.5)] | None = None
    strict: Annotated[bool, Field(strict=True)] = False
    fail_if: _Rules = Field(default_factory=list, alias="fail-if", max_length=1000)
    require: _Rules = Field(default_factory=list, max_length=1000)


_FILE: Final = TypeAdapter(_File)
_READER: Final = Reader(SettingsError, "bad-rules", f"its keys are: {KEYS}; fail-if and require are lists of rules", "rules file", MEBIBYTE)


def read_rules(path: Path) -> RulesFile:
    """The rules in a file.

    Raises:
        SettingsError: It can't be read, is not such a file (``bad-rules``), or has something that is no rule (``bad-rule``).
    """
    if not exists(path):
        raise SettingsError("bad-rules", f"there is no rules file {path}", "check the path")
    return parse_rules(_READER.read_text(path), str(path))


def parse_rules(text: str, origin: str) -> RulesFile:
    """The rules in a YAML text.

    Raises:
        SettingsError: As :func:`read_rules`.
    """
    data = _READER.validate(_FILE, _READER.from_yaml(text, origin), origin)
    written = [(Kind.FAIL_IF, "fail-if", data.fail_if), (Kind.REQUIRE, "require", data.require)]
    rules = [_rule(kind, f"{origin}, {key}[{i}]", entry) for kind, key, entries in written for i, entry in enumerate(entries)]
    return RulesFile(tuple(rules), data.baseline, data.alpha, data.strict)


def _rule(kind: Kind, place: str, entry: str | _Entry) -> Rule:
    whole = _Entry(rule=entry) if isinstance(entry, str) else entry
    try:
        return parse_rule(kind, whole.rule, whole.name, whole.why)
    except SettingsError as error:
        raise SettingsError(error.code, f"{place}: {error.message}", error.hint) from error
