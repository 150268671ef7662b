"""What weight clustering saves in traffic is worth: a kernel that computes on the indices where memory is the limit, and where transformers stand.

    python benchmarks/clustering_traffic.py kernel [--rounds 40]
    python benchmarks/clustering_traffic.py roofline ARCHITECTURE|CHECKPOINT ... [--runtime openvino]

``kernel`` multiplies a matrix of 64 distinct values by one vector, on one thread: beyond the caches, in the last-level cache and as large as a layer of a
small vision transformer. Every form is checked against NumPy in float64, then timed in turns in CPU time. ``roofline`` puts the arithmetic intensity of
networks (FLOP for each byte of weights, one image) beside the machine's balance (FLOP/s over bytes/s, both measured here), and times them in a runtime. It
needs a C compiler and AVX2.
"""

import argparse
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from codebook_kernel import Products, compiled, in_turns, machine, times_as_fast

from efficient360.core import canonical
from efficient360.core.measurement import Failure
from efficient360.deployment.devices.device import Job, Schedule
from efficient360.deployment.devices.local import Local
from efficient360.deployment.devices.timing import analyse
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.calibration_images import program_identity, synthetic_images
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.methods.complexity.mac_count import count_macs
from efficient360.methods.compression.compressor import uncompressed_bytes
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

SHAPES = (("beyond the caches", 16384, 4096), ("in the last-level cache", 3072, 768), ("a layer of DeiT-Tiny", 768, 192))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("kernel")
    first.set_defaults(run=kernel)
    second = commands.add_parser("roofline")
    second.set_defaults(run=roofline)
    second.add_argument("networks", nargs="+")
    second.add_argument("--runtime", default="openvino")
    for command in (first, second):
        command.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    options.run(options)


def kernel(options: argparse.Namespace) -> None:
    """Products in all forms, checked and timed."""
    library = compiled()
    print(f"counters of bytes from memory: {counters()}\n")
    for place, rows, columns in SHAPES:
        products = Products(library, rows, columns)
        functions = products.functions()
        expected = products.weights.astype(np.float64) @ products.x
        for name, (_, function) in functions.items():
            products.y[:] = 0
            function()
            error = float(np.abs(products.y - expected).max() / np.abs(expected).max())
            if error > 1e-5:
                raise SystemExit(f"{name} is off by {error:.1e} of the largest value")
        seconds = in_turns({name: function for name, (_, function) in functions.items()}, options.rounds * max(1, 2**22 // (rows * columns)))
        print(f"{rows} x {columns}, {place}: {products.weights.nbytes / 1e6:.1f} MB in float32\n")
        print("| weights | MB read | ms, median | ms, best | GB/s | times as fast as float32 |\n| --- | --- | --- | --- | --- | --- |")
        for name, (size, _) in functions.items():
            times = seconds[name]
            value, low, high = times_as_fast(seconds["float32"], seconds[name])
            speed = "1" if name == "float32" else f"{value:.2f} ({low:.2f} to {high:.2f})"
            print(f"| {name} | {size / 1e6:.2f} | {1e3 * np.median(times):.3f} | {1e3 * times.min():.3f} | {size / np.median(times) / 1e9:.1f} | {speed} |")
        print(flush=True)


def counters() -> str:
    """Whether this machine counts what comes from memory; a virtual one seldom does."""
    try:
        done = subprocess.run(["perf", "stat", "-e", "cache-misses,cycles", "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not read, there is no perf here"
    return "not readable here (perf: not supported), so bytes are counted from what is stored" if "<not supported>" in done.stderr else "readable by perf stat"


def roofline(options: argparse.Namespace) -> None:
    """Intensity beside the balance, and what reading all weights from memory would take at most."""
    library = compiled()
    flops, bandwidth = machine(library, Products(library, 16384, 4096), options.rounds)
    print(f"one thread: {flops / 1e9:.0f} GFLOP/s of fused multiply-adds, {bandwidth / 1e9:.1f} GB/s read: balance {flops / bandwidth:.1f} FLOP/byte\n")
    print("| network | MB | GFLOP | FLOP/byte | times the balance | ms to read the weights | ms to compute at peak | ms measured | traffic, at most |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for reference in options.networks:
        checkpoint = resolve(CheckpointSpec(reference, random_weights=not Path(reference).exists() and reference != "digits-vit"))
        model = load_model(checkpoint)
        size = uncompressed_bytes(model.network)
        work = 2 * count_macs(model.network, torch.full((1, *model.input_size), 0.5)).macs
        measured = seconds_in(options.runtime, checkpoint, model)
        reading, computing = size / bandwidth, work / flops
        took = f"{1e3 * measured:.2f} | {100 * reading / measured:.0f} %" if measured else "not measured | "
        intensity = work / size
        print(
            f"| {checkpoint.name} | {size / 1e6:.1f} | {work / 1e9:.2f} | {intensity:.0f} | {intensity * bandwidth / flops:.1f} "
            f"| {1e3 * reading:.2f} | {1e3 * computing:.2f} | {took} |",
            flush=True,
        )


def seconds_in(runtime: str, checkpoint: object, model: object) -> float | None:
    """Median seconds of one image in a runtime, one thread."""
    images = synthetic_images(model.input_size, 1, 0)  # type: ignore[attr-defined]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, images)
        identity = canonical.digest([program_identity(checkpoint, None)], "the network")  # type: ignore[arg-type]
        artefact = build(ModelSource(identity, model.module, model.input_size, None, Path(folder)), runtime, Precision.FP32)  # type: ignore[attr-defined]
        if isinstance(artefact, Failure):
            return None
        ((_, reading),) = Local().measure([Job(artefact, 1)], path, Schedule(starts=1, repeats=0), lambda _done, _total: None)
        return None if isinstance(reading, Failure) else analyse(reading).p50


if __name__ == "__main__":
    main()
