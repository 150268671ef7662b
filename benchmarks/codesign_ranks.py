"""The same compressions ranked under different runtimes: what saves multiply-adds need not save time, and what is fastest depends on the compiler.

    python benchmarks/codesign_ranks.py CHECKPOINT|ARCHITECTURE [--targets openvino,onnxruntime,openvino:int8] [--variants low_rank:50,token_merging:60]

Every variant is converted for every target, checked against its own network, and timed on one thread, all variants of a target in turns. A rank has an
interval: from one more than the variants that are surely faster (their intervals of the median lie apart) to as many as are not surely slower. Kendall's tau
compares the orders of two targets. Invented images are probes and calibration: for times, not for accuracy.
"""

import argparse
import itertools
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from scipy.stats import kendalltau

from efficient360.core.measurement import Failure
from efficient360.deployment.devices.device import Job, Schedule
from efficient360.deployment.devices.local import Local
from efficient360.deployment.devices.timing import Timing, result_of
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.calibration_images import logits_of, synthetic_images
from efficient360.methods.complexity.mac_count import count_macs
from efficient360.methods.compression.variants import parse
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import PixelsToLogits, TorchModel
from efficient360.models.references import resolve

SCHEDULE = Schedule(runs=36, seconds=0.8, blocks=6, starts=3, repeats=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--targets", default="openvino,onnxruntime,openvino:int8")
    parser.add_argument("--variants", default="low_rank:50,low_rank:25,token_merging:40,token_merging:80,clustering:64")
    options = parser.parse_args()
    checkpoint = resolve(CheckpointSpec(options.checkpoint, random_weights=not Path(options.checkpoint).exists()))
    original = load_model(checkpoint)
    models = {"original": original}
    for variant in options.variants.split(","):
        network = parse(variant).compress(original.network).network
        module = PixelsToLogits(network, checkpoint.preprocessing.mean, checkpoint.preprocessing.std, None, checkpoint.spec.output).eval().requires_grad_(False)
        models[variant] = TorchModel(module, original.input_size, original.num_classes)
    macs = {name: count_macs(model.network, torch.full((1, *model.input_size), 0.5)).macs for name, model in models.items()}
    times = {target: timed(models, target) for target in options.targets.split(",")}
    print(f"\n{checkpoint.name}, one thread; times as fast as the original in the same target, and rank among all\n")
    print(f"| variant | MACs | {' | '.join(times)} |\n|{' --- |' * (len(times) + 2)}")
    for name in models:
        cells = [cell(name, row) for row in times.values()]
        print(f"| {name} | {100 * macs[name] / macs['original']:.0f} % | {' | '.join(cells)} |")
    print()
    for (first, a), (second, b) in itertools.combinations(times.items(), 2):
        shared = [name for name in models if isinstance(a[name], Timing) and isinstance(b[name], Timing)]
        if len(shared) > 1:
            tau = kendalltau([a[name].p50 for name in shared], [b[name].p50 for name in shared]).statistic
            print(f"{first} against {second}: Kendall's tau {tau:.2f} over {len(shared)} variants")
    for target, row in times.items():
        base = row["original"]
        for name, timing in row.items():
            if isinstance(timing, Timing) and isinstance(base, Timing) and macs[name] < macs["original"] and timing.interval.low > base.interval.high:
                print(f"{name} computes {100 - 100 * macs[name] / macs['original']:.0f} % fewer MACs and is slower in {target}")


def timed(models: dict[str, TorchModel], target: str) -> dict[str, Timing | str]:
    """The timing of every model in a target; or why there is none."""
    runtime, precision = catalogue.target(target)
    size = next(iter(models.values())).input_size
    row: dict[str, Timing | str] = {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "probes.npy"
        probes = synthetic_images(size, 8, 1)
        np.save(path, probes)
        artefacts = {}
        for name, model in models.items():
            made = build(ModelSource(name, model.module, size, synthetic_images(size, 32, 0), Path(folder)), runtime, precision)
            if isinstance(made, Failure):
                row[name] = made.message
            else:
                artefacts[name] = made
        outcomes = list(Local().measure([Job(artefact, 1) for artefact in artefacts.values()], path, SCHEDULE, lambda _done, _total: None))
        for (name, artefact), (_, outcome) in zip(artefacts.items(), outcomes, strict=True):
            result = result_of(artefact, outcome, logits_of(models[name], probes))
            row[name] = result.timing if result.rankable and result.timing is not None else result.exclusion_reason
    return row


def cell(name: str, row: dict[str, Timing | str]) -> str:
    """Speed beside the original's, and the ranks that the intervals allow."""
    timing, base = row[name], row["original"]
    if not isinstance(timing, Timing):
        return f"not measured: {timing[:80]}"
    others = [other for key, other in row.items() if key != name and isinstance(other, Timing)]
    least = 1 + sum(other.interval.high < timing.interval.low for other in others)
    most = 1 + sum(other.interval.low <= timing.interval.high for other in others)
    rank = str(least) if least == most else f"{least}–{most}"
    speed = f"{base.p50 / timing.p50:.2f}" if isinstance(base, Timing) else "–"
    return f"{speed} ({1e3 * timing.p50:.2f} ms), rank {rank}"


if __name__ == "__main__":
    main()
