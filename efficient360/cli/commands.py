"""The commands of the command line."""

import argparse
import sys
from collections.abc import Callable, Mapping

from efficient360.cli.run_folders import load, warn_of_unreadable_lines

Command = Callable[[argparse.Namespace], int]


def evaluate(options: argparse.Namespace) -> int:
    """Evaluate checkpoints and print what they come to."""
    from efficient360.cli.evaluate_command import evaluate as run

    return run(options)


def compress(options: argparse.Namespace) -> int:
    """Compress a checkpoint to a smaller file, and print what that does."""
    from efficient360.cli.compress_command import compress as run

    return run(options)


def compare(options: argparse.Namespace) -> int:
    """Compare runs."""
    from efficient360.cli.compare_command import compare as run

    return run(options)


def check(options: argparse.Namespace) -> int:
    """Print which rules a run breaks."""
    from efficient360.cli.check_command import check as run

    return run(options)


def export(options: argparse.Namespace) -> int:
    """Write runs as tables and figures."""
    from efficient360.cli.export_command import export as run

    return run(options)


def report(options: argparse.Namespace) -> int:
    """Rebuild a report from stored outcomes; with ``--against``, a page that lays other runs over it too."""
    from efficient360.cli.compare_command import overlay
    from efficient360.core.terminal import console
    from efficient360.reports.terminal import full_listing
    from efficient360.reports.terminal_summary import summary

    (run,) = load([options.run], options.plugin)
    page = overlay(run, options.against, options.plugin) if options.against else None
    run.save(run.folder)  # after the other page: it links to it
    console().print((full_listing if options.all else summary)(run.report, run.folder))
    if page is not None:
        print(page)
    return 0


def leaderboard(options: argparse.Namespace) -> int:
    """Write a page that compares many runs."""
    from efficient360.leaderboard.build import build
    from efficient360.plugins.registry import dimensions
    from efficient360.reports.folder import read

    axes = dimensions()
    page = build([(folder, read(folder, axes)) for folder in options.runs], options.out)
    for folder in options.runs:
        warn_of_unreadable_lines(folder)
    print(page)
    return 0


def list_names(options: argparse.Namespace) -> int:
    """Print the names of one kind with their descriptions."""
    from efficient360.cli.listing import listing

    for line in listing(options.what, options.plugin):
        print(line)
    return 0


def show_one(options: argparse.Namespace) -> int:
    """Print one evaluator, dimension, data set, checkpoint or protocol in full."""
    from efficient360.cli.listing import show

    print(show(options.what, options.name, options.plugin))
    return 0


def benchmark(options: argparse.Namespace) -> int:
    """Measure a matrix of models, runtimes and devices, and write its page."""
    import warnings

    for category in (DeprecationWarning, FutureWarning):  # meant for developers of the libraries, not for the user
        warnings.simplefilter("ignore", category)
    from efficient360.benchmark.plan import MatrixPlan, read_devices, read_targets
    from efficient360.benchmark.progress import ProgressMeter
    from efficient360.benchmark.publish import publish
    from efficient360.benchmark.run import run
    from efficient360.benchmark.store import CELLS, CellStore
    from efficient360.benchmark.zoo import read_models
    from efficient360.execution.progress import unreadable_lines

    if options.models:
        plan = MatrixPlan(
            models=read_models(options.models, options.random_weights, options.seed),
            targets=read_targets(options.runtimes),
            devices=read_devices(options.device),
            out=options.out,
            batch=options.batch,
            threads=options.threads,
            turns=options.repeat,
            seed=options.seed,
            convert_only=options.convert_only,
            keep_artefacts=options.keep_artefacts,
            retry_failed=options.retry_failed,
        )
        run(plan, ProgressMeter(sys.stderr))
    if not options.convert_only:
        page = publish(options.out)
        if count := CellStore(options.out).corrupt_lines():
            print(f"efficient360: {unreadable_lines(count, f'{options.out}/{CELLS}')}", file=sys.stderr)
        print(page)
    return 0


def optimize(options: argparse.Namespace) -> int:
    """Find the variant of a checkpoint to ship."""
    from efficient360.cli.optimize_command import optimize as run

    return run(options)


def inspect(options: argparse.Namespace) -> int:
    """Print what a checkpoint or a data set is."""
    from efficient360.cli.inspect_command import inspect as run

    return run(options)


def init(options: argparse.Namespace) -> int:
    """Write a job file."""
    from efficient360.cli.init_command import init as run

    return run(options)


def devices(options: argparse.Namespace) -> int:
    """Print reachable devices."""
    from efficient360.cli.devices import devices as run

    return run(options)


def doctor(options: argparse.Namespace) -> int:
    """Print what this machine lacks."""
    from efficient360.cli.devices import doctor as run

    return run(options)


def completion(options: argparse.Namespace) -> int:
    """Print a shell's completion script."""
    from efficient360.cli.completion import script

    print(script(options.shell))
    return 0


RUN: Mapping[str, Command] = {
    "evaluate": evaluate,
    "compress": compress,
    "compare": compare,
    "check": check,
    "export": export,
    "report": report,
    "leaderboard": leaderboard,
    "benchmark": benchmark,
    "optimize": optimize,
    "list": list_names,
    "show": show_one,
    "inspect": inspect,
    "init": init,
    "completion": completion,
    "devices": devices,
    "doctor": doctor,
}
