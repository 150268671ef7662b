"""Little images to be learned in seconds, as examples and as a model trained on them."""

import json
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file

from datasets import Dataset
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.images import decoder_for
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.model import TorchModel
from efficient360.models.references import resolve

CLASSES = 4
ARGUMENTS = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 4, "num_classes": CLASSES}
CARD = {
    "architecture": "vit_tiny_patch16_224",
    "model_args": ARGUMENTS,
    "input_size": [3, 32, 32],
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "interpolation": "bicubic",
    "crop_pct": 1.0,
    "class_names": [f"spot {i}" for i in range(CLASSES)],
}


def pixels_of(n: int, seed: int, contrast: float = 60) -> tuple[np.ndarray, np.ndarray]:
    """uint8 ``(n, 32, 32, 3)``: noise with a spot whose place is the class; and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % CLASSES).astype(np.int64)
    pixels = rng.uniform(0, 150, (n, 32, 32, 3))
    for i, label in enumerate(labels):
        row, column = divmod(int(label), 2)
        pixels[i, 4 + 16 * row : 12 + 16 * row, 4 + 16 * column : 12 + 16 * column] += contrast
    return pixels.clip(0, 255).astype(np.uint8), labels


def examples(pixels: np.ndarray, labels: np.ndarray, split: str, checkpoint: Checkpoint) -> ExampleSet:
    """The images as a split of a data set."""
    cells = [{"bytes": b"P6 32 32 255\n" + image.tobytes(), "path": None} for image in pixels]
    return ExampleSet(
        table=Dataset.from_dict({"image": cells}),
        image="image",
        positions=np.arange(len(labels)),
        ids=[f"{split}/{i:04d}" for i in range(len(labels))],
        labels=labels,
        groups={},
        class_names=[str(i) for i in range(10)],
        decoder=decoder_for(checkpoint.preprocessing),
        seed=0,
    )


def learned(folder: Path, pixels: np.ndarray, labels: np.ndarray, epochs: int) -> tuple[Checkpoint, TorchModel]:
    """A tiny ViT trained for some epochs: few leave it ignorant of single images, many make it know them by heart."""
    folder.mkdir(parents=True, exist_ok=True)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("vit_tiny_patch16_224", **ARGUMENTS).train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(labels)).split(50):
                loss = torch.nn.functional.cross_entropy(network((images[rows] - 0.5) / 0.5), torch.from_numpy(labels)[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    save_file(network.state_dict(), folder / "learned.safetensors")
    (folder / "learned.json").write_text(json.dumps(CARD))
    checkpoint = resolve(CheckpointSpec(str(folder / "learned.safetensors")))
    return checkpoint, load_model(checkpoint)
