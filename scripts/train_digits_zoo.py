"""Train the embedded zoo: four small vision transformers on the digits data set, each from its own seeded recipe.

    python scripts/train_digits_zoo.py                          every model, into efficient360/models/zoo
    python scripts/train_digits_zoo.py --only digits-vit --out /tmp/zoo
    python scripts/train_digits_zoo.py --held-out validation    choose settings: the test half is never looked at

One thread and deterministic kernels: on one machine a rerun gives the same weights, bit for bit.
"""

import argparse
import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from efficient360.core.statistics import wilson
from efficient360.datasets.digits import CLASS_NAMES, digits

ZOO = Path(__file__).parents[1] / "efficient360" / "models" / "zoo"
MEAN, STD = 0.5, 0.5
WARMUP = 0.1
VALIDATION_START = 646
"""Where the sixth writer begins: settings were chosen by training on the first five and looking at the next two."""


@dataclass(frozen=True)
class Recipe:
    """A model and how it is trained.

    Args:
        name: Name in the zoo.
        family: Kind of architecture, in words.
        description: One sentence about it.
        architecture: timm's registered name.
        arguments: Keyword arguments of the architecture, all plain JSON.
        epochs: Passes over the training images.
        rate: Peak learning rate.
        decay: AdamW's weight decay.
        batch: Images a step.
        smoothing: Label smoothing.
        seed: Seed of the weights, the order and the augmentation.
    """

    name: str
    family: str
    description: str
    architecture: str
    arguments: Mapping[str, Any]
    epochs: int
    rate: float = 2e-3
    decay: float = 0.05
    batch: int = 50
    smoothing: float = 0.05
    seed: int = 0


RECIPES = (
    Recipe(
        "digits-vit",
        "plain ViT",
        "A plain vision transformer: class token, learned positions, global attention.",
        "vit_tiny_patch16_224",
        {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 4},
        epochs=60,
    ),
    Recipe(
        "digits-vit-reg",
        "ViT with registers",
        "A vision transformer with four register tokens and average pooling in place of a class token.",
        "vit_small_patch16_224",
        {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 4, "reg_tokens": 4, "class_token": False, "global_pool": "avg"},
        epochs=60,
    ),
    Recipe(
        "digits-swin",
        "Swin",
        "A Swin transformer: attention in shifted 4×4 windows over two resolutions.",
        "swin_tiny_patch4_window7_224",
        {"img_size": 32, "patch_size": 4, "window_size": 4, "embed_dim": 32, "depths": [2, 2], "num_heads": [2, 4], "drop_path_rate": 0.0},
        epochs=60,
        batch=25,
    ),
    Recipe(
        "digits-hybrid",
        "hybrid conv-ViT",
        "A CoAtNet: a convolutional stem and stage, then attention with relative positions.",
        "coatnet_pico_rw_224",
        {"img_size": 32, "embed_dim": [32, 64], "depths": [1, 2], "block_type": ["C", "T"], "stem_width": [16, 24]},
        epochs=40,
    ),
)


@dataclass(frozen=True)
class Images:
    """Images float32 ``(n, 1, 32, 32)`` in [0, 1] (the three channels are equal) and labels int64 ``(n,)``."""

    pixels: Tensor
    labels: Tensor

    def part(self, start: int, stop: int) -> "Images":
        """The images of positions ``start`` to ``stop``."""
        return Images(self.pixels[start:stop], self.labels[start:stop])


def load(split: str) -> Images:
    """A split of the digits as tensors."""
    rows = digits(split)
    header = len(rows[0]["image"]["bytes"]) - 32 * 32 * 3
    pixels = np.stack([np.frombuffer(image["bytes"], np.uint8, offset=header).reshape(32, 32, 3)[..., 0] for image in rows["image"]])
    return Images(torch.from_numpy(pixels).float()[:, None] / 255, torch.tensor(rows["label"]))


def augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Another hand: each image ``(n, 1, 32, 32)`` turned, slanted, scaled, moved, bent and inked a little differently."""

    def uniform(spread: float, *shape: int) -> Tensor:
        return (torch.rand((len(pixels), *shape), generator=generator) * 2 - 1) * spread

    turn, slant = uniform(math.radians(12)), uniform(0.2)
    wide, high = 1 + uniform(0.12), 1 + uniform(0.12)
    matrix = torch.zeros(len(pixels), 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = turn.cos() * wide, -turn.sin() * high + slant
    matrix[:, 1, 0], matrix[:, 1, 1] = turn.sin() * wide, turn.cos() * high
    matrix[:, :, 2] = uniform(0.12, 2)
    grid = functional.affine_grid(matrix, list(pixels.shape), align_corners=False)
    bend = functional.interpolate(uniform(0.08, 2, 4, 4), size=(32, 32), mode="bicubic", align_corners=True)
    moved = functional.grid_sample(pixels, grid + bend.permute(0, 2, 3, 1), align_corners=False)
    return moved.clamp(0, 1) ** (2.0 ** uniform(0.6, 1, 1, 1))


def train(recipe: Recipe, images: Images) -> nn.Module:
    """The recipe's model trained on the images; AdamW under a linear warm-up and a cosine decay."""
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    model: nn.Module = timm.create_model(recipe.architecture, num_classes=len(CLASS_NAMES), **recipe.arguments)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": recipe.decay}, {"params": plain, "weight_decay": 0.0}], lr=recipe.rate)
    steps = recipe.epochs * math.ceil(len(images.labels) / recipe.batch)

    def rate(step: int) -> float:
        warm = WARMUP * steps
        return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    model.train()
    for _ in range(recipe.epochs):
        for chosen in torch.randperm(len(images.labels), generator=generator).split(recipe.batch):
            inputs = (augment(images.pixels[chosen], generator) - MEAN) / STD
            loss = functional.cross_entropy(model(inputs.expand(-1, 3, -1, -1)), images.labels[chosen], label_smoothing=recipe.smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


@torch.inference_mode()
def hits(model: nn.Module, images: Images) -> int:
    """How many images the model names rightly."""
    logits = torch.cat([model(((part - MEAN) / STD).expand(-1, 3, -1, -1)) for part in images.pixels.split(100)])
    return int((logits.argmax(1) == images.labels).sum())


def card(recipe: Recipe, correct: int, n: int) -> dict[str, Any]:
    """What stands beside the weights: all that is needed to load them, how they were trained, what they get."""
    interval = wilson(correct, n)
    return {
        "name": recipe.name,
        "architecture": recipe.architecture,
        "model_args": {**recipe.arguments, "num_classes": len(CLASS_NAMES)},
        "input_size": [3, 32, 32],
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "class_names": list(CLASS_NAMES),
        "family": recipe.family,
        "description": recipe.description,
        "license": "Apache-2.0",
        "training": {
            "data": "scikit-learn digits (UCI Optical Recognition of Handwritten Digits, test part), upscaled from 8×8 to 32×32, bicubic",
            "split": "train: the first 900, writers 1 to 7; test: the last 897, all but six by writers that training never saw",
            "selection": f"settings chosen by training on the first {VALIDATION_START} and looking at the rest of the first 900; the test half took no part",
            "epochs": recipe.epochs,
            "optimiser": f"AdamW, peak rate {recipe.rate:g}, weight decay {recipe.decay:g}, batch {recipe.batch}, linear warm-up, cosine decay",
            "augmentation": f"turn, slant, scale, shift, bend, ink; label smoothing {recipe.smoothing:g}",
            "seed": recipe.seed,
            "script": "scripts/train_digits_zoo.py",
            "torch": torch.__version__.partition("+")[0],
            "timm": timm.__version__,
        },
        "measured": {"test_top1": correct / n, "n": n, "interval": [interval.low, interval.high]},
    }


def save(recipe: Recipe, model: nn.Module, facts: Mapping[str, Any], folder: Path) -> str:
    """Write weights and card; the SHA-256 of the weights' file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{recipe.name}.safetensors"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors writes files that only their owner can read
    (folder / f"{recipe.name}.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Train, measure on what was held out, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=[recipe.name for recipe in RECIPES], help="train this model alone")
    parser.add_argument("--out", type=Path, default=ZOO, help="folder of the weights and cards")
    parser.add_argument("--epochs", type=int, help="in place of each recipe's own")
    parser.add_argument("--held-out", choices=("test", "validation"), default="test", help="validation trains on part of the train half and saves nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    known = load("train")
    parts = {"test": (known, load("test")), "validation": (known.part(0, VALIDATION_START), known.part(VALIDATION_START, 900))}
    training, held_out = parts[asked.held_out]
    for recipe in (r for r in RECIPES if asked.only in (None, r.name)):
        settings = recipe if asked.epochs is None else replace(recipe, epochs=asked.epochs)
        began = time.perf_counter()
        model = train(settings, training)
        seconds = time.perf_counter() - began
        correct, n = hits(model, held_out), len(held_out.labels)
        interval = wilson(correct, n)
        print(f"{recipe.name}: {asked.held_out} top-1 {correct / n:.4f} ({interval.low:.4f} – {interval.high:.4f}), n {n}, {seconds:.0f} s", flush=True)
        if asked.held_out == "test":
            print(f"  sha256 {save(settings, model, card(settings, correct, n), asked.out)}", flush=True)


if __name__ == "__main__":
    main()
