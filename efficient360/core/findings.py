"""Validity warnings: reasons to trust a number less, with recommendations."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from efficient360.core.figures import Table


@final
@dataclass(frozen=True)
class Finding:
    """A reason to trust a number less, with what to do about it.

    Args:
        code: Stable kebab-case identifier.
        message: One sentence with the number that triggered it.
        advice: Recommendation.
    """

    code: str
    message: str
    advice: str


def findings_to_json(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """The findings as plain JSON data."""
    return [asdict(finding) for finding in findings]


def findings_from_json(data: Any) -> tuple[Finding, ...]:
    """The findings of what :func:`findings_to_json` wrote.

    Raises:
        ValueError: ``data`` is no such list.
    """
    fields = {"code", "message", "advice"}
    if not isinstance(data, list | tuple):
        raise ValueError(f"findings are a {type(data).__name__}, not a list")
    for entry in data:
        if not isinstance(entry, Mapping) or set(entry) != fields or not all(isinstance(value, str) for value in entry.values()):
            raise ValueError(f"a finding is not a mapping of {', '.join(sorted(fields))} to texts")
    return tuple(Finding(**entry) for entry in data)


def findings_table(findings: Sequence[Finding]) -> Table:
    """The findings as a table of warnings; a single row ``none`` when there are none."""
    rows = tuple((finding.code, finding.message, finding.advice) for finding in findings)
    return Table("Warnings", ("Warning", "Details", "Recommendation"), rows or (("none", "all checks passed", ""),))
