"""The linear operators of a network, and the spectra of its layers."""

import pytest
import timm
import torch
from test_convolution_spectra import GlobalFilter
from torch import nn

from efficient360.methods.spectral.layer_spectra import layer_spectra
from efficient360.methods.spectral.linear_operators import ConvolutionWeight, FilterWeight, MatrixWeight, find_operators
from efficient360.methods.spectral.stable_rank import random_stable_rank
from efficient360.methods.spectral.weight_roles import WeightRole
from efficient360.models.view.protocol import ViTView

IMAGE = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def silent(_done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=7).eval()


def test_the_operators_of_a_vit(vit: nn.Module) -> None:
    inventory = find_operators(vit, IMAGE, ViTView())
    names = [w.name for w in inventory.weights]
    assert names[:5] == ["patch_embed.proj", "blocks.0.attn.qkv q", "blocks.0.attn.qkv k", "blocks.0.attn.qkv v", "blocks.0.attn.proj"]
    assert all(isinstance(w, MatrixWeight) for w in inventory.weights)
    query = inventory.weights[1]
    assert isinstance(query, MatrixWeight)
    assert query.heads == 2
    torch.testing.assert_close(query.blocks[0], vit.get_submodule("blocks.0.attn.qkv").weight[:32].detach())
    assert inventory.weights[-1].role is WeightRole.CLASSIFIER
    matrices = sum(p.numel() for name, p in vit.named_parameters() if name.endswith("weight") and p.ndim > 1)
    assert inventory.covered_parameters == matrices
    assert inventory.total_parameters == sum(p.numel() for p in vit.parameters())
    assert not any(m._forward_pre_hooks for m in vit.modules())


def test_layers_hold_the_spectra_of_the_weights(vit: nn.Module) -> None:
    steps: list[tuple[int, int]] = []
    layers = layer_spectra(find_operators(vit, IMAGE, ViTView()), 16, 0, lambda done, total: steps.append((done, total)))
    query = layers[1]
    values = torch.linalg.svdvals(vit.get_submodule("blocks.0.attn.qkv").weight[:32].detach().double())
    assert query.spectrum.spectral_norm == pytest.approx(float(values[0]))
    assert query.stable_rank_ratio == pytest.approx(float(values.square().sum() / values[0] ** 2) / random_stable_rank(32, 32))
    heads = torch.linalg.svdvals(vit.get_submodule("blocks.0.attn.qkv").weight[:32].detach().double().view(2, 16, 32))
    assert query.head_rank_shares == pytest.approx((heads.square().sum(1) / heads[:, 0] ** 2 / 16).tolist())
    assert query.power_law is not None
    assert layers[-1].power_law is None, "its smaller side is 7"
    assert layers[-1].stable_rank_ratio is None, "and narrow"
    assert steps[-1] == (len(layers), len(layers))


class Mixed(nn.Module):
    """A convolution, a depthwise one, a filter in Fourier space, torch's own attention, and a convolution that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.filter = GlobalFilter(16, 16, 16)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.idle = nn.Conv2d(3, 3, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.depthwise(self.stem(images))
        tokens = self.filter(maps.permute(0, 2, 3, 1)).flatten(1, 2)
        return self.attention(tokens, tokens, tokens)[0].mean(1)


def test_convolutions_filters_and_torchs_attention() -> None:
    network = Mixed().eval()
    inventory = find_operators(network, IMAGE, ViTView())
    assert [(type(w), w.role) for w in inventory.weights] == [
        (ConvolutionWeight, WeightRole.EMBEDDING),
        (ConvolutionWeight, WeightRole.CONVOLUTION),
        (FilterWeight, WeightRole.FILTER),
        (MatrixWeight, WeightRole.QUERY),
        (MatrixWeight, WeightRole.KEY),
        (MatrixWeight, WeightRole.VALUE),
        (MatrixWeight, WeightRole.PROJECTION),
    ]
    assert [w.shape for w in inventory.weights if isinstance(w, ConvolutionWeight)] == [(1, 3, 32, 32), (1, 16, 16, 16)]
    assert inventory.unused == ["idle"]
    assert inventory.covered_parameters == sum(p.numel() for p in network.parameters() if p.ndim > 1) - network.idle.weight.numel()
    assert all(0 < layer.spectrum.stable_rank_share <= 1 for layer in layer_spectra(inventory, 128, 0, silent))
