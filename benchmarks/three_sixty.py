"""The whole picture in one run against the reference tools one after the other: minutes, where they go, and the ratio.

    python benchmarks/three_sixty.py CHECKPOINT --dataset cifar10 --data-dir DIR [--protocol quick] [--peers PYTHON] [--out FILE] [--work DIR]

``PYTHON`` is an interpreter whose environment holds the reference tools. Each peer is a script in ``benchmarks/peers``: a process of its own that opens
the checkpoint with timm and computes what its tool computes, on the same images, handed over decoded. It is given less to do than ours: one of our
evaluators mostly yields more metrics than its peer, and all of them with intervals. Where a tool fails, its row says so and neither side counts.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from efficient360.datasets.loader import open_dataset, open_split
from efficient360.datasets.spec import DatasetSpec
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

PEERS = {
    "accuracy_torchmetrics": ("accuracy", "calibration"),
    "macs_fvcore": ("macs", "parameters"),
    "corruption_imagecorruptions": ("corruption",),
    "adversarial_pyautoattack": ("adversarial",),
    "fairness_fairlearn": ("group_fairness", "inclusion"),
    "explanation_captum": ("faithfulness",),
    "weights_weightwatcher": ("weight_spectrum",),
    "hessian_pyhessian": ("feature_spectrum",),
    "ood_pytorch_ood": ("out_of_distribution",),
    "conformal_mapie": ("conformal",),
    "laplace_torch": ("uncertainty",),
    "continual_avalanche": ("continual",),
}
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """What a peer took and found; ``failed`` holds the last line of its complaint instead."""

    seconds: float
    found: dict[str, float]
    failed: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("--peers", default="", help="interpreter with the reference tools; without it only our own run is timed")
    parser.add_argument("--work", type=Path, default=Path("runs/three-sixty"))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    took, ours = run_ours(asked)
    peers = {}
    if asked.peers:
        held = images(asked)
        peers = {name: run_peer(name, asked, held) for name in PEERS if (HERE / "peers" / f"{name}.py").exists()}
    text = page(took, ours, peers)
    print(text)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")


def run_ours(asked: argparse.Namespace) -> tuple[float, dict[str, Any]]:
    """Wall seconds of the command, and the report it leaves."""
    folder = asked.work / asked.protocol
    if folder.exists():
        raise SystemExit(f"{folder} exists: a run that is taken up again can't be timed; remove it first")
    typed = ["evaluate", asked.checkpoint, "--dataset", asked.dataset, "--protocol", asked.protocol, "--out", str(folder)]
    typed += ["--data-dir", str(asked.data_dir)] if asked.data_dir else []
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "efficient360", *typed], check=True)
    return time.perf_counter() - began, json.loads((folder / "report.json").read_text())


def images(asked: argparse.Namespace) -> Path:
    """The images of the quick protocol's subset and 5,000 training images, decoded, in a file."""
    checkpoint = resolve(CheckpointSpec(asked.checkpoint))
    dataset = open_dataset(DatasetSpec(asked.dataset, asked.data_dir, max_examples=1000), checkpoint, 0)
    splits = {"test": dataset.examples, "train": open_split(dataset.card, "train", asked.data_dir, checkpoint, 0).subset(5000, 0)}
    held = {}
    for name, split in splits.items():
        held[f"{name}_images"] = np.concatenate([(b.images * 255).round().byte().numpy() for b in split.batches(256)])
        held[f"{name}_labels"] = split.labels
    path = asked.work / "images.npz"
    np.savez(path, **held)
    return path


def run_peer(name: str, asked: argparse.Namespace, held: Path) -> Peer:
    """One reference tool, in a process of its own."""
    print(f"{name} …", file=sys.stderr, flush=True)
    command = [asked.peers, str(HERE / "peers" / f"{name}.py"), asked.checkpoint, str(held)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        return Peer(seconds, {}, done.stderr.strip().splitlines()[-1][:200])
    found = json.loads(done.stdout.strip().splitlines()[-1])
    found.pop("cpu_seconds")
    return Peer(seconds, found)


def seconds_of(report: dict[str, Any]) -> dict[str, float]:
    """Seconds by evaluator."""
    found: dict[str, float] = {}
    for outcome in report["outcomes"]:
        found[outcome["evaluator"]] = outcome["seconds"]
    return found


def page(took: float, report: dict[str, Any], peers: dict[str, Peer]) -> str:
    seconds = seconds_of(report)
    measured = [d for d in report["dimensions"] if d.get("score") is not None]
    lines = [
        "# The whole picture, and the reference tools one after the other",
        "",
        f"`{report['command']}`: **{took / 60:.1f} min**, {len(measured)} of {len(report['dimensions'])} axes scored, {len(report['outcomes'])} outcomes.",
        "",
        "| evaluator | seconds | share |",
        "| --- | --- | --- |",
        *(f"| {name} | {value:.1f} | {100 * value / took:.0f} % |" for name, value in sorted(seconds.items(), key=lambda item: -item[1])),
        f"| opening, start-up, report | {took - sum(seconds.values()):.1f} | {100 - 100 * sum(seconds.values()) / took:.0f} % |",
        "",
    ]
    if peers:
        lines += ["| reference tool | its seconds | our evaluators | our seconds | ratio ours / its |", "| --- | --- | --- | --- | --- |"]
        mine = theirs = 0.0
        for name, peer in peers.items():
            own = sum(seconds.get(e, 0.0) for e in PEERS[name])
            if peer.failed or not all(e in seconds for e in PEERS[name]):
                lines.append(f"| {name} | failed: {peer.failed} | {', '.join(PEERS[name])} | {own:.1f} | |")
                continue
            mine, theirs = mine + own, theirs + peer.seconds
            lines.append(f"| {name} | {peer.seconds:.1f} | {', '.join(PEERS[name])} | {own:.1f} | {own / peer.seconds:.2f} |")
        lines += [f"| **all of these** | **{theirs:.1f}** | | **{mine:.1f}** | **{mine / theirs:.2f}** |", ""]
        lines += ["What the tools found:", ""]
        lines += [f"- {name}: {', '.join(f'{key} {value:.4g}' for key, value in peer.found.items())}" for name, peer in peers.items() if peer.found]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
