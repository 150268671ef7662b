import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker

from efficient360.core.text import one_line
from efficient360.reports.text_tables import LATEX, TextTable, escape_latex, to_csv, to_latex, to_markdown

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TRICKY = TextTable(("Model", "Top-1 accuracy"), (("a_b & 50 % #1 | `x` <b> *y* [z](u) \\", "97.2 %"), ("[0.9", "−0.5 pt")), "On $digits$ {test}")


def markdown_cells(text: str) -> list[str]:
    """The texts of the cells, as a Markdown parser shows them."""
    cells = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "inline" and token.level == 4:  # within table, section, row, cell
            assert {child.type for child in token.children or []} <= {"text", "text_special"}, "a cell holds markup"
            cells.append("".join(child.content for child in token.children or []))
    return cells


def unescaped_latex(text: str) -> str:
    signs = {command: sign for sign, command in LATEX.items() if sign not in ("\N{GREEK SMALL LETTER MU}", "‑")}
    pattern = "|".join(map(re.escape, sorted(signs, key=len, reverse=True)))
    return re.sub(pattern, lambda m: signs[m[0]], text)


def test_markdown_reads_back_as_the_same_cells() -> None:
    assert markdown_cells(to_markdown(TRICKY)) == [*TRICKY.columns, *TRICKY.rows[0], *TRICKY.rows[1]]


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_no_text_is_markup_in_markdown(rows: list[tuple[str, str]]) -> None:
    cells = markdown_cells(to_markdown(TextTable(("a", "b"), rows)))
    assert cells == ["a", "b", *(one_line(cell) for row in rows for cell in row)]


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_csv_reads_back_as_the_same_cells(rows: list[tuple[str, str]]) -> None:
    read = list(csv.reader(io.StringIO(to_csv(TextTable(("a", "b"), rows)), newline="")))
    assert read[0] == ["a", "b"]
    for got, wanted in zip(read[1:], rows, strict=True):
        for cell, text in zip(got, wanted, strict=True):
            assert cell in (text, f"'{text}")


def test_a_formula_is_no_formula_in_a_spreadsheet_and_a_number_stays_one() -> None:
    read = list(csv.reader(io.StringIO(to_csv(TextTable(("a", "b"), [("=HYPERLINK(1)", "-0.5"), ("@x", "+1e-3"), ("-x", "0.98")])))))
    assert read[1:] == [["'=HYPERLINK(1)", "-0.5"], ["'@x", "+1e-3"], ["'-x", "0.98"]]


@given(TEXTS)
def test_a_latex_cell_holds_no_command_of_its_own(text: str) -> None:
    escaped = escape_latex(text)
    known = "|".join(map(re.escape, sorted(LATEX.values(), key=len, reverse=True)))
    rest = re.sub(known, "", escaped)
    if escaped.startswith(("{[}", "{*}")):
        rest = rest[3:]
    assert not set(rest) & set("\\&%$#_{}~^")


def test_latex_is_a_booktabs_table_with_every_row() -> None:
    text = to_latex(TRICKY, "tab:my runs")
    assert text.count(r" \\") == 3
    assert [line for line in text.splitlines() if line.startswith("\\")][:4] == [
        r"\begin{table}",
        r"\centering",
        r"\caption{On \$digits\$ \{test\}}",
        r"\label{tab:my-runs}",
    ]
    row = next(line for line in text.splitlines() if line.startswith("a"))
    cells = [unescaped_latex(cell) for cell in re.split(r" & ", row.removesuffix(r" \\").replace(r"\&", "\0"))]
    assert [cell.replace("\0", "&") for cell in cells] == list(TRICKY.rows[0])
    assert r"{[}0.9 & $-$0.5 pt \\" in text


def test_what_is_best_is_bold() -> None:
    table = TextTable(("", "A", "B"), [("top-1", "90 %", "95 %")], best=frozenset({(0, 2)}))
    assert "| top-1 | 90 % | **95 %** |" in to_markdown(table)
    assert r"top-1 & 90 \% & \textbf{95 \%} \\" in to_latex(table)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="3 cells in a table of 2"):
        TextTable(("a", "b"), [("1", "2", "3")])


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4), TEXTS)
def test_a_strict_parser_of_latex_finds_one_table_whatever_stands_in_it(rows: list[tuple[str, str]], title: str) -> None:
    text = to_latex(TextTable(("a", "b"), rows, title))
    nodes, _, _ = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
    assert [node.environmentname for node in nodes if isinstance(node, LatexEnvironmentNode)] == ["table"]
