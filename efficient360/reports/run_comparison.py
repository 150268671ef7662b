"""A comparison for notebooks and the command line: its verdicts by axis and metric, a data frame, tables for papers and pull requests, the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from efficient360.errors import MetricError
from efficient360.reports import figure_files
from efficient360.reports.comparing import documents, words
from efficient360.reports.comparing.verdicts import AxisComparison, Comparison, MetricComparison
from efficient360.reports.report import Report
from efficient360.storage.outcomes import write_atomically
from efficient360.storage.writing import into

FORMS: Final = {".md": "md", ".csv": "csv", ".tex": "tex", ".json": "json", ".html": "html", ".txt": "text"}


@final
@dataclass(frozen=True, repr=False)
class RunComparison:
    """Runs side by side. ``print(comparison)`` is what the command prints.

    Args:
        comparison: The verdicts.
        reports: The runs' reports.
    """

    comparison: Comparison
    reports: Sequence[Report]

    @property
    def names(self) -> Sequence[str]:
        """Names of the checkpoints; the first is called A."""
        return self.comparison.names

    @property
    def axes(self) -> Sequence[AxisComparison]:
        """The verdict on each axis."""
        return self.comparison.axes

    @property
    def rows(self) -> Sequence[MetricComparison]:
        """The verdict on each metric, of every pair of runs."""
        return self.comparison.rows

    @property
    def same_data(self) -> bool:
        """Whether all runs were evaluated on the same examples."""
        return self.comparison.same_data

    @property
    def paired(self) -> int:
        """Largest number of examples in a paired test."""
        return self.comparison.paired

    @property
    def headline(self) -> str:
        """Which run is better on which axes, and on how many neither is."""
        return words.headline(self.comparison)

    def __getitem__(self, axis: str) -> AxisComparison:
        """One axis by its name.

        Raises:
            MetricError: There is none (``unknown-metric``).
        """
        found = next((entry for entry in self.axes if entry.name == axis), None)
        if found is None:
            raise MetricError("unknown-metric", f"the comparison has no axis {axis!r}", f"it has: {', '.join(entry.name for entry in self.axes)}")
        return found

    def __repr__(self) -> str:
        """One line: the names, and on how many axes the first two differ."""
        return repr(self.comparison)

    def __str__(self) -> str:
        """As the terminal shows it."""
        return documents.plain_text(self.comparison, False)

    def to_frame(self) -> Any:
        """A ``pandas.DataFrame`` with one row per pair of runs, metric and set of conditions; see :meth:`Comparison.to_frame`."""
        return self.comparison.to_frame()

    def to_markdown(self, everything: bool = False) -> str:
        """For a pull request; ``everything`` adds all metrics."""
        return documents.markdown(self.comparison, everything)

    def to_latex(self, everything: bool = False) -> str:
        """For a paper, with ``booktabs``."""
        return documents.latex(self.comparison, everything)

    def to_csv(self, everything: bool = True) -> str:
        """A line a metric, numbers in full."""
        return documents.csv(self.comparison, everything)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return documents.data(self.comparison)

    def to_html(self) -> str:
        """The page with the radars laid over one another."""
        return documents.document(self.comparison, "html", True, self.reports)

    def save(self, path: str | Path, everything: bool = False) -> Path:
        """Write it to a file in the form that its ending names: ``.html``, ``.md``, ``.tex``, ``.csv``, ``.json``, ``.txt``.

        Raises:
            SettingsError: Another ending (``bad-option``).
            RunError: It can't be written.
        """
        file = Path(path)
        form = FORMS.get(file.suffix.lower(), file.suffix.lstrip("."))
        write_document(documents.document(self.comparison, form, everything, self.reports), file)
        return file

    def save_figure(self, path: str | Path) -> Path:
        """Write the radars laid over one another: ``radar.svg``, ``radar.pdf`` or ``radar.png``.

        Raises:
            SettingsError: Another figure (``one-run-at-a-time``, ``no-such-figure``) or format (``unknown-format``).
            RunError: The file can't be written.
        """
        runs = zip(self.names, self.reports, strict=True)
        return figure_files.write([(f"{words.letter(run)} {name}", report) for run, (name, report) in enumerate(runs)], Path(path))

    def _repr_html_(self) -> str:
        """The axes as a table, for notebooks."""
        return documents.html_table(documents.axes_table(self.comparison))


def write_document(document: str, path: Path) -> None:
    """Write a document whole or not at all.

    Raises:
        RunError: The system refuses it (``unwritable-run``).
    """
    with into(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, document.encode("utf-8", "replace"))
