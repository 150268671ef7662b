"""A table of texts as Markdown, LaTeX or CSV: for a pull request, a paper, a spreadsheet. Whatever stands in a cell stays in it."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from efficient360.core.text import one_line

LATEX: Final[Mapping[str, str]] = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
    "\N{NO-BREAK SPACE}": "~",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "‑": "-",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "→": r"$\rightarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "†": r"$\dagger$",
    "∞": r"$\infty$",
    "…": r"\ldots{}",
    "°": r"$^{\circ}$",
    "µ": r"$\mu$",
    "μ": r"$\mu$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "ε": r"$\varepsilon$",
    "λ": r"$\lambda$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "ℓ": r"$\ell$",
    "Δ": r"$\Delta$",
    "₀": "$_{0}$",
    "₁": "$_{1}$",
    "₂": "$_{2}$",
    "²": "$^{2}$",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
}
"""What stands for a character in LaTeX. Letters of any script stay as they are: pdfLaTeX reads UTF-8, scripts beyond Latin want XeLaTeX or LuaLaTeX."""

_MARKDOWN: Final = re.compile(r"([\\`*_\[\]<>|~#&])")
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@final
@dataclass(frozen=True)
class TextTable:
    """A table whose cells are texts as a person reads them.

    Args:
        columns: Heads of the columns.
        rows: As many cells a row as there are columns.
        title: Its caption; ``""`` for none.
        left: How many columns from the left hold words, and are aligned left; the others hold numbers, and are aligned right.
        words_last: How many columns from the right hold words, too.
        notes: Sentences below it.
        best: Cells that win their comparison, as (row, column); bold in Markdown and LaTeX.

    Raises:
        ValueError: A row has more or fewer cells than there are columns.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    left: int = 1
    words_last: int = 0
    notes: Sequence[str] = ()
    best: frozenset[tuple[int, int]] = frozenset()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells in a table of {len(self.columns)} columns")

    def holds_words(self, column: int) -> bool:
        """Whether a column is aligned left."""
        return column < self.left or column >= len(self.columns) - self.words_last


def data_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> TextTable:
    """Plain data for :func:`to_csv`: numbers in full, nothing where there is none, ``true`` and ``false``.

    Args:
        columns: Keys of the rows, in order.
        rows: A value for each of the keys; others are left out.
    """
    return TextTable(columns, [[_data_cell(row[name]) for name in columns] for row in rows])


def to_markdown(table: TextTable) -> str:
    """The table as GitHub-flavoured Markdown, its title as a bold line above it. Nothing in a cell is markup."""
    lines = [f"**{escape_markdown(table.title)}**", ""] if table.title else []
    lines += [_markdown_row([escape_markdown(column) for column in table.columns])]
    lines += [_markdown_row([":---" if table.holds_words(i) else "---:" for i in range(len(table.columns))])]
    for r, row in enumerate(table.rows):
        cells = [escape_markdown(cell) for cell in row]
        lines.append(_markdown_row([f"**{cell}**" if (r, c) in table.best and cell else cell for c, cell in enumerate(cells)]))
    lines += [line for note in table.notes for line in ("", escape_markdown(note))]
    return "\n".join(lines) + "\n"


def to_latex(table: TextTable, label: str = "") -> str:
    r"""The table as a ``table`` environment with ``booktabs`` rules: wants ``\usepackage{booktabs}`` and nothing else.

    Args:
        table: The table; its title is the caption.
        label: What ``\ref`` calls it; without one, none is written.
    """
    columns = "".join("l" if table.holds_words(i) else "r" for i in range(len(table.columns)))
    lines = [r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{escape_latex(table.title)}}}"] if table.title else []
    lines += [rf"\label{{{re.sub(r'[^A-Za-z0-9:._-]+', '-', label)}}}"] if label else []
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex_row([escape_latex(column) for column in table.columns]), r"\midrule"]
    for r, row in enumerate(table.rows):
        cells = [escape_latex(cell) for cell in row]
        lines.append(_latex_row([rf"\textbf{{{cell}}}" if (r, c) in table.best and cell else cell for c, cell in enumerate(cells)]))
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [line for note in table.notes for line in (r"\par\smallskip", rf"{{\footnotesize {escape_latex(note)}}}")]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def to_csv(table: TextTable) -> str:
    """The table as CSV (RFC 4180) with a line of heads, for ``csv.reader``, pandas and spreadsheets.

    A text that a spreadsheet would run as a formula (a name that begins with ``=``) gets an apostrophe before it; numbers stay as they are.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_spreadsheet_cell(column) for column in table.columns])
    writer.writerows([_spreadsheet_cell(cell) for cell in row] for row in table.rows)
    return text.getvalue()


def escape_markdown(text: str) -> str:
    """A text on one line in which nothing is Markdown or HTML."""
    return _MARKDOWN.sub(r"\\\1", one_line(text))


def escape_latex(text: str) -> str:
    """A text on one line in which nothing is a command of LaTeX."""
    escaped = "".join(LATEX.get(character, character) for character in one_line(text))
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped[:1] in ("[", "*") else escaped  # else the line break before it takes it for its argument


def _spreadsheet_cell(cell: str) -> str:
    """A cell of a CSV file that no spreadsheet runs as a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell


def _data_cell(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
