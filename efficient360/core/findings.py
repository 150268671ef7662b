"""Validity warnings: reasons to trust a number less, with recommendations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

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


def findings_table(findings: Sequence[Finding]) -> Table:
    """The findings as a table of warnings; a single row ``none`` when there are none."""
    rows = tuple((finding.code, finding.message, finding.advice) for finding in findings)
    return Table("Warnings", ("Warning", "Details", "Recommendation"), rows or (("none", "all checks passed", ""),))
