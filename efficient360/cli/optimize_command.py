"""The command ``optimize``: the variant of a checkpoint to ship on a device, under goals."""

import argparse
import shlex
from typing import Any, Final

from efficient360.cli.checkpoint_options import add_checkpoint_options, pairs, weights_key
from efficient360.cli.data_options import add_data_options
from efficient360.cli.output_options import add_output_options, path_option

UNMET: Final = 4
EPILOG: Final = """A goal names a metric, a side and a limit with its unit (ms, s; B, kB, MB, MiB; %%, pt): latency_p50, latency_p90, cold_start,
artefact_bytes, package_bytes, runtime_memory, energy_per_image, top1, top1_drop. Without one on accuracy, at most 1 pt may be lost. Latency, memory
and size are measured on the device; a goal is met only where its whole 95 %% interval says so, on images that nobody has used before.

examples:
  efficient360 optimize digits-vit --dataset digits --max-latency 0.5ms --max-drop 1pt
  efficient360 optimize model.safetensors --dataset cifar10 --data-dir DIR --device ssh://pi@host --max-latency 5ms --max-size 2MB --budget 30min
  efficient360 optimize model.safetensors --dataset cifar10 --goal 'latency_p50<10ms' --goal 'top1>=97%%' --runtimes litert,openvino --recover 2min

The same command again goes on where it was stopped. exit codes: 0 done, 4 under --strict where the goals are not met, 2 bad input or a device that is gone"""
GOALS: Final = {
    "--max-latency": ("latency_p50", "5ms", "median time of one image"),
    "--max-size": ("artefact_bytes", "2MB", "size of the files that the device needs"),
    "--max-memory": ("runtime_memory", "64MB", "peak memory of the process that runs it, Python and runtime included"),
    "--max-drop": ("top1_drop", "1pt", "top-1 accuracy lost against the original"),
}


def add_options(command: argparse.ArgumentParser) -> None:
    """Give the command its options."""
    command.epilog, command.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    command.add_argument("checkpoint", help="name in the embedded zoo, timm name or tag, torchvision:NAME, hf-hub:org/name, or a path to weights")
    add_checkpoint_options(command)
    data = command.add_argument_group("data")
    data.add_argument("--dataset", required=True, metavar="NAME", help="name of a data set, card.yaml, a path, or KIND:PATH, as evaluate takes it")
    add_data_options(data)
    data.add_argument("--max-examples", type=int, metavar="N", help="size of a stratified, seeded subset of the evaluated split")
    goals = command.add_argument_group("goals")
    for option, (metric, example, what) in GOALS.items():
        goals.add_argument(option, default="", metavar="LIMIT", help=f"{what}, such as {example} ({metric})")
    goals.add_argument("--goal", action="append", default=[], metavar="GOAL", help="any other: 'latency_p90<10ms', 'top1>=97%%' (repeatable)")
    search = command.add_argument_group("search")
    search.add_argument("--device", default="local", metavar="ADDRESS", help="local, limited:1core-2gb, ssh://user@host or adb://serial (default: local)")
    search.add_argument(
        "--runtimes", default="", metavar="A[:PRECISION],B", help="runtimes to search (default: litert, openvino and onnxruntime, as far as installed)"
    )
    search.add_argument("--threads", type=int, default=0, metavar="N", help="threads per runtime (default: 1 and the device's number of cores are tried)")
    search.add_argument("--keep", default="", metavar="KNOB,KNOB", help="what must stay as it is: input_size, dropped_blocks, mlp_kept, heads_kept …")
    search.add_argument("--budget", default="30min", metavar="TIME", help="time for the search (default: 30min)")
    search.add_argument("--trials", type=int, metavar="N", help="candidates to try at most")
    search.add_argument(
        "--recover", default="", metavar="TIME", help="train each cut network that is fast enough for so long to answer like the original again"
    )
    search.add_argument("--keep-going", action="store_true", help="go on improving once the goals are met")
    where = command.add_argument_group("results")
    where.add_argument("--out", type=path_option, metavar="DIR", help="the search's folder (default: runs/CHECKPOINT-DATASET-optimized)")
    where.add_argument("--strict", action="store_true", help="exit with code 4 where the goals are not met")
    add_output_options(command)


