"""Scaling of MACs with resolution against closed forms and numpy."""

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from efficient360.errors import Unsupported
from efficient360.methods.complexity.resolution_scaling import fit_scaling_law, macs_at_sizes

SCALES = (1, 2, 3, 4)
ARGUMENTS = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 7}


def vit_macs(side: int, depth: int = 2) -> int:
    """A ViT of patch 8, width 32, MLP ratio 4, 7 classes, by hand."""
    n, d = (side // 8) ** 2, 32
    tokens = n + 1
    return n * d * 3 * 64 + depth * (12 * tokens * d * d + 2 * tokens * tokens * d) + 7 * d


@settings(max_examples=25, deadline=None)
@given(exponent=st.floats(0.5, 2.5), factor=st.floats(1e2, 1e6))
def test_an_exact_power_law_is_recovered(exponent: float, factor: float):
    pixels = [1024, 4096, 9216, 16384]
    law = fit_scaling_law(pixels, [factor * n**exponent for n in pixels])
    assert law.exponent == pytest.approx(exponent, abs=1e-9)
    assert law.factor == pytest.approx(factor, rel=1e-6)
    assert law.r_squared == pytest.approx(1)
    assert law.interval.high - law.interval.low < 1e-6


def test_exponent_and_interval_against_normal_equations():
    pixels, macs = [1024, 4096, 9216, 16384], [3_000_000, 21_000_000, 80_000_000, 200_000_000]
    x, y = np.log(pixels), np.log(macs)
    design = np.stack([x, np.ones(4)], 1)
    solution, residual, *_ = np.linalg.lstsq(design, y, rcond=None)
    error = np.sqrt(residual[0] / 2 * np.linalg.inv(design.T @ design)[0, 0])
    law = fit_scaling_law(pixels, macs)
    assert law.exponent == pytest.approx(solution[0])
    assert law.interval.high - law.exponent == pytest.approx(stats.t.ppf(0.975, 2) * error)
    assert law.r_squared == pytest.approx(1 - residual[0] / ((y - y.mean()) ** 2).sum())


def test_a_vit_is_rebuilt_at_each_size():
    network = timm.create_model("vit_tiny_patch16_224", **ARGUMENTS)
    points = macs_at_sizes(network, "vit_tiny_patch16_224", ARGUMENTS, (3, 32, 32), SCALES)
    assert points == tuple(((32 * s) ** 2, vit_macs(32 * s)) for s in SCALES)


def test_a_network_of_ones_own_is_rebuilt_by_its_image_size(tmp_path):
    file = tmp_path / "net.py"
    builder = f"return timm.create_model('vit_tiny_patch16_224', **({ARGUMENTS} | {{'img_size': image_size}}))"
    file.write_text(f"import timm\n\ndef build(image_size=32):\n    {builder}\n")
    network = timm.create_model("vit_tiny_patch16_224", **ARGUMENTS)
    points = macs_at_sizes(network, f"{file}:build", {}, (3, 32, 32), SCALES)
    assert points == tuple(((32 * s) ** 2, vit_macs(32 * s)) for s in SCALES)


def test_a_network_that_accepts_any_size_is_given_larger_images():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1))
    points = macs_at_sizes(network, "", {}, (3, 16, 24), SCALES)
    assert points == tuple((n := 16 * 24 * s * s, n * 4 * 27) for s in SCALES)


def test_windows_grow_linearly_and_global_attention_faster():
    swin_arguments = {"img_size": 56, "embed_dim": 24, "depths": (2, 2), "num_heads": (2, 4)}
    swin = timm.create_model("swin_tiny_patch4_window7_224", **swin_arguments)
    points = macs_at_sizes(swin, "swin_tiny_patch4_window7_224", swin_arguments, (3, 56, 56), SCALES)
    assert fit_scaling_law(*zip(*points, strict=True)).exponent == pytest.approx(1, abs=0.01)
    global_points = [((32 * s) ** 2, vit_macs(32 * s)) for s in SCALES]
    assert 1.05 < fit_scaling_law(*zip(*global_points, strict=True)).exponent < 2


class Resized(nn.Module):
    """Resizes every image to its own size first."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.interpolate(x, size=(16, 16))).mean((2, 3))


@pytest.mark.parametrize("network", [nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 4)), Resized()])
def test_networks_of_one_size_are_unsupported(network: nn.Module):
    with pytest.raises(Unsupported, match="16 x 16 only") as error:
        macs_at_sizes(network, "no_such_architecture", {}, (3, 16, 16), SCALES)
    assert error.value.code == "fixed-resolution"


def test_an_own_builder_without_an_image_size_is_told_without_pythons_words(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\ndef build(width=4):\n    return nn.Sequential(nn.Flatten(), nn.Linear(768, width))\n")
    with pytest.raises(Unsupported, match=r"accepts images of 16 x 16 only: nothing in its arguments sets another$") as error:
        macs_at_sizes(nn.Sequential(nn.Flatten(), nn.Linear(768, 4)), f"{file}:build", {}, (3, 16, 16), SCALES)
    assert error.value.code == "fixed-resolution"


def test_an_architecture_without_img_size():
    network = timm.create_model("efficientformer_l1", num_classes=4)
    with pytest.raises(Unsupported, match="efficientformer_l1") as error:
        macs_at_sizes(network, "efficientformer_l1", {"num_classes": 4}, (3, 224, 224), (1, 2))
    assert error.value.code == "fixed-resolution"


def test_a_pruned_network_is_not_mistaken_for_its_architecture():
    network = timm.create_model("vit_tiny_patch16_224", **ARGUMENTS)
    network.blocks = network.blocks[:1]
    with pytest.raises(Unsupported, match=f"{vit_macs(32, depth=1):,} MACs where vit_tiny_patch16_224 costs {vit_macs(32):,}") as error:
        macs_at_sizes(network, "vit_tiny_patch16_224", ARGUMENTS, (3, 32, 32), SCALES)
    assert error.value.code == "changed-architecture"


def test_random_state_and_weights_are_not_changed():
    network = timm.create_model("vit_tiny_patch16_224", **ARGUMENTS)
    before, weights = torch.get_rng_state(), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    macs_at_sizes(network, "vit_tiny_patch16_224", ARGUMENTS, (3, 32, 32), (1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(weights[name], tensor) for name, tensor in network.state_dict().items())
