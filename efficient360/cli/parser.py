"""The command line: options, exit codes, errors. Everything heavy is imported inside the commands."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from efficient360.cli import check_command, export_command, optimize_command
from efficient360.cli.argument_parser import Parser, unknown_argument
from efficient360.cli.checkpoint_options import add_checkpoint_options, seed_option
from efficient360.cli.compare_command import add_compare
from efficient360.cli.data_options import add_data_options
from efficient360.cli.output_options import add_output_options, path_option
from efficient360.errors import Efficient360Error, SettingsError

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130
EPILOG = """examples:
  efficient360 evaluate digits-vit --dataset digits
  efficient360 evaluate model.safetensors --dataset cifar10 --data-dir DIR --protocol standard
  efficient360 evaluate deit_tiny_patch16_224 --random-weights
  efficient360 inspect model.pth
  efficient360 inspect photos/
  efficient360 compare runs/a runs/b
  efficient360 check runs/new --baseline runs/main --fail-if 'top1 < -0.5pt'"""


SHELLS: Final = ("bash", "zsh", "fish")
COMPLETION_EPILOG = """install it:
  bash  efficient360 completion bash >> ~/.bashrc
  zsh   efficient360 completion zsh >> ~/.zshrc        (after compinit)
  fish  efficient360 completion fish > ~/.config/fish/completions/efficient360.fish"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = Parser(
        prog="efficient360",
        description="360° evaluation of vision transformers: one command from a checkpoint to a full report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    _evaluate(commands.add_parser("evaluate", help="evaluate a checkpoint and write its report"))
    _compress(commands.add_parser("compress", help="compress a checkpoint to a smaller file, which evaluate accepts like any other"))
    add_compare(commands.add_parser("compare", help="compare runs: a verdict per axis, by paired tests over the same examples"))
    check_command.add_options(commands.add_parser("check", help="hold a run against rules and a baseline, and fail where they are broken: a gate for CI"))
    export_command.add_options(commands.add_parser("export", help="write runs as a table (Markdown, LaTeX, CSV, JSON, Parquet) and figures (SVG, PDF, PNG)"))
    report = commands.add_parser("report", help="rebuild a report from stored outcomes, without running a model")
    report.add_argument("run", type=path_option, help="folder of a run")
    report.add_argument("--all", action="store_true", help="print every metric, not only the verdict and a line for each axis")
    report.add_argument("--plugin", type=path_option, action="append", default=[], metavar="FILE", help="file with further dimensions (repeatable)")
    report.add_argument(
        "--against", type=path_option, action="append", default=[], metavar="RUN", help="also write a page that lays this run over it (repeatable)"
    )
    listing = commands.add_parser("list", help="list evaluators by axis with cost and protocol, dimensions, data sets, checkpoints, protocols or runtimes")
    listing.add_argument("what", choices=("evaluators", "dimensions", "datasets", "checkpoints", "protocols", "runtimes"), help="what to list")
    listing.add_argument("--plugin", type=path_option, action="append", default=[], metavar="FILE", help="file with further evaluators (repeatable)")
    show = commands.add_parser("show", help="show one evaluator, dimension, data set, checkpoint or protocol in full: settings, metrics, sources")
    show.add_argument("what", choices=("evaluator", "dimension", "dataset", "checkpoint", "protocol"), help="kind of what is shown")
    show.add_argument("name", help="its name, as efficient360 list prints it")
    show.add_argument("--plugin", type=path_option, action="append", default=[], metavar="FILE", help="file with further evaluators (repeatable)")
    _inspect(commands.add_parser("inspect", help="describe a checkpoint or a data set in seconds, with the command that evaluates it"))
    _init(commands.add_parser("init", help="write a job file for evaluate --config, from what inspect finds of checkpoints and data"))
    optimize_command.add_options(commands.add_parser("optimize", help="find the variant to ship: compress, compile and measure until goals are met"))
    _benchmark(commands.add_parser("benchmark", help="latency of models × runtimes × devices, with an HTML page"))
    boards = commands.add_parser("leaderboard", help="compare many runs on one page").add_subparsers(dest="action", metavar="ACTION", required=True)
    build = boards.add_parser("build", help="write a static page from runs")
    build.add_argument("runs", type=path_option, nargs="+", help="folders of runs")
    build.add_argument("--out", type=path_option, default=Path("site"), help="folder to write (default: site)")
    devices = commands.add_parser("devices", help="list devices to measure on, and the runtimes installed there")
    devices.add_argument("address", nargs="*", help="further devices to probe: ssh://user@host, adb://serial, limited:1core-2gb")
    completion = commands.add_parser("completion", help="print a script that completes commands, options and names in a shell")
    completion.add_argument("shell", choices=SHELLS, help="which shell; where the script goes is told below")
    completion.epilog = COMPLETION_EPILOG
    completion.formatter_class = argparse.RawDescriptionHelpFormatter
    add_output_options(commands.add_parser("doctor", help="check what this machine lacks for each measurement, and how to install it"))
    return top


