"""What each command of the command line does."""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from efficient360.errors import SettingsError

Command = Callable[[argparse.Namespace], int]


def evaluate(options: argparse.Namespace) -> int:
    """Measure a checkpoint, print the summary, tell where the report is."""
    from rich.console import Console

    from efficient360.api import evaluate as run
    from efficient360.cli.progress import listener
    from efficient360.reports import wandb
    from efficient360.reports.terminal import summary

    plan = _plan(options)
    if options.wandb:
        wandb.target(options.wandb)  # a bad name is told before the work, not after it
    with listener(sys.stderr) as listen:
        report = run(plan, listen)
    Console().print(summary(report, plan.out))
    if options.wandb:
        _log_to_wandb(report, plan.out, options)
    return 3 if options.strict and report.failures else 0


def _log_to_wandb(report: Any, folder: Path, options: argparse.Namespace) -> None:
    from efficient360.reports import wandb

    outcome = wandb.log(report, folder, options.wandb, wandb.Mode(options.wandb_mode))
    if outcome.url:
        print(f"W&B: {outcome.url}")
    elif outcome.folder and not outcome.problem:
        print(f"W&B: written to {outcome.folder}, upload it with: {outcome.command}")
    if outcome.problem:
        print(f"W&B: {outcome.problem}", file=sys.stderr)


def _plan(options: argparse.Namespace) -> Any:
    from efficient360.execution.plan import Plan, chosen, overridden, read_protocol
    from efficient360.plugins.registry import evaluators

    for name, value in (("--max-examples", options.max_examples), ("--batch-size", options.batch_size), ("--max-minutes", options.max_minutes)):
        if value is not None and value <= 0:
            raise SettingsError("bad-option", f"{name} is {value}", "give a number above 0")
    known = evaluators(options.plugin)
    protocol = read_protocol(options.protocol, known)
    only = [name.strip() for name in options.only.split(",") if name.strip()]
    from_files = [entry.name for entry in known.values() if entry.origin in {str(path) for path in options.plugin}]
    limit = options.max_examples or protocol.max_examples
    return Plan(
        checkpoint=_checkpoint(options),
        dataset=_dataset(options, limit) if options.dataset else None,
        protocol=protocol.name,
        steps=overridden(chosen(protocol, only, from_files, known), options.set),
        out=options.out or Path("runs") / _run_name(options, protocol.name),
        seed=options.seed,
        batch_size=options.batch_size,
        device=options.device,
        max_minutes=options.max_minutes,
        deployment=_deployment(options.deployment),
        plugins=tuple(options.plugin),
        command=shlex.join(["efficient360", *options.typed]),
    )


def _checkpoint(options: argparse.Namespace) -> Any:
    from efficient360.models.checkpoint import CheckpointSpec

    return CheckpointSpec(
        options.checkpoint, options.arch, _arguments(options.arch_arg), random_weights=options.random_weights, ema=options.ema, seed=options.seed
    )


def _deployment(text: str) -> str:
    if text:
        from efficient360.deployment.runtimes.catalogue import target

        target(text)  # a bad name is told before the work
    return text


def _dataset(options: argparse.Namespace, limit: int | None) -> Any:
    from efficient360.datasets.spec import DatasetSpec

    return DatasetSpec(
        options.dataset, options.data_dir, options.split, options.image_column, options.label_column, tuple(options.group_column), max_examples=limit
    )


def _arguments(pairs: list[str]) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise SettingsError("bad-option", f"--arch-arg {pair} is not KEY=VALUE", "write it as --arch-arg img_size=32")
        found[key] = yaml.safe_load(value)
    return found


def _run_name(options: argparse.Namespace, protocol: str) -> str:
    reference = options.checkpoint.rstrip("/")
    parts = [Path(reference).stem if Path(reference).suffix in (".safetensors", ".pth", ".pt", ".bin") else reference]
    parts += ["random"] if options.random_weights else []
    parts += [Path(options.dataset).name] if options.dataset else []
    parts += [f"as-{options.deployment.replace(':', '-')}"] if options.deployment else []
    parts += [protocol] + ([f"n{options.max_examples}"] if options.max_examples else [])
    return "-".join("".join(c if c.isalnum() or c in "._-" else "_" for c in part) for part in parts)


def compress(options: argparse.Namespace) -> int:
    """Write a checkpoint as a smaller file, and tell what became of its size."""
    from efficient360.cli.compressing import compress as run

    print(run(_checkpoint(options), options.variant, options.out))
    return 0


def compare(options: argparse.Namespace) -> int:
    """Print two runs side by side."""
    from efficient360.plugins.registry import dimensions
    from efficient360.reports import comparison_table
    from efficient360.reports.comparison import compare as compared
    from efficient360.reports.folder import read

    axes = dimensions()
    comparison_table.show(compared(read(options.first, axes), options.first, read(options.second, axes), options.second))
    return 0


def report(options: argparse.Namespace) -> int:
    """Redraw a report from stored outcomes."""
    from rich.console import Console

    from efficient360.plugins.registry import dimensions
    from efficient360.reports.folder import read, save
    from efficient360.reports.terminal import summary

    found = read(options.run, dimensions(options.plugin))
    save(found, options.run)
    Console().print(summary(found, options.run))
    return 0


def leaderboard(options: argparse.Namespace) -> int:
    """Write a page over many runs."""
    from efficient360.leaderboard.build import build
    from efficient360.plugins.registry import dimensions
    from efficient360.reports.folder import read

    axes = dimensions()
    page = build([(folder, read(folder, axes)) for folder in options.runs], options.out)
    print(page)
    return 0


def list_names(options: argparse.Namespace) -> int:
    """Print what there is to choose from."""
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
    """Fill a matrix of models, runtimes and devices, and draw its page."""
    import warnings

    for category in (DeprecationWarning, FutureWarning):  # the libraries' word to their developers, not to the user
        warnings.simplefilter("ignore", category)
    from efficient360.benchmark.plan import MatrixPlan, read_devices, read_targets
    from efficient360.benchmark.progress import ProgressMeter
    from efficient360.benchmark.publish import publish
    from efficient360.benchmark.run import run
    from efficient360.benchmark.zoo import read_models

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
        print(publish(options.out))
    return 0


def devices(options: argparse.Namespace) -> int:
    """Print what is reachable."""
    from efficient360.cli.devices import devices as run

    return run(options)


def doctor(_: argparse.Namespace) -> int:
    """Print what is missing here."""
    from efficient360.cli.devices import doctor as run

    return run()


RUN: Mapping[str, Command] = {
    "evaluate": evaluate,
    "compress": compress,
    "compare": compare,
    "report": report,
    "leaderboard": leaderboard,
    "benchmark": benchmark,
    "list": list_names,
    "show": show_one,
    "devices": devices,
    "doctor": doctor,
}
