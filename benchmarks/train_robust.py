"""Fine-tune a checkpoint adversarially (Madry et al. 2018), so that there is a robust one to measure: weights and card into a folder.

    python benchmarks/train_robust.py digits-vit --out FOLDER --epsilon 24 --steps 5 --updates 1500
    python benchmarks/train_robust.py CHECKPOINT --dataset cifar10 --data-dir DIR --out FOLDER --epsilon 4 --steps 1 --updates 150 --flip

One step from a random start is the fast variant of Wong et al. 2020. Minutes of one core make no record: they make a checkpoint with the
gradients of a defended one. With one thread, a rerun on the same machine gives the same weights.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from efficient360.core.statistics import wilson
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.references import resolve

SHIFT = 2
"""Pixels by which a training image is moved, either way."""


def main() -> None:
    asked = arguments()
    torch.set_num_threads(asked.threads)
    checkpoint = resolve(CheckpointSpec(asked.checkpoint))
    model = load_model(checkpoint)
    training = images(asked, checkpoint, asked.train_split, asked.images)
    held_out = images(asked, checkpoint, "", asked.test)
    began = time.perf_counter()
    train(model.module, training, asked)
    seconds = time.perf_counter() - began
    network = model.module.eval().requires_grad_(requires_grad=False)
    generator = torch.Generator().manual_seed(asked.seed)
    clean, robust = (right(network, *held_out, asked.epsilon / 255, steps, generator) for steps in (0, 20))
    n = len(held_out[1])
    print(f"{seconds:.0f} s; on {n} held-out images {clean / n:.1%} clean, {robust / n:.1%} against PGD-20 at {asked.epsilon:g}/255")
    name = asked.name or f"{checkpoint.name}-robust"
    facts = card(name, checkpoint, asked, {"clean_top1": clean / n, "pgd20_accuracy": robust / n, "n": n, "interval": [*interval(robust, n)]})
    asked.out.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in model.network.state_dict().items()}, asked.out / f"{name}.safetensors", metadata={"format": "pt"})
    (asked.out / f"{name}.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder of the weights and the card")
    parser.add_argument("--name", default="", help="of the new checkpoint")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--train-split", default="train")
    parser.add_argument("--images", type=int, default=20_000, help="training images at most")
    parser.add_argument("--test", type=int, default=256, help="held-out images to look at in the end")
    parser.add_argument("--epsilon", type=float, default=8.0, help="L∞ radius, in 255ths")
    parser.add_argument("--steps", type=int, default=5, help="gradient steps of the attack on each training image")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--flip", action="store_true", help="mirror half of the training images")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def images(asked: argparse.Namespace, checkpoint: Checkpoint, split: str, most: int) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] and labels of a split; its first ``most`` by class."""
    opened = open_dataset(DatasetSpec(asked.dataset, asked.data_dir, split, max_examples=most), checkpoint, asked.seed).examples
    parts = [(batch.images, batch.labels) for batch in opened.batches(256)]
    return torch.cat([part for part, _ in parts]), torch.cat([labels for _, labels in parts])


def train(network: nn.Module, on: tuple[Tensor, Tensor], asked: argparse.Namespace) -> None:
    """AdamW under a linear warm-up and a cosine decay, on images that PGD has worsened for the network as it then is."""
    network.requires_grad_(requires_grad=True)
    generator = torch.Generator().manual_seed(asked.seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=asked.rate, weight_decay=0.05)
    warm = max(1, asked.updates // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: min((done + 1) / warm, 0.5 * (1 + math.cos(math.pi * done / asked.updates))))
    order = torch.empty(0, dtype=torch.int64)
    for update in range(asked.updates):
        if len(order) < asked.batch:
            order = torch.randperm(len(on[1]), generator=generator)
        chosen, order = order[: asked.batch], order[asked.batch :]
        pixels, labels = moved(on[0][chosen], asked, generator), on[1][chosen]
        # The radius grows with the rate: a network that never saw an attack collapses under a whole one.
        epsilon = min(1.0, (update + 1) / (3 * warm)) * asked.epsilon / 255
        worst = attacked(network.eval(), pixels, labels, epsilon, asked.steps, generator)
        loss = cross_entropy(network.train()(worst), labels, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if update % 50 == 49:
            print(f"update {update + 1}, loss {loss.item():.3f}", flush=True)


def moved(pixels: Tensor, asked: argparse.Namespace, generator: torch.Generator) -> Tensor:
    """Each image shifted by a pixel or two, and mirrored where that is asked for."""
    height, width = pixels.shape[2:]
    padded = pad(pixels, (SHIFT,) * 4, mode="replicate")
    corners = torch.randint(0, 2 * SHIFT + 1, (len(pixels), 2), generator=generator).tolist()
    cut = torch.stack([image[:, y : y + height, x : x + width] for image, (y, x) in zip(padded, corners, strict=True)])
    mirror = torch.rand(len(pixels), generator=generator) < (0.5 if asked.flip else 0.0)
    return cut.flip(3).where(mirror.view(-1, 1, 1, 1), cut)


def attacked(network: nn.Module, pixels: Tensor, labels: Tensor, epsilon: float, steps: int, generator: torch.Generator) -> Tensor:
    """PGD in the L∞ ball from a random start; without steps, the images as they are."""
    if not steps:
        return pixels
    here = torch.clamp(pixels + epsilon * (2 * torch.rand(pixels.shape, generator=generator) - 1), 0, 1)
    size = (1.25 if steps == 1 else 2.5 / steps) * epsilon
    for _ in range(steps):
        here.requires_grad_()
        (slope,) = torch.autograd.grad(cross_entropy(network(here), labels, reduction="sum"), here)
        here = torch.clamp(torch.clamp(here.detach() + size * slope.sign(), pixels - epsilon, pixels + epsilon), 0, 1)
    return here


def right(network: nn.Module, pixels: Tensor, labels: Tensor, epsilon: float, steps: int, generator: torch.Generator) -> int:
    """How many images are classified rightly after so many steps of PGD."""
    hits = 0
    for some, truth in zip(pixels.split(64), labels.split(64), strict=True):
        worst = attacked(network, some, truth, epsilon, steps, generator)
        with torch.inference_mode():
            hits += int((network(worst).argmax(1) == truth).sum())
    return hits


def interval(hits: int, n: int) -> tuple[float, float]:
    found = wilson(hits, n)
    return found.low, found.high


def card(name: str, base: Checkpoint, asked: argparse.Namespace, measured: dict[str, Any]) -> dict[str, Any]:
    """What stands beside the weights."""
    shape = base.preprocessing
    return {
        "name": name,
        "architecture": base.architecture,
        "model_args": dict(base.arguments),
        "input_size": list(shape.input_size),
        "mean": list(shape.mean),
        "std": list(shape.std),
        "interpolation": shape.interpolation,
        "crop_pct": shape.crop_pct,
        "num_classes": base.num_classes,
        "class_names": list(base.class_names),
        "training": {
            "from": base.name,
            "data": f"{asked.dataset}, {asked.train_split} split, at most {asked.images} images",
            "method": f"adversarial training, PGD with {asked.steps} steps, L∞ {asked.epsilon:g}/255, radius growing over the first 30 %",
            "updates": asked.updates,
            "batch": asked.batch,
            "optimiser": f"AdamW, peak rate {asked.rate:g}, linear warm-up, cosine decay",
            "seed": asked.seed,
            "script": "benchmarks/train_robust.py",
            "torch": torch.__version__.partition("+")[0],
            "timm": timm.__version__,
        },
        "measured": measured,
    }


if __name__ == "__main__":
    main()
