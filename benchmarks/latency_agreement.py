"""Our p50 against that of the runtimes' own tools: the same file, the same threads, turn by turn in one run on this machine.

    python benchmarks/latency_agreement.py [--model deit_tiny_patch16_224] [--rounds 7] [--threads 1] [--out benchmarks/results/latency_agreement.md]

Tools: OpenVINO's benchmark_app and LiteRT's litert-benchmark, both from their wheels. Random weights.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import timm
import torch

from efficient360.core.measurement import Failure
from efficient360.deployment.devices.device import Job, Schedule
from efficient360.deployment.devices.local import Local
from efficient360.deployment.devices.timing import analyse
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.runtime import Artefact, Precision

Tool = Callable[[Artefact, int, int], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="deit_tiny_patch16_224")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0, help="timed seconds of each turn")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    asked = parser.parse_args()
    rows = []
    with TemporaryDirectory() as scratch:
        source, images = network(asked.model, Path(scratch))
        for runtime, (title, tool) in TOOLS.items():
            artefact = build(source, runtime, Precision.FP32)
            if isinstance(artefact, Failure):
                print(f"{runtime}: {artefact.message}", file=sys.stderr)
                continue
            rows.append(row(title, *turns(artefact, images, tool, asked)))
    table = "\n".join(
        [
            f"{asked.model}, random weights, batch 1, float32, {asked.threads} thread(s), {asked.rounds} turns of {asked.seconds:g} s each.",
            "Ours and theirs take turns, with as many runs each. p50 is the median over turns of each turn's, in brackets least and most; so is the ratio.",
            "",
            "| runtime's own tool | ours, ms | theirs, ms | ours ÷ theirs | our undisturbed runs |",
            "| --- | --- | --- | --- | --- |",
            *rows,
        ]
    )
    print(table)
    if asked.out:
        asked.out.write_text(f"# Agreement with the runtimes' own tools\n\n{table}\n", encoding="utf-8")


def network(name: str, folder: Path) -> tuple[ModelSource, Path]:
    """A timm model with seeded random weights, and an image for it."""
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    size = model.default_cfg["input_size"]
    np.save(folder / "images.npy", np.random.default_rng(0).random((1, *size), np.float32))
    return ModelSource(name, model, size, None, folder / "artefacts"), folder / "images.npy"


def turns(artefact: Artefact, images: Path, tool: Tool, asked: argparse.Namespace) -> tuple[list[float], list[float], float]:
    """Milliseconds of each turn, ours and theirs, and the share of our runs that nothing disturbed."""
    schedule = Schedule(runs=30, seconds=asked.seconds, blocks=1, repeats=0, starts=1)
    our, their, clean, runs = [], [], 0, 0
    for _ in range(asked.rounds):
        ((_, reading),) = Local().measure([Job(artefact, asked.threads)], images, schedule, lambda done, total: None)
        if isinstance(reading, Failure):
            raise SystemExit(reading.message)
        timing = analyse(reading)
        clean, runs = clean + timing.clean, runs + timing.runs
        our.append(1e3 * timing.p50)
        their.append(tool(artefact, asked.threads, timing.runs))
    return our, their, clean / runs


def benchmark_app(artefact: Artefact, threads: int, runs: int) -> float:
    """p50 in ms by OpenVINO's benchmark_app, over so many runs; a number of threads wants -hint none, with the one stream of our hint of latency."""
    done = run(
        [
            script("benchmark_app"),
            "-m",
            str(artefact.folder / "model.xml"),
            "-d",
            "CPU",
            "-api",
            "sync",
            "-hint",
            "none",
            "-nstreams",
            "1",
            "-nthreads",
            str(threads),
            "-infer_precision",
            "f32",
            "-niter",
            str(runs),
        ]
    )
    found = re.search(r"Median:\s+([\d.]+) ms", done)
    if found is None:
        raise SystemExit(f"benchmark_app told no median: {done[-500:]}")
    return float(found[1])


def litert_benchmark(artefact: Artefact, threads: int, runs: int) -> float:
    """p50 in ms by LiteRT's litert-benchmark, over so many runs."""
    with TemporaryDirectory() as scratch:
        result = Path(scratch) / "result.json"
        run(
            [
                script("litert-benchmark"),
                "--model",
                str(artefact.folder / "model.tflite"),
                "--num_threads",
                str(threads),
                "--warmup_runs",
                "10",
                "--num_runs",
                str(runs),
                "--result_json",
                str(result),
            ]
        )
        return float(json.loads(result.read_text(encoding="utf-8"))["latency"]["median_ms"])


TOOLS: dict[str, tuple[str, Tool]] = {"openvino": ("OpenVINO benchmark_app", benchmark_app), "litert": ("LiteRT litert-benchmark", litert_benchmark)}


def script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise SystemExit(f"{Path(command[0]).name} ended with code {done.returncode}: {(done.stderr or done.stdout)[-500:]}")
    return done.stdout


def row(title: str, our: list[float], their: list[float], clean: float) -> str:
    ratios = [a / b for a, b in zip(our, their, strict=True)]
    return f"| {title} | {spread(our, '.2f')} | {spread(their, '.2f')} | {spread(ratios, '.3f')} | {clean:.0%} |"


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


if __name__ == "__main__":
    main()
