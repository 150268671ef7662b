"""Validity warnings: reasons to trust a number less, with recommendations."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

from efficient360.core.figures import Table
from efficient360.core.measurement import Measurement, Outcome

WARNING_COLUMNS: Final = ("Warning", "Details", "Recommendation")
DISTURBANCE_COLUMNS: Final = ("Artefact", "Seen", "Advice")
DISTURBED: Final = "disturbed-timing"
"""The code of what disturbed a timing, read back from a table."""
NONE: Final = ("none", "all checks passed", "")


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
    return Table("Warnings", WARNING_COLUMNS, rows or (NONE,))


def disturbances_table(disturbed: Sequence[tuple[str, Finding]]) -> Table:
    """What disturbed a timing, with what was timed."""
    return Table("What disturbed the measurement", DISTURBANCE_COLUMNS, tuple((what, f.message, f.advice) for what, f in disturbed))


def disturbance(findings: Sequence[Finding], timing: str) -> Finding:
    """What disturbed a timing in one finding: artefacts are disturbed alike, so each kind of disturbance is told once.

    Args:
        findings: What was seen, at least one.
        timing: What was disturbed: ``the timing``.
    """
    by_kind = {re.sub(r"[\d.]+", "", finding.message): finding for finding in reversed(findings)}
    messages, advice = (list(dict.fromkeys(texts)) for texts in ([f.message for f in by_kind.values()], [f.advice for f in by_kind.values()]))
    return Finding(DISTURBED, f"{timing} was disturbed: {'; '.join(messages)}", "; ".join(advice))


def is_findings(table: Table) -> bool:
    """Whether a table holds findings."""
    return table.columns in (WARNING_COLUMNS, DISTURBANCE_COLUMNS)


def findings_of(table: Table) -> tuple[Finding, ...]:
    """The findings that :func:`findings_table` or :func:`disturbances_table` made a table of; none for any other table."""
    if table.columns == DISTURBANCE_COLUMNS:
        return tuple(Finding(DISTURBED, str(seen), str(advice)) for _, seen, advice in table.rows)
    if table.columns != WARNING_COLUMNS:
        return ()
    return tuple(Finding(str(code), str(message), str(advice)) for code, message, advice in table.rows if (code, message, advice) != NONE)


def findings_in(outcome: Outcome) -> Iterator[Finding]:
    """The findings in the tables of a measurement; none of a failure."""
    for figure in outcome.extra if isinstance(outcome, Measurement) else ():
        if isinstance(figure, Table):
            yield from findings_of(figure)