def _compress(command: argparse.ArgumentParser) -> None:
    _checkpoint(command)
    command.add_argument("variant", help="half, quantization:BITS, clustering:CLUSTERS, pruning:PERCENT or two_of_four")
    command.add_argument("--out", type=path_option, metavar="FILE", help="file to write (default: CHECKPOINT-VARIANT.safetensors)")


def _benchmark(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--models", default="", metavar="A,B", help="name or YAML file of a zoo, or comma-separated checkpoints; without it only the page is rebuilt"
    )
    command.add_argument("--random-weights", action="store_true", help="use random weights for checkpoints that no zoo lists")
    command.add_argument("--runtimes", default="all", metavar="A[:PRECISION],B", help="all, installed, or comma-separated runtimes (default: all, in fp32)")
    command.add_argument("--device", default="local", metavar="A,B", help="comma-separated devices: local, limited:1core-2gb, ssh://user@host (default: local)")
    command.add_argument("--out", type=path_option, required=True, metavar="DIR", help="output folder; the same command again resumes")
    command.add_argument("--batch", type=int, default=1, metavar="N", help="batch size (default: 1)")
    command.add_argument("--threads", type=int, default=0, metavar="N", help="threads per runtime (default: the device's number of cores)")
    command.add_argument("--repeat", type=int, default=1, metavar="N", help="passes over the whole matrix, to assess repeatability (default: 1)")
    command.add_argument("--seed", type=seed_option, default=0, metavar="N", help="seed of all randomness (default: 0)")
    command.add_argument("--convert-only", action="store_true", help="only convert; measure in a later call")
    command.add_argument("--keep-artefacts", action="store_true", help="keep converted models in DIR/artefacts")
    command.add_argument("--retry-failed", action="store_true", help="retry what crashed or timed out in an earlier call")


