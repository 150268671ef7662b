"""Variants of timm's vision transformers that differ in their tokens and in how they take images."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

SMALL: dict[str, Any] = {"img_size": 64, "embed_dim": 32, "depth": 2, "num_heads": 4, "num_classes": 5}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("vit_small_patch16_224", {"class_token": False, "global_pool": "avg"}, {}),
    ("vit_small_patch16_224", {"class_token": False, "global_pool": "avg", "reg_tokens": 4}, {}),
    ("vit_small_patch16_224", {"class_token": False, "global_pool": "map"}, {}),
    ("vit_small_patch16_224", {"reg_tokens": 4, "no_embed_class": True}, {}),
    ("vit_small_patch16_224", {"dynamic_img_size": True}, {}),
    ("vit_small_patch16_224", {"dynamic_img_size": True}, {"img_size": 96}),
    ("vit_small_patch14_reg4_dinov2", {"img_size": 56}, {}),
    ("vit_medium_patch16_reg1_gap_256", {}, {}),
    ("eva02_tiny_patch14_224", {"img_size": 56}, {}),
    ("vit_small_patch16_dinov3", {}, {}),
]


@pytest.mark.parametrize(("name", "changed", "asked"), CASES)
def test_logits_are_timms(tmp_path: Path, name: str, changed: dict[str, Any], asked: dict[str, Any]) -> None:
    arguments = {**SMALL, **changed}
    torch.manual_seed(1)
    network = timm.create_model(name, **arguments).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save_file({key: tensor.contiguous() for key, tensor in network.state_dict().items()}, tmp_path / "m.safetensors")
    (tmp_path / "m.json").write_text(json.dumps({"architecture": name, "model_args": arguments, "mean": [0.5] * 3, "std": [0.5] * 3}))
    model = load_model(resolve(CheckpointSpec(str(tmp_path / "m.safetensors"), arguments=asked)))
    side = asked.get("img_size", arguments["img_size"])
    assert model.input_size == (3, side, side)
    images = torch.rand(2, *model.input_size)
    with torch.inference_mode():
        torch.testing.assert_close(model(images), network((images - 0.5) / 0.5), rtol=1e-5, atol=1e-5)
