"""Images through a checkpoint as a run sees them."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from efficient360.datasets.images import transform_for
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

RNG = np.random.default_rng(0)
IMAGES = [Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)) for height, width in ((47, 61), (90, 64), (131, 77))]


def pixels_and_logits(reference: str, **arguments: Any) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Normalised pixels and logits of the images, and the checkpoint."""
    checkpoint = resolve(CheckpointSpec(reference, arguments=arguments))
    model, transform = load_model(checkpoint), transform_for(checkpoint.preprocessing)
    images = torch.from_numpy(np.stack([transform(image) for image in IMAGES])).float() / 255
    with torch.inference_mode():
        return model.module.normalise(images), model(images), checkpoint
