"""Typed warnings: what makes a number less sure, with advice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from efficient360.core.figures import Table


@final
@dataclass(frozen=True)
class Finding:
    """Something that makes a number less sure, with what to do about it.

    Args:
        code: Stable kebab-case name.
        message: One sentence with the figure.
        advice: What to do.
    """

    code: str
    message: str
    advice: str


def findings_table(findings: Sequence[Finding]) -> Table:
    """The findings as a report shows them; one row says so when there are none."""
    rows = tuple((finding.code, finding.message, finding.advice) for finding in findings)
    return Table("What makes these numbers less sure", ("Finding", "What was seen", "What to do"), rows or (("none", "no check found anything", ""),))
