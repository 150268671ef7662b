"""Training of shadow models, each on a random half of the same images: architecture, recipe and seeds."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.seeding import isolated_torch_rng
from efficient360.evaluator import Deadline
from efficient360.models.architectures import build_network
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.model import PixelsToLogits
from efficient360.storage.pixel_store import PixelStore
from efficient360.storage.resumable import Progress

SAME, SMALL = "same", "small"
WARMUP = 0.1
"""Share of the steps."""
Mask = NDArray[np.bool_]


@final
@dataclass(frozen=True)
class ShadowRecipe:
    """Architecture and training of a shadow model: AdamW with warm-up and cosine decay, no augmentation.

    Args:
        model: ``same`` for the checkpoint's architecture from random weights, ``small`` for a ViT of 0.2 M parameters.
        epochs: Passes over its half of the images, at least 1.
        batch: Images per step, at least 1.
        learning_rate: Peak learning rate, above 0.
        weight_decay: Of AdamW.
    """

    model: str = SAME
    epochs: int = 30
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05


def random_halves(images: int, shadows: int, seed: int) -> Mask:
    """Which model is trained on which images: a pair of models splits the images between them, so each image is in half of the models.

    The halves of a pair do not depend on the number of models.

    Args:
        images: Number of images.
        shadows: Number of models, even.
        seed: Of the halves.

    Returns:
        bool ``(shadows, images)``.
    """
    is_member = np.zeros((shadows, images), dtype=bool)
    for first in range(0, shadows, 2):
        chosen = np.random.default_rng([seed, first]).permutation(images)[: images // 2]
        is_member[first, chosen] = True
        is_member[first + 1] = ~is_member[first]
    return is_member


def build_shadow(recipe: ShadowRecipe, checkpoint: Checkpoint, classes: int, seed: int) -> PixelsToLogits:
    """A shadow model before its training: pixels in [0, 1] to ``classes`` logits, with random weights.

    Raises:
        CheckpointError: timm can't build it.
        Unsupported: It is to be of the architecture of a network that was given in memory.
    """
    preprocessing = checkpoint.preprocessing
    if recipe.model == SAME:
        checkpoint.require_rebuildable()
        architecture, arguments = checkpoint.architecture, dict(checkpoint.arguments)
        if classes != checkpoint.num_classes:
            arguments["num_classes"] = classes
    else:
        _, height, width = preprocessing.input_size
        architecture = "vit_tiny_patch16_224"
        arguments = {
            "img_size": (height, width),
            "patch_size": (max(1, height // 8), max(1, width // 8)),
            "embed_dim": 64,
            "depth": 4,
            "num_heads": 4,
            "num_classes": classes,
        }
    return PixelsToLogits(build_network(architecture, arguments, seed), preprocessing.mean, preprocessing.std, None)


def train_shadow(
    module: PixelsToLogits,
    pixels: PixelStore,
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    recipe: ShadowRecipe,
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
        rows: Indices of the images to train on, at least 2.
        recipe: Of the training.
        seed: Of the order, and of dropout if any.
        deadline: Checked before every step.
        progress: Called after every step.

    Returns:
        The module, in eval mode.

    Raises:
        OutOfTime: From the deadline; nothing is kept.
    """
    device = module.mean.device
    batches = math.ceil(len(rows) / recipe.batch)
    steps = recipe.epochs * batches
    optimiser = torch.optim.AdamW(module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _schedule(step, steps))
    rng = np.random.default_rng([seed, 1])
    with isolated_torch_rng(device, seed):
        module.train().requires_grad_(requires_grad=True)
        done = 0
        for _ in range(recipe.epochs):
            # Batches of nearly equal size: a last one of a single image would break batch norm.
            for batch in np.array_split(rng.permutation(rows), batches):
                deadline.check()
                logits: Tensor = module(pixels.images(batch).to(device))
                loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels[batch]).to(device))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                done += 1
                progress(done, steps)
    return module.eval().requires_grad_(requires_grad=False)


def _schedule(step: int, steps: int) -> float:
    """Learning rate as a share of its peak."""
    warm = max(1.0, WARMUP * steps)
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm)))


def shadow_seed(seed: int, shadow: int) -> int:
    """Seed of one shadow model's weights and order of images."""
    return int(np.random.default_rng([seed, 7, shadow]).integers(2**31))
