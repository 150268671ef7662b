"""A little ViT on disk, and what a reference that can't be resolved must say."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

ARCHITECTURE = "vit_tiny_patch16_224"
ARGUMENTS: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3, "num_classes": 6}
CARD: dict[str, Any] = {
    "name": "tiny",
    "architecture": ARCHITECTURE,
    "model_args": ARGUMENTS,
    "input_size": [3, 32, 32],
    "mean": [0.1, 0.2, 0.3],
    "std": [0.4, 0.5, 0.6],
    "interpolation": "bilinear",
    "crop_pct": 0.8,
    "crop_mode": "squash",
    "num_classes": 6,
    "class_names": list("abcdef"),
    "training": {"epochs": 1},
}


def little_network(**changed: Any) -> nn.Module:
    torch.manual_seed(5)
    built: nn.Module = timm.create_model(ARCHITECTURE, **{**ARGUMENTS, **changed})
    return built


def write_weights(path: Path, **changed: Any) -> Path:
    save_file(little_network(**changed).state_dict(), path)
    return path


def write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data))


def fails(spec: CheckpointSpec | str, code: str, *said: str) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        resolve(CheckpointSpec(spec) if isinstance(spec, str) else spec)
    assert caught.value.code == code
    for words in said:
        assert words in caught.value.message + " | " + caught.value.hint
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value
