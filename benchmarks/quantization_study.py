"""What quantization costs a checkpoint: each precision of a runtime against min-max, on the checkpoint and on copies of it with outliers.

    python benchmarks/quantization_study.py CHECKPOINT --data-dir DIR --folder DIR [--dataset cifar10] [--images 2000] [--runtimes onnxruntime,openvino]
        [--out FILE]

A copy computes what the checkpoint does, in float. Its channel of the largest scale in each normalisation before a linear layer is made larger, and the
weights behind it smaller by as much: the outliers that trained ViT-B has after LayerNorm. In the second copy one hidden unit of a middle MLP is a large
constant beside that, behind GELU, where no migration reaches it.
Top-1 is on images that calibrated nothing; an interval is that of the difference in pairs (Newcombe). Artefacts are kept in the folder: it goes on when
it is called again.
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn

from efficient360.core.measurement import Failure
from efficient360.core.statistics import newcombe_paired
from efficient360.datasets.card import read_card
from efficient360.datasets.loader import open_dataset, open_split
from efficient360.datasets.spec import DatasetSpec
from efficient360.deployment.artefact import run_artefact
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.parity import parity
from efficient360.deployment.runtimes.runtime import Artefact, Precision
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.references import resolve

CALIBRATION, SEED = 128, 0
OUTLIER = 1000.0
SHIFT = 300.0
PRECISIONS = ("int8", "int8-smooth", "int8-dynamic", "w8", "w4", "w4-gptq", "int4-dynamic")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--runtimes", default="onnxruntime,openvino")
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--variants", default="checkpoint,outliers,outliers behind GELU")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    checkpoint = resolve(CheckpointSpec(asked.checkpoint))
    model = load_model(checkpoint)
    calibration, _ = images_of(asked, checkpoint, "train", CALIBRATION)
    images, labels = images_of(asked, checkpoint, "test", asked.images)
    lines = [f"{checkpoint.name}, {len(images)} test images, {CALIBRATION} training images to calibrate with", ""]
    for variant in asked.variants.split(","):
        module = VARIANTS[variant](model.module)
        reference = logits_of(module, images)
        right = reference.argmax(1) == labels
        lines += [
            f"## {variant}: {100 * right.mean():.2f} % in float32",
            "",
            "| precision | top-1 | change, points (95 %) | logit difference | passes | size | layers in float |",
        ]
        lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
        source = ModelSource(f"{checkpoint.digest}-{variant}", module, model.input_size, calibration, asked.folder)
        for target in targets(asked):
            lines.append(row(target, source, images, labels, reference, right))
            print(lines[-1], flush=True)
        lines.append("")
    text = "\n".join(lines)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text + "\n", encoding="utf-8")


def images_of(asked: argparse.Namespace, checkpoint: Checkpoint, split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Seeded images float32 ``(n, 3, H, W)`` in [0, 1] and labels of a split, stratified."""
    spec = DatasetSpec(asked.dataset, Path(asked.data_dir))
    examples = (
        open_dataset(spec, checkpoint, SEED).examples if split == "test" else open_split(read_card(asked.dataset), split, spec.data_dir, checkpoint, SEED)
    )
    batches = list(examples.subset(count, SEED).batches(200))
    return np.concatenate([batch.images.numpy() for batch in batches]), np.concatenate([batch.labels.numpy() for batch in batches])


def targets(asked: argparse.Namespace) -> list[tuple[str, Precision]]:
    wanted = asked.precisions.split(",")
    return [(name, Precision(text)) for text in wanted for name in asked.runtimes.split(",") if Precision(text) in catalogue.runtime(name).precisions]


def row(target: tuple[str, Precision], source: ModelSource, images: np.ndarray, labels: np.ndarray, reference: np.ndarray, right: np.ndarray) -> str:
    name, precision = target
    artefact = build(source, name, precision)
    if isinstance(artefact, Failure):
        return f"| {name}:{precision} | not measured: {artefact.message} | | | | | |"
    answers = answers_of(artefact, images, reference.shape[1])
    ours = answers.argmax(1) == labels
    compared = parity(reference, answers, precision)
    counts = (int(part.sum()) for part in (ours & right, ours & ~right, ~ours & right, ~ours & ~right))
    interval = newcombe_paired(*counts)
    change = f"{100 * (ours.mean() - right.mean()):+.2f} ({100 * interval.low:+.2f} to {100 * interval.high:+.2f})"
    left = artefact.converted.facts.get("left_in_float", "")
    passes = "yes" if compared.passed else "no"
    return f"| {name}:{precision} | {100 * ours.mean():.2f} | {change} | {100 * compared.relative:.1f} % | {passes} | {artefact.bytes / 1e6:.2f} MB | {left} |"


def answers_of(artefact: Artefact, images: np.ndarray, classes: int) -> np.ndarray:
    with run_artefact(artefact, classes) as running:
        return np.concatenate([running(torch.from_numpy(images[start : start + 200])).numpy() for start in range(0, len(images), 200)])


def logits_of(module: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return np.concatenate([module(torch.from_numpy(images[start : start + 100])).numpy() for start in range(0, len(images), 100)])


def with_outliers(module: nn.Module, factor: float = OUTLIER) -> nn.Module:
    """One channel of each normalisation before attention and MLP made larger, and the columns behind it smaller."""
    changed = copy.deepcopy(module)
    parts = dict(changed.named_modules())
    for name, norm in parts.items():
        if name.endswith(("norm1", "norm2")):
            block = name.rpartition(".")[0]
            linear = parts[f"{block}.attn.qkv" if name.endswith("norm1") else f"{block}.mlp.fc1"]
            with torch.no_grad():
                channel = int(norm.weight.abs().argmax())
                norm.weight[channel] *= factor
                norm.bias[channel] *= factor
                linear.weight[:, channel] /= factor
    return changed


def with_outliers_behind_gelu(module: nn.Module) -> nn.Module:
    """Beside that, the least useful hidden unit of the middle block's MLP is made a large constant, whose effect the bias behind it takes off."""
    changed = with_outliers(module)
    blocks = sorted({name.rpartition(".mlp")[0] for name, _ in changed.named_modules() if name.endswith("mlp.fc2")})
    parts = dict(changed.named_modules())
    block = blocks[len(blocks) // 2]
    fc1, fc2 = parts[f"{block}.mlp.fc1"], parts[f"{block}.mlp.fc2"]
    with torch.no_grad():
        unit = int((fc1.weight.norm(dim=1) * fc2.weight.norm(dim=0)).argmin())
        fc1.weight[unit], fc1.bias[unit] = 0.0, SHIFT
        fc2.bias -= fc2.weight[:, unit] * torch.nn.functional.gelu(fc1.bias[unit])
    return changed


VARIANTS = {"checkpoint": copy.deepcopy, "outliers": with_outliers, "outliers behind GELU": with_outliers_behind_gelu}

if __name__ == "__main__":
    main()
