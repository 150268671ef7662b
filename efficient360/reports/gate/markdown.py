"""A check as Markdown: for a pull request's comment or the page of a job."""

from typing import Final

from efficient360.reports.gate import words
from efficient360.reports.gate.results import Check, RuleResult, State
from efficient360.reports.text_tables import TextTable, escape_markdown, to_markdown

MARKS: Final = {State.PASSED: "✅", State.UNDECIDED: "⚠️", State.MISSING: "➖", State.FAILED: "❌"}
COLUMNS: Final = ("", "Rule", "Value", "Baseline", "Run", "Change", "95 % interval", "Evidence")


def markdown(result: Check) -> str:
    """A heading that says whether the check passed, a table of the rules with what fails first, and how it was decided."""
    heading = f"### {'✅' if result.passed else '❌'} {escape_markdown(words.headline(result))}\n\n{escape_markdown(words.against(result))}\n\n"
    ordered = words.in_order(result)
    columns = [i for i, name in enumerate(COLUMNS) if name not in ("Baseline", "Change") or any(r.rule.compares for r in ordered)]
    rows = [[_row(r)[i] for i in columns] for r in ordered]
    reasons = dict.fromkeys(f"{r.rule.title}: {r.rule.why}" for r in result.failures if r.rule.why)
    table = TextTable([COLUMNS[i] for i in columns], rows, left=3, words_last=1, notes=[*reasons, *words.notes(result)])
    return heading + to_markdown(table)


def _row(r: RuleResult) -> tuple[str, ...]:
    mark = "❌" if r.fails else MARKS[r.state]
    return (
        mark,
        r.rule.title,
        words.subject(r),
        words.baseline(r) or "–",
        words.value(r),
        words.change(r) or "–",
        words.interval(r) or "–",
        words.evidence(r) if r.state in (State.PASSED, State.FAILED) else f"{r.state}: {words.evidence(r)}",
    )
