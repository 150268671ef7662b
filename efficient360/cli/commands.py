"""The commands of the command line."""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from efficient360.cli.checkpoint_options import checkpoint_spec, pairs, weights_key
from efficient360.cli.run_folders import warn_of_unreadable_lines
from efficient360.errors import SettingsError

Command = Callable[[argparse.Namespace], int]


def evaluate(options: argparse.Namespace) -> int:
    """Evaluate a checkpoint and print the summary with the path of the report."""
    from efficient360 import api
    from efficient360.cli.output import Result
    from efficient360.execution.plan import parse_settings
    from efficient360.reports.terminal import summary
    from efficient360.reports.wandb.log import mode_of, parse_project

    if options.wandb:
        parse_project(options.wandb)  # a bad name is rejected before the work, not after it
        mode_of(options.wandb_mode)
    with options.console.progress() as listen:
        run = api.evaluate(
            options.checkpoint,
            options.dataset,
            protocol=options.protocol,
            only=_names(options.only),
            settings=parse_settings(options.set),
            out=options.out,
            progress=listen,
            architecture=options.arch,
            arguments=pairs("--arch-arg", options.arch_arg),
            preprocessing=pairs("--preprocess", options.preprocess),
            output=options.output,
            random_weights=options.random_weights,
            weights_key=weights_key(options),
            data_dir=options.data_dir,
            split=options.split,
            image_column=options.image_column,
            label_column=options.label_column,
            group_columns=options.group_column,
            class_map=options.class_map,
            class_order=options.class_order,
            max_examples=options.max_examples,
            seed=options.seed,
            batch_size=options.batch_size,
            device=options.device,
            deployment=options.deployment,
            max_minutes=options.max_minutes,
            plugins=options.plugin,
            command=shlex.join(["efficient360", *options.typed]),
        )
    options.console.result(Result(lambda: summary(run.report, run.folder), lambda: repr(run), lambda: {"folder": str(run.folder)}))
    if options.wandb:
        _log_to_wandb(run.report, run.folder, options)
    return 3 if options.strict and run.failures else 0


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if text and not names:
        raise SettingsError(
            "bad-option", f"--only {text!r} names no evaluator", "leave it out to run the whole protocol, or name evaluators: --only accuracy,macs"
        )
    return names


def _log_to_wandb(report: Any, folder: Path, options: argparse.Namespace) -> None:
    from efficient360.reports.wandb.log import log, mode_of

    outcome = log(report, folder, options.wandb, mode_of(options.wandb_mode))
    if outcome.url:
        print(f"W&B: {outcome.url}")
    elif outcome.folder and not outcome.problem:
        print(f"W&B: written to {outcome.folder}, upload it with: {outcome.command}")
    if outcome.problem:
        print(f"W&B: {outcome.problem}", file=sys.stderr)


def compress(options: argparse.Namespace) -> int:
    """Compress a checkpoint to a smaller file and print the sizes."""
    from efficient360.methods.compression.compress import compress_checkpoint

    print(compress_checkpoint(checkpoint_spec(options), options.variant, options.out))
    return 0


def compare(options: argparse.Namespace) -> int:
    """Compare runs."""
    from efficient360.cli.compare_command import compare as run

    return run(options)


def report(options: argparse.Namespace) -> int:
    """Rebuild a report from stored outcomes; with ``--against``, a page that lays other runs over it too."""
    from efficient360 import api
    from efficient360.cli.compare_command import overlay
    from efficient360.core.terminal import console
    from efficient360.reports.terminal import summary

    run = api.load_report(options.run, options.plugin)
    warn_of_unreadable_lines(run.folder)
    run.save(run.folder)
    page = overlay(options.run, options.against, options.plugin) if options.against else None
    console().print(summary(run.report, run.folder))
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


def inspect(options: argparse.Namespace) -> int:
    """Print what a checkpoint or a data set is."""
    from efficient360.cli.inspect_command import inspect as run

    return run(options)


def devices(options: argparse.Namespace) -> int:
    """Print reachable devices."""
    from efficient360.cli.devices import devices as run

    return run(options)


def doctor(options: argparse.Namespace) -> int:
    """Print what this machine lacks."""
    from efficient360.cli.devices import doctor as run

    return run(options)


RUN: Mapping[str, Command] = {
    "evaluate": evaluate,
    "compress": compress,
    "compare": compare,
    "report": report,
    "leaderboard": leaderboard,
    "benchmark": benchmark,
    "list": list_names,
    "show": show_one,
    "inspect": inspect,
    "devices": devices,
    "doctor": doctor,
}
