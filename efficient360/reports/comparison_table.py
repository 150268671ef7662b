"""A comparison on the terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from efficient360.core import formatting
from efficient360.reports.comparison import Comparison, Row, Verdict
from efficient360.reports.names import words

_STYLE = {Verdict.TIE: "dim", Verdict.NOT_COMPARABLE: "dim", Verdict.DIFFERENT: "", Verdict.FIRST: "bold", Verdict.SECOND: "bold"}


def show(comparison: Comparison) -> None:
    """Print two runs side by side, one line a metric, with what the evidence says."""
    console = Console()
    first, second = comparison.names
    console.print(f"A  {first}\nB  {second}", highlight=False, markup=False)
    table = Table(box=None, pad_edge=False)
    for head, justify in (("", "left"), ("A", "right"), ("B", "right"), ("B − A", "right"), ("evidence", "left"), ("verdict", "left")):
        table.add_column(head, justify=justify, no_wrap=head in ("A", "B", "B − A"))  # type: ignore[arg-type]
    for row in comparison.rows:
        table.add_row(*(Text(cell, style=_STYLE[row.verdict]) for cell in _cells(row)))
    console.print(table)
    console.print(_note(comparison), style="dim", highlight=False, markup=False)


def _cells(row: Row) -> tuple[str, ...]:
    where = formatting.conditions(row.conditions)
    name = words(row.metric.name) + (f", {where}" if where else "")
    values = ["not measured" if m is None else formatting.number(m.value, row.metric) for m in (row.first, row.second)]
    # A difference of two percentages is in percentage points.
    difference = "" if row.difference is None else formatting.number(row.difference, row.metric).replace(" %", " pt")
    evidence = row.basis if row.p_value is None else "p < 0.001" if row.p_value < 1e-3 else f"p {row.p_value:.3f}"
    return name, *values, difference, evidence, {Verdict.FIRST: "A is better", Verdict.SECOND: "B is better"}.get(row.verdict, row.verdict.value)


def _note(comparison: Comparison) -> str:
    if not comparison.same_data:
        return "The two runs saw different data: values per example can't be paired."
    tested = sum(row.p_value is not None for row in comparison.rows)
    return f"{tested} paired tests over {formatting.count(comparison.paired)} examples, p-values Holm-adjusted; a tie is p ≥ 0.05 or overlapping intervals."