def optimize(options: argparse.Namespace) -> int:
    """Search, print what came of it and where it lies.

    Returns:
        0; 4 under ``--strict`` where the goals are not met.
    """
    import warnings

    for category in (DeprecationWarning, FutureWarning):  # meant for developers of the libraries, not for the user
        warnings.simplefilter("ignore", category)
    from efficient360.cli.optimize_progress import Narrator
    from efficient360.optimization import optimize as search

    done = search(
        options.checkpoint,
        options.dataset,
        goals=options.goal,
        max_latency=options.max_latency,
        max_size=options.max_size,
        max_memory=options.max_memory,
        max_drop=options.max_drop,
        device=options.device,
        runtimes=[name.strip() for name in options.runtimes.split(",") if name.strip()],
        threads=options.threads,
        keep=[name.strip().replace("-", "_") for name in options.keep.split(",") if name.strip()],
        budget=options.budget,
        trials=options.trials,
        recover=options.recover,
        keep_going=options.keep_going,
        out=options.out,
        progress=Narrator(options.console).watching(),
        architecture=options.arch,
        arguments=pairs("--arch-arg", options.arch_arg),
        preprocessing=pairs("--preprocess", options.preprocess),
        output=options.output,
        weights_key=weights_key(options),
        data_dir=options.data_dir,
        split=options.split,
        image_column=options.image_column,
        label_column=options.label_column,
        max_examples=options.max_examples,
        seed=options.seed,
        command=shlex.join(["efficient360", *options.typed]),
    )
    options.console.result(_result(done, options))
    return UNMET if options.strict and not done.met else 0


def _result(done: Any, options: argparse.Namespace) -> Any:
    from rich.console import Group
    from rich.text import Text

    from efficient360.cli.output import Result
    from efficient360.codesign.summary import summary

    def text() -> Group:
        return Group(*summary(done.result, done.name), Text("\n" + "\n".join(_handed_over(done, options))))

    return Result(text, lambda: Text("\n".join(_handed_over(done, options))), lambda: _data(done))


def _handed_over(done: Any, options: argparse.Namespace) -> list[str]:
    """Where what was found lies, and the command that evaluates it beside the original."""
    lines = [f"{'Handed over' if done.met else 'Nearest miss'}: {folder}" for folder in done.folders[:1]]
    lines += [f"{len(done.folders) - 1} further: {done.folders[1].parent}"] if len(done.folders) > 1 else []
    if done.folders:
        data = " ".join([f"--dataset {shlex.quote(options.dataset)}", *([f"--data-dir {shlex.quote(str(options.data_dir))}"] if options.data_dir else [])])
        first = done.folders[0]
        own, given = first.parent / "360", first.parent / "360-original"
        lines += [
            f"Run it: python {shlex.quote(str(first / 'run.py'))} IMAGE" if (first / "run.py").is_file() else "",
            "Its 360 beside the original's:",
            f"  efficient360 evaluate {shlex.quote(str(first))} {data} --out {shlex.quote(str(own))}",
            f"  efficient360 evaluate {shlex.quote(options.checkpoint)} {data} --out {shlex.quote(str(given))}",
            f"  efficient360 compare {shlex.quote(str(given))} {shlex.quote(str(own))}",
        ]
    return [line for line in lines if line] + [f"Page: {done.page}"]


def _data(done: Any) -> dict[str, Any]:
    from efficient360.codesign.result_json import to_json

    return {"met": done.met, "folders": list(map(str, done.folders)), "page": str(done.page), "notes": dict(done.notes), "result": to_json(done.result)}
