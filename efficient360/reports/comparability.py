"""Like beside like: whether two values of one metric under the same conditions were measured the same way, and in what they differ."""

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

from efficient360.core.outcome import Record

Difference = tuple[str, str, str]
"""What differs, and its two values as texts."""
FACTS: Final = ("data", "examples", "machine", "version")
_ABSENT: Final = "–"


def identity(record: Record) -> Hashable:
    """What the same outcome of another run has, too: evaluator, metric and conditions."""
    return record.evaluator, "" if record.metric is None else record.metric.name, frozenset(record.outcome.conditions.items())


def differences(a: Record, b: Record) -> list[Difference]:
    """In what two values were measured differently, beside their conditions; empty where they may be set side by side.

    Where one of them was stored before records told what they were measured with, the settings that matter to the other are compared; where both were, all
    settings.

    Args:
        a: One value.
        b: The other, of the same metric.
    """
    told = [record.measured_with for record in (a, b) if record.measured_with]
    if not told:
        return setting_differences(a.settings, b.settings)
    mattering = [facts["settings"] for facts in told if "settings" in facts]
    both = [record.measured_with.get("settings", record.settings) for record in (a, b)]
    names = [name for name in both[0] | both[1] if all(name in settings for settings in mattering)]
    found = setting_differences(*({name: settings[name] for name in names if name in settings} for settings in both))
    facts = [name for name in FACTS if len(told) == 2 and told[0].get(name) != told[1].get(name)]
    return found + [(name, _text(told[0].get(name, _ABSENT)), _text(told[1].get(name, _ABSENT))) for name in facts]


def setting_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Settings that both have and in which they differ; the order of a list does not matter."""
    return [(name, _text(a[name]), _text(b[name])) for name in a if name in b and _plain(a[name]) != _plain(b[name])]


def in_words(found: Iterable[Difference]) -> str:
    """``steps 20 against 100; queries 200 against 5000``."""
    return "; ".join(f"{name.replace('_', ' ')} {a} against {b}" for name, a, b in found)


def _plain(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return sorted(json.dumps(_plain(item), sort_keys=True) for item in value)
    return value


def _text(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(item) for item in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) or "none"
    return "none" if value is None else str(value)
