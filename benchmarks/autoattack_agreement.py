"""Robust accuracy and time of our standard ensemble against the reference AutoAttack (PyPI pyautoattack): same model, same images, turn by turn.

    python benchmarks/autoattack_agreement.py run CHECKPOINT --norm linf --epsilon 2 --log LOG [--dataset cifar10 --data-dir DIR]
    python benchmarks/autoattack_agreement.py table LOG --out benchmarks/results/autoattack_agreement.md

`run` attacks a chunk of images with both, one right after the other, writes a line to the log and goes on until --seconds are spent; run again,
it goes on where it stopped. `table` makes the table of all that the log holds. ε is in 255ths of the pixel range for L∞, plain for L2.
"""

import argparse
import json
import logging
import platform
import re
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.methods.adversarial.attack import AttackBatch, misclassified
from efficient360.methods.adversarial.catalogue import Budget, attack
from efficient360.methods.adversarial.ensemble import run_ensemble
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import TorchModel
from efficient360.models.references import resolve

STAGES = ("apgd-ce", "apgd-t", "fab-t", "square")
STAGE_LINE = re.compile(r"robust accuracy after (\S+): [\d.]+% \(total time ([\d.]+) s\)")
SEED = 0

Side = dict[str, dict[str, float]]
"""What one side did in a chunk: examples that stand after each stage, and seconds of each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    run = modes.add_parser("run")
    run.add_argument("checkpoint")
    run.add_argument("--dataset", default="digits")
    run.add_argument("--data-dir", type=Path)
    run.add_argument("--norm", type=Norm, choices=list(Norm), default=Norm.LINF)
    run.add_argument("--epsilon", type=float, required=True)
    run.add_argument("--examples", type=int, default=256)
    run.add_argument("--chunk", type=int, default=32)
    run.add_argument("--seconds", type=float, default=200.0, help="begin no chunk after so long")
    run.add_argument("--threads", type=int, default=1)
    run.add_argument("--log", type=Path, required=True)
    table = modes.add_parser("table")
    table.add_argument("log", type=Path)
    table.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.mode == "run":
        compare(arguments)
        return
    text = page([json.loads(line) for line in arguments.log.read_text(encoding="utf-8").splitlines()])
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


def compare(arguments: argparse.Namespace) -> None:
    """Chunk by chunk, until all are done or the time is spent."""
    torch.set_num_threads(arguments.threads)
    began = time.perf_counter()
    checkpoint = resolve(CheckpointSpec(arguments.checkpoint))
    model = load_model(checkpoint)
    examples = open_dataset(DatasetSpec(arguments.dataset, arguments.data_dir, max_examples=arguments.examples), checkpoint, SEED).examples
    threat = ThreatModel(arguments.norm, arguments.epsilon / 255 if arguments.norm is Norm.LINF else arguments.epsilon)
    setting = {
        "checkpoint": checkpoint.name,
        "digest": checkpoint.digest[:12],
        "dataset": arguments.dataset,
        "norm": str(arguments.norm),
        "epsilon": arguments.epsilon,
        "threads": arguments.threads,
        "size": arguments.chunk,
        "of": len(examples),
    }
    done = {row["chunk"] for row in read(arguments.log) if all(row[key] == value for key, value in setting.items())}
    for number, batch in enumerate(examples.batches(arguments.chunk)):
        if number in done:
            continue
        if time.perf_counter() - began > arguments.seconds:
            print("out of time: run the same command again")
            return
        row = {**setting, "chunk": number, **both(model, threat, AttackBatch(batch.images, batch.labels, batch.ids, SEED), number)}
        with arguments.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        print(json.dumps({key: row[key] for key in ("chunk", "n", "clean", "ours", "theirs", "only_ours", "only_theirs")}), flush=True)


def read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []


def both(model: TorchModel, threat: ThreatModel, examples: AttackBatch, turn: int) -> dict[str, Any]:
    """One chunk under both; who begins changes from turn to turn."""
    right = ~misclassified(Victim(model).logits(examples.images), examples.labels)
    batch = examples.take(right.nonzero()[:, 0])
    results: dict[str, tuple[Tensor, Side]] = {}
    sides = [("ours", ours), ("theirs", theirs)]
    for name, side in sides if turn % 2 == 0 else sides[::-1]:
        results[name] = side(model, threat, batch)
    (our, our_figures), (their, their_figures) = results["ours"], results["theirs"]
    return {
        "n": len(examples),
        "clean": len(batch),
        "ours": our_figures,
        "theirs": their_figures,
        "only_ours": int((our & ~their).sum()),
        "only_theirs": int((their & ~our).sum()),
        "torch": torch.__version__.partition("+")[0],
        "pyautoattack": version("pyautoattack"),
    }


def ours(model: TorchModel, threat: ThreatModel, batch: AttackBatch) -> tuple[Tensor, Side]:
    """Which examples stand in the end, and the figures of each stage."""
    left = torch.arange(len(batch))
    counts, seconds = {}, {}
    for name in STAGES:
        began = time.perf_counter()
        if len(left):
            result = run_ensemble(Victim(model), [threat], [attack(name, Budget())], batch.take(left))
            left = left[result.robust(0, 0)]
        seconds[name], counts[name] = time.perf_counter() - began, len(left)
    stands = torch.zeros(len(batch), dtype=torch.bool)
    stands[left] = True
    return stands, {"standing": counts, "seconds": seconds}


def theirs(model: TorchModel, threat: ThreatModel, batch: AttackBatch) -> tuple[Tensor, Side]:
    """The same of the reference, unchanged; what it logs tells the stages apart."""
    from pyautoattack import AutoAttack

    stage_log = StageLog()
    logger = logging.getLogger("auto-attack")
    logger.handlers, logger.propagate = [stage_log], False
    logger.setLevel(logging.DEBUG)
    norm = {Norm.LINF: "Linf", Norm.L2: "L2"}[threat.norm]
    began = time.perf_counter()
    reference = AutoAttack(model.module, norm=norm, eps=threat.epsilon, version="standard", device="cpu", seed=SEED)
    # Decoded images may lie channels last, which its L2 attacks can't take.
    images = reference.run_standard_evaluation(batch.images.contiguous(), batch.labels, batch_size=len(batch))[0]
    total = time.perf_counter() - began
    wrong = misclassified(Victim(model).logits(images), batch.labels)
    if not bool(threat.contains(images, batch.images).all()):
        raise SystemExit("the reference left the threat model")
    counts, seconds, before, left = {}, {}, 0.0, len(batch)
    for name in STAGES:
        share, until = stage_log.stages.get(name, (left / len(batch), before))
        left = round(share * len(batch))
        counts[name], seconds[name], before = left, until - before, until
    seconds[STAGES[0]] += total - before  # its own checks, before and after
    return ~wrong, {"standing": counts, "seconds": seconds}


class StageLog(logging.Handler):
    """Keeps the share that stands after each stage of the reference, and the seconds until then."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: dict[str, tuple[float, float]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        match = STAGE_LINE.search(record.getMessage())
        if match:
            share = float(re.findall(r"([\d.]+)%", record.getMessage())[0]) / 100
            self.stages[match[1].lower()] = (share, float(match[2]))


