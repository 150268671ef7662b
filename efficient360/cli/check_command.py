"""The command ``check``: a run held against rules, for CI."""

import argparse
import sys
from pathlib import Path
from typing import Final

from efficient360.cli.output_options import add_output_options, path_option
from efficient360.cli.run_folders import warn_of_unreadable_lines
from efficient360.cli.written_file import write_file

GATE_FAILED: Final = 4
FORMATS = ("text", "md", "json", "junit")
EPILOG = """A limit with a sign is a change against the baseline, one without is the value itself. Units: pt (percentage points), % (of a value in percent, or a
share of any other), ms, s, MB, MiB, GMAC, mJ and the like. METRIC[epsilon=4/255] takes one value of several, axes.NAME the score of an axis.

examples:
  efficient360 check runs/new --baseline runs/main --fail-if 'top1 < -0.5pt' --fail-if 'latency_p50 > +10%'
  efficient360 check runs/new --require 'robust_accuracy[epsilon=4/255] >= 20%' --require 'axes.privacy >= 0.5'
  efficient360 check runs/new --baseline runs/main --rules rules.yaml --junit check.xml --format md

exit codes: 0 passed, 4 failed, 2 bad input"""


def add_options(command: argparse.ArgumentParser) -> None:
    """Give the command its options."""
    command.epilog, command.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    command.add_argument("run", type=path_option, metavar="RUN", help="folder of the run to check")
    command.add_argument("--baseline", type=path_option, metavar="RUN", help="folder of the run that changes are measured from")
    rules = command.add_argument_group("rules")
    rules.add_argument("--fail-if", action="append", default=[], metavar="RULE", help="what must not be: 'top1 < -0.5pt', 'latency_p50 > 20ms' (repeatable)")
    rules.add_argument("--require", action="append", default=[], metavar="RULE", help="what must be: 'top1 >= 90%%'; a missing value fails (repeatable)")
    rules.add_argument("--rules", type=path_option, metavar="FILE", help="YAML file with further rules")
    rules.add_argument("--alpha", type=float, metavar="P", help="chance of a false alarm of the whole check (default: 0.025)")
    rules.add_argument("--strict", action="store_true", help="let values decide without regard to chance, and fail on what is missing or undecided")
    rules.add_argument("--proven", action="store_true", help="fail a --require rule, too, where its value keeps it and its 95 %% interval does not")
    rules.add_argument("--plugin", type=path_option, action="append", default=[], metavar="FILE", help="file with further dimensions (repeatable)")
    where = command.add_argument_group("results")
    where.add_argument("--format", choices=FORMATS, default="text", help="how to print the result (default: text)")
    where.add_argument("--junit", type=path_option, metavar="FILE", help="write JUnit XML to this file, too")
    where.add_argument("--markdown", type=path_option, metavar="FILE", help="write a Markdown summary to this file, too")
    add_output_options(command)


def check(options: argparse.Namespace) -> int:
    """Print which rules a run breaks.

    Returns:
        0, or 4 where the check fails.
    """
    from efficient360.cli.output import Form, Result
    from efficient360.reports.gate import terminal
    from efficient360.reports.gate.run_check import check as check_run

    result = check_run(
        options.run,
        baseline=options.baseline,
        fail_if=options.fail_if,
        require=options.require,
        rules=options.rules,
        alpha=options.alpha,
        strict=options.strict,
        proven=options.proven,
        plugins=options.plugin,
    )
    for folder in (result.check.run_folder, result.check.baseline_folder):
        if folder:
            warn_of_unreadable_lines(Path(folder))
    for path, written in ((options.junit, result.to_junit), (options.markdown, result.to_markdown)):
        if path is not None:
            write_file(path, written().encode("utf-8", "backslashreplace"))
    document = {"md": result.to_markdown, "junit": result.to_junit}.get(options.format)
    if options.format == "json":
        options.console.form = Form.JSON
    if document is not None and options.console.form is not Form.JSON:
        sys.stdout.write("" if options.console.form is Form.NOTHING else document())
        options.console.log(document())
    else:
        options.console.result(Result(lambda: terminal.text(result.check), lambda: terminal.summary(result.check), result.to_json))
    return 0 if result.passed else GATE_FAILED
