"""How far a checkpoint compresses, on all of its test images; and our k-means against scikit-learn's on the same weights.

    python benchmarks/compression_study.py measure CHECKPOINT --data-dir DIR --folder DIR [--dataset cifar10]
    python benchmarks/compression_study.py table --folder DIR
    python benchmarks/compression_study.py sizes ARCHITECTURE ...
    python benchmarks/compression_study.py kmeans CHECKPOINT [--clusters 64]

``measure`` goes on when it is called again. ``sizes`` needs no weights: a file is as large whatever they are. ``kmeans`` runs both on one thread, layer by
layer, by turns.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import timm
import torch
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from efficient360.cli import parser as cli
from efficient360.methods.compression.clustering import kmeans, nearest
from efficient360.methods.compression.compressor import uncompressed_bytes, weights_of
from efficient360.methods.compression.variants import parse
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

VARIANTS = ("half", "quantization:8", "quantization:4", "clustering:64", "clustering:16", "pruning:50", "two_of_four", "low_rank:50")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("measure")
    first.set_defaults(run=measure)
    first.add_argument("checkpoint")
    first.add_argument("--dataset", default="cifar10")
    first.add_argument("--data-dir", required=True)
    second = commands.add_parser("table")
    second.set_defaults(run=table)
    for one in (first, second):
        one.add_argument("--folder", type=Path, required=True)
    third = commands.add_parser("sizes")
    third.set_defaults(run=sizes)
    third.add_argument("architectures", nargs="+")
    fourth = commands.add_parser("kmeans")
    fourth.set_defaults(run=compare_kmeans)
    fourth.add_argument("checkpoint")
    fourth.add_argument("--clusters", type=int, default=64)
    asked = parser.parse_args()
    asked.run(asked)


def measure(asked: argparse.Namespace) -> None:
    """All variants on all images."""
    typed = ["evaluate", asked.checkpoint, "--dataset", asked.dataset, "--data-dir", asked.data_dir, "--protocol", "full", "--only", "compression"]
    sys.exit(cli.run_command([*typed, "--out", str(asked.folder)]))


def table(asked: argparse.Namespace) -> None:
    """The report's own table and findings."""
    report = json.loads((asked.folder / "report.json").read_text(encoding="utf-8"))
    best = next(o for o in report["outcomes"] if o["metric"] == "best_compression")
    print(f"{best['value']:.2f} times smaller ({best['interval'][0]:.2f} to {best['interval'][1]:.2f}), {best['conditions']['tolerated']} tolerated\n")
    for figure in (one for one in best["extra"] if one["kind"] == "table"):
        print(f"{figure['title']}\n\n| {' | '.join(figure['columns'])} |\n|{' --- |' * len(figure['columns'])}")
        for row in figure["rows"]:
            print(f"| {' | '.join(map(str, row))} |")
        print()


def sizes(asked: argparse.Namespace) -> None:
    """Times smaller, file over file, by architecture and variant."""
    print(f"| architecture | float32 MB | {' | '.join(VARIANTS)} |\n|{' --- |' * (len(VARIANTS) + 2)}")
    for name in asked.architectures:
        torch.manual_seed(0)
        network = timm.create_model(name).eval()
        original_bytes = uncompressed_bytes(network)
        ratios = [original_bytes / len(parse(variant).compress(network).file) for variant in VARIANTS]
        print(f"| {name} | {original_bytes / 1e6:.1f} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |", flush=True)


def compare_kmeans(asked: argparse.Namespace) -> None:
    """Squared error and time of both on every weight matrix of a checkpoint."""
    network = load_model(resolve(CheckpointSpec(asked.checkpoint))).network
    ours, theirs, errors = 0.0, 0.0, []
    with threadpool_limits(1):
        for weight in weights_of(network).values():
            values = weight.detach().flatten().double().numpy()
            start = time.process_time()
            centres = kmeans(values, asked.clusters)
            ours += time.process_time() - start
            start = time.process_time()
            reference = KMeans(asked.clusters, n_init=1, random_state=0).fit(values[:, None])
            theirs += time.process_time() - start
            errors.append(np.square(values - centres[nearest(values, centres)]).sum() / reference.inertia_)
    print(f"{len(errors)} weight matrices, {asked.clusters} clusters: squared error ours over scikit-learn's {np.mean(errors):.3f}", end=" ")
    print(f"({min(errors):.3f} to {max(errors):.3f}); CPU time {ours:.1f} s over {theirs:.1f} s, {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
