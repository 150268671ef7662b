"""The command ``export``: numbers and figures of runs for papers, spreadsheets and other programs."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from efficient360.cli.output_options import path_option
from efficient360.cli.run_folders import load
from efficient360.cli.written_file import write_file
from efficient360.errors import SettingsError

FORMATS: Final = ("md", "tex", "csv", "json", "parquet")
SUFFIXES: Final = {".md": "md", ".markdown": "md", ".tex": "tex", ".csv": "csv", ".json": "json", ".parquet": "parquet"}
CONTENTS: Final = ("scores", "summary", "metrics")
EPILOG = """md and tex are tables to read, with the runs as columns; csv, json and parquet hold numbers in full, a row an outcome and run.

examples:
  efficient360 export runs/a runs/b --format md
  efficient360 export runs/a runs/b --axis robustness --content summary --format tex --out robustness.tex
  efficient360 export runs/a --metric corruption_accuracy --format csv
  efficient360 export runs/a runs/b --figure radar.pdf --figure radar.svg"""


def add_options(command: argparse.ArgumentParser) -> None:
    """Give the command its options."""
    command.epilog, command.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    command.add_argument("runs", type=path_option, nargs="+", metavar="RUN", help="folder of a run; several become columns")
    command.add_argument("--format", choices=FORMATS, help="Markdown, LaTeX (booktabs), CSV, JSON or Parquet (default: by --out, else md)")
    command.add_argument("--out", type=path_option, metavar="FILE", help="file to write (default: the standard output)")
    what = command.add_argument_group("contents")
    what.add_argument("--axis", default="", metavar="NAME", help="only metrics of this axis, such as robustness")
    what.add_argument("--metric", default="", metavar="NAME", help="only this metric, such as corruption_accuracy")
    default = "by default all metrics where an axis or a metric is named or the format is for programs, else the summary metrics"
    what.add_argument("--content", choices=CONTENTS, help=f"scores of the axes, summary metrics, or all metrics ({default})")
    what.add_argument("--no-intervals", action="store_true", help="leave the intervals out of md and tex")
    what.add_argument("--label", default="", metavar="NAME", help="label of the table in LaTeX, such as tab:robustness")
    what.add_argument(
        "--figure", type=path_option, action="append", default=[], metavar="FILE", help="write radar.svg, .pdf or .png, or another figure by name (repeatable)"
    )
    what.add_argument("--plugin", type=path_option, action="append", default=[], metavar="FILE", help="file with further dimensions (repeatable)")


def export(options: argparse.Namespace) -> int:
    """Write a table, figures, or both."""
    from efficient360.reports.export.selected import Content, exported

    form = options.format or (_by_suffix(options.out) if options.out is not None else "md")
    if form == "parquet" and options.out is None:
        raise SettingsError("bad-option", "a Parquet file is not for a terminal", "name a file: --out runs.parquet")
    loaded = load(options.runs, options.plugin)
    named = [(str(run.report.checkpoint.get("name", "")), str(run.folder), run.report) for run in loaded]
    content = options.content or ("metrics" if form in ("csv", "json", "parquet") else None)
    chosen = exported(named, options.axis, options.metric, None if content is None else Content(content))
    if options.figure:
        _write_figures([(name, run.report) for name, run in zip(chosen.names, loaded, strict=True)], options.figure)
    if options.figure and not (options.format or options.out or options.axis or options.metric or options.content):
        return 0
    text = _writers(options)[form](chosen)
    if options.out is None:
        sys.stdout.write(text)
    else:
        write_file(options.out, text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace"))
        print(options.out)
    return 0


def _writers(options: argparse.Namespace) -> dict[str, Callable[[Any], Any]]:
    from efficient360.reports.export.data_rows import as_csv, as_json, as_parquet
    from efficient360.reports.export.reading_tables import names_once, reading_table
    from efficient360.reports.text_tables import to_latex, to_markdown

    return {
        "md": lambda chosen: to_markdown(reading_table(chosen, not options.no_intervals)),
        "tex": lambda chosen: to_latex(names_once(reading_table(chosen, not options.no_intervals)), options.label),
        "csv": as_csv,
        "json": as_json,
        "parquet": as_parquet,
    }


def _write_figures(named: Sequence[tuple[str, Any]], paths: Sequence[Path]) -> None:
    from efficient360.reports.figure_files import write

    for path in paths:
        print(write(named, path))


def _by_suffix(path: Path) -> str:
    if path.suffix.lower() not in SUFFIXES:
        raise SettingsError("bad-option", f"the name {path.name} tells no format", f"give --format, or one of {', '.join(SUFFIXES)}")
    return SUFFIXES[path.suffix.lower()]
