"""A file of rules in YAML: what must not be, what must be, and what they are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from efficient360.core.paths import exists
from efficient360.core.reading import MEBIBYTE, Reader, in_words, shown
from efficient360.errors import SettingsError
from efficient360.reports.gate.rule import Kind, Rule, parse_rule

KEYS: Final = "baseline, alpha, strict, proven, fail-if, require"


@final
@dataclass(frozen=True)
class RulesFile:
    """What a file of rules says.

    Args:
        rules: Its rules in order, forbidden ones first.
        baseline: Folder of the baseline; ``""`` where it names none.
        alpha: Chance of a false alarm of the whole check; ``None`` where it says nothing.
        strict: Whether values decide by themselves.
        proven: Whether a requirement fails where its interval does not keep it.
    """

    rules: tuple[Rule, ...]
    baseline: str = ""
    alpha: float | None = None
    strict: bool = False
    proven: bool = False


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
    proven: Annotated[bool, Field(strict=True)] = False
    fail_if: _Rules = Field(default_factory=list, alias="fail-if", max_length=1000)
    require: _Rules = Field(default_factory=list, max_length=1000)


_FILE: Final = TypeAdapter(_File)
_RULE_READER: Final = Reader(SettingsError, "bad-rules", f"the keys of a rule are: {', '.join(_Entry.model_fields)}", "rules file", MEBIBYTE)
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
    raw = _READER.from_yaml(text, origin)
    _require_rule_keys(raw, origin)
    data = _READER.validate(_FILE, raw, origin)
    written = [(Kind.FAIL_IF, "fail-if", data.fail_if), (Kind.REQUIRE, "require", data.require)]
    rules = [_rule(kind, f"{origin}, {key}[{i}]", entry) for kind, key, entries in written for i, entry in enumerate(entries)]
    return RulesFile(tuple(rules), data.baseline, data.alpha, data.strict, data.proven)


def _require_rule_keys(raw: Any, origin: str) -> None:
    """Refuse a rule with a key of no meaning, with the keys of a rule, not the file's."""
    for key in ("fail-if", "require"):
        entries = raw.get(key) if isinstance(raw, Mapping) else None
        for i, entry in enumerate(entries if isinstance(entries, list) else ()):
            unknown = [name for name in entry if name not in _Entry.model_fields] if isinstance(entry, Mapping) else []
            if unknown:
                raise _RULE_READER.refuse(origin, f": {key}[{i}] has an unknown key {shown(unknown[0])}")


def _rule(kind: Kind, place: str, entry: str | _Entry) -> Rule:
    whole = _Entry(rule=entry) if isinstance(entry, str) else entry
    try:
        return parse_rule(kind, whole.rule, whole.name, whole.why)
    except SettingsError as error:
        raise SettingsError(error.code, f"{place}: {error.message}", error.hint) from error
