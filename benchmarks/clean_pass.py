"""The shared clean pass against a plain PyTorch loop over the same images, and its peak memory at two sizes.

    python benchmarks/clean_pass.py CHECKPOINT --dataset cifar10 --data-dir DIR [--examples 10000] [--rounds 3]
    python benchmarks/clean_pass.py CHECKPOINT --dataset cifar10 --data-dir DIR --memory 1000 50000 --split train

The loop is what people write: a DataLoader over decoded, transformed images held as one tensor, the network, a list of logits. The pass reads,
decodes and stores besides. Rounds are interleaved; the ratio of the medians is printed. Memory is the peak of a process of its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from torch.utils.data import DataLoader, TensorDataset

from efficient360.checkpoint import CheckpointSpec
from efficient360.checkpoints.building import load_model
from efficient360.checkpoints.references import resolve
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.evaluator import Deadline
from efficient360.predictions import predict
from efficient360.rowlog import RowLog


def opened(options: argparse.Namespace, examples: int):
    checkpoint = resolve(CheckpointSpec(options.checkpoint))
    spec = DatasetSpec(options.dataset, options.data_dir, options.split, max_examples=examples)
    return load_model(checkpoint), open_dataset(spec, checkpoint.preprocessing, 0).examples


def our_pass(model, examples, batch_size: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        predict(model, examples, RowLog(Path(folder) / "logits.f32", model.num_classes), batch_size, Deadline(), lambda done, total: None)
        return time.perf_counter() - began


@torch.inference_mode()
def plain_loop(model, images: torch.Tensor, batch_size: int) -> float:
    began = time.perf_counter()
    torch.cat([model.module(batch) for (batch,) in DataLoader(TensorDataset(images), batch_size)])
    return time.perf_counter() - began


def compare(options: argparse.Namespace) -> None:
    model, examples = opened(options, options.examples)
    images = torch.cat([batch.images for batch in examples.batches(256)])
    ours, loop = [], []
    for _ in range(options.rounds):
        loop.append(plain_loop(model, images, options.batch_size))
        ours.append(our_pass(model, examples, options.batch_size))
    a, b = statistics.median(ours), statistics.median(loop)
    print(f"{len(examples)} images, batches of {options.batch_size}, {torch.get_num_threads()} threads")
    print(f"clean pass {a:.2f} s   plain loop {b:.2f} s   ratio {a / b:.3f}   (rounds: {[round(x / y, 3) for x, y in zip(ours, loop, strict=True)]})")


def peak(options: argparse.Namespace) -> None:
    """In a child: run the pass over so many examples and print the peak of memory."""
    model, examples = opened(options, options.child)
    our_pass(model, examples, options.batch_size)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    memory = {key: int(status[key].split()[0]) / 1024 for key in ("VmHWM", "RssAnon", "RssFile")}
    print(json.dumps({"examples": len(examples), **memory, "now": psutil.Process().memory_info().rss / 2**20}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--split", default="")
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs=2, metavar="N")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        peak(options)
    elif options.memory:
        found = []
        for n in options.memory:
            done = subprocess.run([sys.executable, *sys.argv, "--child", str(n)], check=True, capture_output=True, text=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
            print({key: round(value, 1) for key, value in found[-1].items()}, "MiB")
        print(f"ratio of peaks {found[1]['VmHWM'] / found[0]['VmHWM']:.3f}")
    else:
        compare(options)


if __name__ == "__main__":
    main()
