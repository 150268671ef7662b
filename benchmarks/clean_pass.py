"""The shared clean pass against a plain PyTorch loop over the same images, and its peak memory at two sizes.

    python benchmarks/clean_pass.py CHECKPOINT --dataset cifar10 --data-dir DIR [--examples 10000]
    python benchmarks/clean_pass.py CHECKPOINT --dataset cifar10 --data-dir DIR --memory 1000 50000 --split train

The loop is what people write: a DataLoader over decoded, transformed images held as one tensor, the network, a list of logits. The pass reads,
decodes and stores besides. Memory is the peak of a process of its own.
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

from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.evaluator import Deadline
from efficient360.execution.predictions import predict
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve
from efficient360.storage.row_log import RowLog


def opened(options: argparse.Namespace, examples: int):
    checkpoint = resolve(CheckpointSpec(options.checkpoint))
    spec = DatasetSpec(options.dataset, options.data_dir, options.split, max_examples=examples)
    return load_model(checkpoint), open_dataset(spec, checkpoint, 0).examples


def our_pass(model, examples, batch_size: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        predict(model, examples, RowLog(Path(folder) / "logits.f32", model.num_classes), batch_size, 0, Deadline(), lambda done, total: None)
        return time.perf_counter() - began


@torch.inference_mode()
def plain_loop(model, images: torch.Tensor, batch_size: int) -> float:
    began = time.perf_counter()
    torch.cat([model.module(batch) for (batch,) in DataLoader(TensorDataset(images), batch_size)])
    return time.perf_counter() - began


def compare(options: argparse.Namespace) -> None:
    """Alternate between both every few batches: on a shared machine only neighbours in time compare."""
    model, examples = opened(options, options.examples)
    images = torch.cat([batch.images for batch in examples.batches(256)])
    step = 5 * options.batch_size
    ours, loop = [], []
    for start in range(0, len(examples), step):
        part = examples.select(examples.ids[start : start + step])
        loop.append(plain_loop(model, images[start : start + step], options.batch_size))
        ours.append(our_pass(model, part, options.batch_size))
    ratios = sorted(a / b for a, b in zip(ours, loop, strict=True))
    quarter = len(ratios) // 4
    print(f"{len(examples)} images, batches of {options.batch_size}, {torch.get_num_threads()} threads, alternating every {step} images")
    print(f"clean pass {sum(ours):.2f} s   plain loop {sum(loop):.2f} s   ratio of the sums {sum(ours) / sum(loop):.3f}")
    print(f"median of {len(ratios)} ratios {statistics.median(ratios):.3f}, quartiles {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f}")


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
