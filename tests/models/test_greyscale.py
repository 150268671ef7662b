from pathlib import Path
from typing import Any

import pytest
import torch
from little_vit import ARCHITECTURE, ARGUMENTS, CARD, fails, little_network, write_json
from safetensors.torch import save_file
from timm.models import adapt_input_conv
from torch import Tensor
from torchvision.transforms.functional import rgb_to_grayscale

from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def _saved(path: Path, channels: int) -> Path:
    save_file(little_network(in_chans=channels).state_dict(), path)
    return path


def _spec(path: Path, **arguments: Any) -> CheckpointSpec:
    return CheckpointSpec(str(path), ARCHITECTURE, {**ARGUMENTS, **arguments})


def _grey_logits(weights: dict[str, Tensor], mean: float, std: float) -> Tensor:
    network = little_network(in_chans=1)
    network.load_state_dict(weights)
    with torch.inference_mode():
        logits: Tensor = network.eval()((rgb_to_grayscale(IMAGES) - mean) / std)
    return logits


def test_a_network_for_one_channel_sees_the_luminance(tmp_path: Path) -> None:
    path = _saved(tmp_path / "w.safetensors", 1)
    write_json(tmp_path / "w.json", {**CARD, "model_args": {**ARGUMENTS, "in_chans": 1}, "mean": [0.13], "std": [0.31]})
    found = resolve(CheckpointSpec(str(path)))
    assert found.preprocessing.mean == (0.13,) * 3
    assert "luminance" in found.card["adapted"]
    expected = _grey_logits(little_network(in_chans=1).state_dict(), 0.13, 0.31)
    # torchvision rounds the weights of red, green and blue to four digits.
    torch.testing.assert_close(load_model(found)(IMAGES), expected, atol=2e-3, rtol=0)
    grey = IMAGES[:, :1].expand(-1, 3, -1, -1)
    with torch.inference_mode():
        exact = little_network(in_chans=1).eval()((grey[:, :1] - 0.13) / 0.31)
    torch.testing.assert_close(load_model(found)(grey), exact, atol=1e-5, rtol=0)


def test_a_network_for_colour_is_adapted_as_timm_does(tmp_path: Path) -> None:
    path = _saved(tmp_path / "w.safetensors", 3)
    write_json(tmp_path / "w.json", {**CARD, "mean": [0.5], "std": [0.5]})
    found = resolve(CheckpointSpec(str(path), arguments={"in_chans": 1}))
    weights = little_network().state_dict()
    adapted = {**weights, "patch_embed.proj.weight": adapt_input_conv(1, weights["patch_embed.proj.weight"])}
    torch.testing.assert_close(load_model(found)(IMAGES), _grey_logits(adapted, 0.5, 0.5), atol=2e-3, rtol=0)


def test_one_channel_is_asked_for(tmp_path: Path) -> None:
    assert "--arch-arg in_chans=1" in fails(_spec(_saved(tmp_path / "w.safetensors", 1)), "not-rgb", "1 channels").hint


@pytest.mark.parametrize("arguments", [{}, {"in_chans": 4}])
def test_four_channels_are_refused(arguments: dict[str, Any], tmp_path: Path) -> None:
    fails(_spec(_saved(tmp_path / "w.safetensors", 4), **arguments), "not-rgb", "4 channels")
