"""The options that say how a command prints its result. :mod:`efficient360.cli.output` acts on them."""

import argparse
from pathlib import Path


def add_output_options(command: argparse.ArgumentParser) -> None:
    """Give a command ``--json``, ``--summary``, ``--quiet`` and ``--log-file``."""
    group = command.add_argument_group("output")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the result as one JSON document, and nothing else on the standard output")
    form.add_argument("--summary", action="store_true", help="print a few lines only: the verdict and where the rest is")
    group.add_argument("--quiet", action="store_true", help="print no progress, and no result unless --json or --summary asks for it; errors are printed")
    group.add_argument("--log-file", type=path_option, metavar="FILE", help="append progress, warnings and the result to this file, each line with its time")


def path_option(text: str) -> Path:
    """A path as typed, with ``~`` for the user's folder."""
    from efficient360.core.paths import user_path

    return user_path(text)
