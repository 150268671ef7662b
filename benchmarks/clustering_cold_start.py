"""Cold start of a checkpoint clustered to 64 values against the same in float32: file read from a cold cache, decoded, first inference.

    python benchmarks/clustering_cold_start.py ARCHITECTURE|CHECKPOINT ... [--rounds 5]

Each start is a process of its own in which PyTorch and timm are imported already; the file's pages are dropped from the cache before it (posix_fadvise), and
the two files take turns. Reading, decoding, building the network and the first inference are timed apart, in wall-clock time. Beside them stands the speed
of storage below which the smaller file starts sooner: bytes saved over the seconds that decoding adds.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import safetensors.torch

STEPS = ("read", "decode", "build", "first")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(start(*options.one)))
        return
    print("| network | file | MB | read ms | decode ms | build ms | first inference ms | together ms, median (least to most) |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for reference in options.networks:
        compare(reference, options.rounds)


def compare(reference: str, rounds: int) -> None:
    """Both files of a network, by turns."""
    from efficient360.methods.compression.clustering import Clustering
    from efficient360.models.building import load_model
    from efficient360.models.checkpoint import CheckpointSpec
    from efficient360.models.compressed_file import stored_tensors
    from efficient360.models.references import resolve

    spec = CheckpointSpec(reference, random_weights=not Path(reference).exists() and reference != "digits-vit")
    checkpoint = resolve(spec)
    network = load_model(checkpoint).network
    with TemporaryDirectory(dir=".") as folder:
        files = {"float32": Path(folder) / "float32.safetensors", "64 clusters": Path(folder) / "clustered.safetensors"}
        safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in stored_tensors(network).items()}, files["float32"])
        files["64 clusters"].write_bytes(Clustering(64).compress(network).file)
        seconds: dict[str, list[list[float]]] = {name: [] for name in files}
        os.sync()
        for _ in range(rounds):
            for name, path in files.items():
                built = json.dumps([checkpoint.architecture, dict(checkpoint.arguments), checkpoint.preprocessing.input_size])
                done = subprocess.run([sys.executable, __file__, "--one", str(path), built], capture_output=True, text=True, check=True)
                seconds[name].append(json.loads(done.stdout))
        sizes = {name: path.stat().st_size for name, path in files.items()}
    medians = {name: np.median(rows, 0) for name, rows in seconds.items()}
    for name, rows in seconds.items():
        steps = " | ".join(f"{1e3 * value:.1f}" for value in medians[name])
        whole = 1e3 * np.sum(rows, 1)
        print(f"| {checkpoint.name} | {name} | {sizes[name] / 1e6:.2f} | {steps} | {np.median(whole):.0f} ({whole.min():.0f} to {whole.max():.0f}) |")
    extra = medians["64 clusters"][1] - medians["float32"][1]
    saved = sizes["float32"] - sizes["64 clusters"]
    print(f"|  | | | | | | | the smaller file starts sooner where storage reads less than {saved / extra / 1e6:.0f} MB/s |", flush=True)


def start(file: str, built: str) -> list[float]:
    """Seconds of each of :data:`STEPS`, in a process that has imported what it needs."""
    import torch

    from efficient360.models.architectures import build_network
    from efficient360.models.compressed_file import decode_weights

    architecture, arguments, size = json.loads(built)
    path = Path(file)
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    marks = [time.perf_counter()]
    content = path.read_bytes()
    marks.append(time.perf_counter())
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    tensors = decode_weights(safetensors.torch.load(content), header.get("__metadata__", {}), path)
    marks.append(time.perf_counter())
    network = build_network(architecture, arguments, 0).eval()
    network.load_state_dict(tensors, strict=True)
    marks.append(time.perf_counter())
    with torch.inference_mode():
        network(torch.full((1, *size), 0.5))
    marks.append(time.perf_counter())
    return np.diff(marks).tolist()


if __name__ == "__main__":
    main()