def _checkpoint(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    command.add_argument("checkpoint", help="name in the embedded zoo, timm name or tag, torchvision:NAME, hf-hub:org/name, or a path to weights")
    return add_checkpoint_options(command)


def _inspect(command: argparse.ArgumentParser) -> None:
    command.add_argument("checkpoint", metavar="CHECKPOINT|DATA", help="either, as evaluate takes it: a path, a name, KIND:PATH")
    add_checkpoint_options(command)
    add_data_options(command.add_argument_group("data"))
    command.add_argument("--format", choices=("text", "json"), default="text", help="how to print it (default: text)")


def _init(command: argparse.ArgumentParser) -> None:
    command.add_argument("checkpoint", nargs="*", help="checkpoints as evaluate takes them; without any, the embedded digits-vit on digits")
    add_checkpoint_options(command)
    data = command.add_argument_group("data")
    data.add_argument("--dataset", default="", metavar="NAME", help="data set as evaluate takes it")
    add_data_options(data)
    command.add_argument("--protocol", default="quick", help="quick, standard, full or a YAML file (default: quick)")
    command.add_argument("--out", type=path_option, default=Path("job.yaml"), metavar="FILE", help="file to write (default: job.yaml)")
    command.add_argument("--force", action="store_true", help="replace the file if it is there")


def _evaluate(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "checkpoint", nargs="*", help="names in the embedded zoo, timm names or tags, torchvision:NAME, hf-hub:org/name, or paths to weights; one run each"
    )
    command.add_argument(
        "--config", type=path_option, metavar="FILE", help="job file with models, data and options (efficient360 init writes one); options given here win"
    )
    what = add_checkpoint_options(command)
    data = command.add_argument_group("data")
    data.add_argument(
        "--dataset", default="", metavar="NAME", help="name of a data set, card.yaml, a path, or KIND:PATH such as imagenet:DIR (efficient360 list datasets)"
    )
    add_data_options(data)
    data.add_argument(
        "--class-map", type=Path, metavar="FILE", help="CSV, JSON or YAML: a class of the data, and the checkpoint's class (name or index) that it is"
    )
    data.add_argument(
        "--class-order", default="", choices=("data", "checkpoint"), help="take classes to be in the same order on both sides, and show that side's names"
    )
    data.add_argument("--max-examples", type=int, metavar="N", help="size of a stratified, seeded subset")
    what.add_argument(
        "--as",
        default="",
        dest="deployment",
        metavar="RUNTIME[:PRECISION]",
        help="evaluate the checkpoint converted to a runtime, such as onnxruntime:int8 (efficient360 list runtimes)",
    )
    how = command.add_argument_group("evaluation")
    how.add_argument("--protocol", default="quick", help="quick, standard, full or a YAML file (default: quick)")
    how.add_argument("--only", default="", metavar="A,B", help="comma-separated evaluators to run")
    how.add_argument("--set", action="append", default=[], metavar="EVALUATOR.SETTING=VALUE", help="override a setting (repeatable)")
    how.add_argument("--plugin", type=path_option, action="append", default=[], metavar="FILE", help="file with further evaluators or dimensions (repeatable)")
    how.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    how.add_argument("--batch-size", type=int, default=64, metavar="N", help="batch size (default: 64)")
    how.add_argument("--max-minutes", type=float, metavar="M", help="time budget in minutes; evaluators beyond it are reported as not run")
    where = command.add_argument_group("results")
    where.add_argument(
        "--out",
        type=path_option,
        metavar="DIR",
        help="the run's folder, or of several checkpoints the folder of their runs (default: runs/CHECKPOINT-DATASET-PROTOCOL)",
    )
    where.add_argument("--strict", action="store_true", help="exit with code 3 if any metric is missing")
    where.add_argument("--wandb", default="", metavar="PROJECT", help="log to this Weights & Biases project")
    modes = ("online", "offline", "disabled")
    where.add_argument("--wandb-mode", choices=modes, help="whether to write and upload it (default: the variable WANDB_MODE, else online)")
    add_output_options(command)


def _require_text(arguments: Sequence[str]) -> None:
    """Refuse what the report, which names the command, could not hold: bytes that are no text, as in a path of another encoding."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise SettingsError("bad-option", f"{argument!a} is not valid UTF-8", "give the file or folder another name") from error


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The options that a command line names, with what was typed as ``typed``, and this function as ``parse`` for commands that make command lines.

    Raises:
        SettingsError: An option or an argument that the command does not have (``bad-option``).
        SystemExit: Help was asked for, or a value is missing or of another kind: argparse has said so.
    """
    top = parser()
    if "_ARGCOMPLETE" in os.environ:  # set by the shell's completion function alone
        from efficient360.cli.completion import complete

        complete(top)
    options, rest = top.parse_known_args(arguments, argparse.Namespace(typed=list(arguments), parse=parse_arguments))
    if options.command in ("evaluate", "init"):  # checkpoints that stand after an option
        options.checkpoint += [argument for argument in rest if not argument.startswith("-")]
        rest = [argument for argument in rest if argument.startswith("-")]
    if rest:
        raise unknown_argument(top, options, rest[0])
    return options


def run_command(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: Command-line arguments after the program's name.

    Returns:
        Exit code: 0 success, 2 bad input, 3 missing metrics under ``--strict``, 4 a check that fails, 130 interrupted.
    """
    try:
        options = parse_arguments(arguments)
    except SettingsError as error:
        from efficient360.cli.output import Output

        Output().error(error)
        return BAD_INPUT
    if options.version:
        from importlib.metadata import version

        print(version("efficient360"))
        return OK
    if options.command is None:
        parser().print_help()
        return OK
    from efficient360.cli import commands
    from efficient360.cli.output import Output, opened

    output = Output()
    with contextlib.ExitStack() as stack:
        try:
            _require_text(arguments)
            output = options.console = stack.enter_context(opened(options))
            return commands.RUN[options.command](options)
        except Efficient360Error as error:
            output.error(error)
            return BAD_INPUT
        except KeyboardInterrupt:
            print(file=sys.stderr)
            output.warn("interrupted; completed measurements are kept, and the same command resumes")
            return INTERRUPTED
