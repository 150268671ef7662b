"""Shadow models: networks of our own, each trained on a random half of the same images, that show what membership does to a confidence."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.errors import SettingsError
from efficient360.evaluator import Deadline
from efficient360.methods.privacy.randomness import own_randomness
from efficient360.methods.privacy.references import Mask
from efficient360.models.architectures import build_network
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.model import PixelsToLogits
from efficient360.storage.pixel_store import PixelStore
from efficient360.storage.resumable import Progress

SAME, SMALL = "same", "small"
WARMUP = 0.1


@final
@dataclass(frozen=True)
class Recipe:
    """How a shadow model is trained: AdamW under a warm-up and a cosine decay, no augmentation.

    Args:
        model: ``same`` for the checkpoint's architecture from random weights, ``small`` for a ViT of 0.2 M parameters.
        epochs: Passes over its half of the images, at least 1.
        batch: Images a step, at least 1.
        rate: Peak learning rate.
        decay: Weight decay.
    """

    model: str = SAME
    epochs: int = 30
    batch: int = 64
    rate: float = 1e-3
    decay: float = 0.05

    def __post_init__(self) -> None:
        if self.model not in (SAME, SMALL):
            raise SettingsError("bad-setting", f"shadow_model is {self.model!r}", f"choose {SAME}, the checkpoint's architecture, or {SMALL}, a small ViT")
        if self.epochs < 1 or self.batch < 1 or self.rate <= 0:
            message = f"shadow models with {self.epochs} epochs, batches of {self.batch} and a rate of {self.rate} can't be trained"
            raise SettingsError("bad-setting", message, "give at least 1 epoch, a batch of at least 1 and a rate above 0")


def halves(images: int, shadows: int, seed: int) -> Mask:
    """Who is trained on what: pairs of models share the images between them, so each image is in half of them.

    The halves of a pair don't depend on how many models there are.

    Args:
        images: How many images.
        shadows: How many models, even.
        seed: Of the halves.

    Returns:
        bool ``(shadows, images)``.
    """
    inside = np.zeros((shadows, images), dtype=bool)
    for first in range(0, shadows, 2):
        chosen = np.random.default_rng([seed, first]).permutation(images)[: images // 2]
        inside[first, chosen] = True
        inside[first + 1] = ~inside[first]
    return inside


def untrained(recipe: Recipe, checkpoint: Checkpoint, classes: int, seed: int) -> PixelsToLogits:
    """A shadow model before its training: pixels in [0, 1] to ``classes`` logits, with random weights.

    Raises:
        CheckpointError: timm can't build it.
    """
    shape = checkpoint.preprocessing
    if recipe.model == SAME:
        architecture, arguments = checkpoint.architecture, {**checkpoint.arguments, "num_classes": classes}
    else:
        _, height, width = shape.input_size
        architecture = "vit_tiny_patch16_224"
        arguments = {
            "img_size": (height, width),
            "patch_size": (max(1, height // 8), max(1, width // 8)),
            "embed_dim": 64,
            "depth": 4,
            "num_heads": 4,
            "num_classes": classes,
        }
    return PixelsToLogits(build_network(architecture, arguments, seed), shape.mean, shape.std, None)


def trained(
    module: PixelsToLogits,
    pixels: PixelStore,
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    recipe: Recipe,
    seed: int,
    deadline: Deadline,
    progress: Progress,
) -> PixelsToLogits:
    """Train a module in place on some images of a store.

    The global random state is left as it was.

    Args:
        module: On the device to train on.
        pixels: The images.
        labels: Label of each image of the store, int64.
        rows: Which images, at least 2.
        recipe: How.
        seed: Of the order, and of dropout where there is some.
        deadline: Checked before every step.
        progress: Told after every step.

    Returns:
        The module, in eval mode.

    Raises:
        OutOfTime: From the deadline; nothing is kept.
    """
    device = module.mean.device
    parts = math.ceil(len(rows) / recipe.batch)
    steps = recipe.epochs * parts
    optimiser = torch.optim.AdamW(module.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    rng = np.random.default_rng([seed, 1])
    with own_randomness(device, seed):
        module.train().requires_grad_(requires_grad=True)
        done = 0
        for _ in range(recipe.epochs):
            # Parts of nearly equal size: a last one of a single image would break batch norm.
            for part in np.array_split(rng.permutation(rows), parts):
                deadline.check()
                logits: Tensor = module(pixels.images(part).to(device))
                loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels[part]).to(device))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                done += 1
                progress(done, steps)
    return module.eval().requires_grad_(requires_grad=False)


def _rate(step: int, steps: int) -> float:
    warm = max(1.0, WARMUP * steps)
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm)))


def seed_of(seed: int, shadow: int) -> int:
    """The seed of one shadow model's weights and order, unlike any other's."""
    return int(np.random.default_rng([seed, 7, shadow]).integers(2**31))
