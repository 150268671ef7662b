"""``compare`` and the overlay of ``report --against``: runs side by side on the terminal, as a document or as a page."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from efficient360.cli.output_options import add_output_options, path_option
from efficient360.cli.run_folders import load
from efficient360.errors import SettingsError

FORMATS: Final = ("text", "md", "csv", "tex", "json", "html")
FEWEST: Final = 2


def add_compare(command: argparse.ArgumentParser) -> None:
    """Give a command the options of ``compare``."""
    command.add_argument("runs", type=path_option, nargs="+", metavar="RUN", help="folders of two or more runs; the first is A")
    command.add_argument("--all", action="store_true", dest="everything", help="every metric too, after the axes and what decides")
    command.add_argument(
        "--format",
        choices=FORMATS,
        help="text, Markdown, CSV, LaTeX, JSON, or an HTML page with the radars laid over one another (default: by --out's ending, else text)",
    )
    command.add_argument("--out", type=path_option, metavar="FILE", help="write it to this file (default: the terminal)")
    command.add_argument("--plugin", type=path_option, action="append", default=[], metavar="FILE", help="file with further dimensions (repeatable)")
    add_output_options(command)


def compare(options: argparse.Namespace) -> int:
    """Compare runs and print or write what comes of it.

    Raises:
        SettingsError: One run only, a format beside another, or a file whose ending tells none (``bad-option``).
        RunError: A run can't be read, or two share no metric.
    """
    from efficient360 import api
    from efficient360.cli.output import Form, Result
    from efficient360.reports.comparing import documents, text

    if len(options.runs) < FEWEST:
        raise SettingsError("bad-option", "compare got one run", "give the folders of two runs or more: efficient360 compare runs/a runs/b")
    if options.format not in (None, "text") and options.console.form in (Form.JSON, Form.SUMMARY):
        raise SettingsError("bad-option", f"--format {options.format} beside --{options.console.form}", "choose one of the two")
    form = options.format or ("text" if options.out is None else _by_ending(options.out))
    compared = api.compare(*load(options.runs, options.plugin))
    if form == "text" and options.out is None:
        data = compared.comparison
        options.console.result(Result(lambda: text.text(data, options.everything), lambda: text.brief(data), lambda: documents.data(data)))
        return 0
    document = documents.document(compared.comparison, form, options.everything, compared.reports)
    if options.out is None:
        sys.stdout.write(document)
    else:
        from efficient360.reports.run_comparison import write_document

        write_document(document, options.out)
    return 0


def _by_ending(path: Path) -> str:
    """The format that a file's ending names; text where it has none.

    Raises:
        SettingsError: Another ending (``bad-option``).
    """
    from efficient360.reports.run_comparison import FORMS

    if not path.suffix:
        return "text"
    if path.suffix.lower() not in FORMS:
        raise SettingsError("bad-option", f"a comparison can't be written as {path.suffix}", f"give --format, or one of {', '.join(FORMS)}")
    return FORMS[path.suffix.lower()]


def overlay(run: Any, others: Sequence[Path], plugins: Sequence[Path]) -> Path:
    """Write a page that lays other runs over one, into its folder; the page's path.

    Args:
        run: The loaded run.
        others: Folders of the others.
        plugins: Files with further dimensions.

    Raises:
        RunError: A run can't be read, two share no metric, or the page can't be written.
    """
    from efficient360 import api
    from efficient360.core.paths import file_name
    from efficient360.reports.folder import AGAINST
    from efficient360.reports.run_comparison import write_document

    page = Path(run.folder) / f"{AGAINST}{file_name('-'.join(folder.resolve().name for folder in others))}.html"
    write_document(api.compare(run, *load(others, plugins)).to_html(), page)
    return page