def page(rows: list[dict[str, Any]]) -> str:
    """The tables of a log, in Markdown."""
    settings: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        settings.setdefault((row["checkpoint"], row["dataset"], row["norm"], row["epsilon"]), []).append(row)
    first = rows[0]
    accuracy = [line for chunks in settings.values() for line in accuracies(chunks)]
    return "\n".join(
        [
            "# Agreement with the reference AutoAttack",
            "",
            f"Written by `python benchmarks/autoattack_agreement.py` (torch {first['torch']}, pyautoattack {first['pyautoattack']}, {platform.machine()}, "
            f"{first['threads']} thread, float32).",
            "",
            "Both run the standard ensemble (APGD-CE, APGD-T with 9 classes, FAB-T with 9 classes, Square with 5000 queries) on the same images, chunk by "
            f"chunk ({first['size']} images, both sides in turn, the one that begins changing). Accuracies are over all images, after each stage on what stood "
            "before it. **differ**: examples that stand on one side alone in the end.",
            "",
            "## Robust accuracy, %",
            "",
            "| checkpoint | threat | images | | clean | APGD-CE | + APGD-T | + FAB-T | + Square | difference, points | differ |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            *accuracy,
            "",
            "## Seconds",
            "",
            "| checkpoint | threat | | APGD-CE | APGD-T | FAB-T | Square | all | ours ÷ theirs | by chunk |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            *(line for chunks in settings.values() for line in times(chunks)),
            "",
        ]
    )


def accuracies(chunks: list[dict[str, Any]]) -> list[str]:
    """Two lines of the first table: ours, theirs."""
    n, clean = sum(c["n"] for c in chunks), sum(c["clean"] for c in chunks)
    standing = {side: [sum(c[side]["standing"][stage] for c in chunks) for stage in STAGES] for side in ("ours", "theirs")}
    lines = []
    for side, counts in standing.items():
        head = f"| {label(chunks[0])} | {n} | {side} | {100 * clean / n:.1f} | "
        lines.append(head + " | ".join(f"{100 * count / n:.1f}" for count in counts) + " | ")
    points = 100 * (standing["ours"][-1] - standing["theirs"][-1]) / n
    differ = f"{sum(c['only_ours'] for c in chunks)} ours, {sum(c['only_theirs'] for c in chunks)} theirs"
    return [f"{lines[0]}{points:+.1f} | {differ} |", f"{lines[1]}| |"]


def times(chunks: list[dict[str, Any]]) -> list[str]:
    """Two lines of the second table."""
    seconds = {side: [sum(c[side]["seconds"][stage] for c in chunks) for stage in STAGES] for side in ("ours", "theirs")}
    ratios = sorted(sum(c["ours"]["seconds"].values()) / sum(c["theirs"]["seconds"].values()) for c in chunks)
    lines = [f"| {label(chunks[0])} | {side} | " + " | ".join(f"{s:.1f}" for s in (*took, sum(took))) + " | " for side, took in seconds.items()]
    return [f"{lines[0]}{sum(seconds['ours']) / sum(seconds['theirs']):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |", f"{lines[1]}| |"]


def label(row: dict[str, Any]) -> str:
    return f"{row['checkpoint']} | " + (f"L∞ {row['epsilon']:g}/255" if row["norm"] == "linf" else f"L2 {row['epsilon']:g}")


if __name__ == "__main__":
    main()
