import pytest
import timm
import torch
from test_fourier_filter import GlobalFilter
from torch import nn

from efficient360.methods.spectral.inventory import ConvolutionWeight, FilterWeight, MatrixWeight, inventory
from efficient360.methods.spectral.kinds import Kind, kind_of
from efficient360.methods.spectral.layers import layers_of
from efficient360.methods.spectral.singular_values import random_stable_rank

IMAGE = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def silent(_done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=7).eval()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("blocks.3.attn.proj", Kind.PROJECTION),
        ("blocks.3.mlp.fc1", Kind.MLP),
        ("patch_embed.proj", Kind.EMBEDDING),
        ("stem.conv1.linear", Kind.EMBEDDING),
        ("stages.0.blocks.1.attn.q.ln.linear", Kind.QUERY),
        ("vit.encoder.layer.0.attention.attention.key", Kind.KEY),
        ("vit.encoder.layer.0.attention.output.dense", Kind.PROJECTION),
        ("vit.encoder.layer.0.output.dense", Kind.MLP),
        ("vit.encoder.layer.0.intermediate.dense", Kind.MLP),
        ("head", Kind.CLASSIFIER),
        ("head.fc", Kind.CLASSIFIER),
        ("layers.1.downsample.reduction", Kind.OTHER),
    ],
)
def test_names_tell_what_a_layer_does(name: str, kind: Kind) -> None:
    assert kind_of(name) is kind


def test_a_vit_is_taken_apart(vit: nn.Module) -> None:
    found = inventory(vit, IMAGE)
    names = [w.name for w in found.weights]
    assert names[:5] == ["patch_embed.proj", "blocks.0.attn.qkv q", "blocks.0.attn.qkv k", "blocks.0.attn.qkv v", "blocks.0.attn.proj"]
    assert all(isinstance(w, MatrixWeight) for w in found.weights)
    query = found.weights[1]
    assert isinstance(query, MatrixWeight)
    assert query.heads == 2
    torch.testing.assert_close(query.blocks[0], vit.get_submodule("blocks.0.attn.qkv").weight[:32].detach())
    assert found.weights[-1].kind is Kind.CLASSIFIER
    matrices = sum(p.numel() for name, p in vit.named_parameters() if name.endswith("weight") and p.ndim > 1)
    assert found.seen == matrices
    assert found.total == sum(p.numel() for p in vit.parameters())
    assert not any(m._forward_pre_hooks for m in vit.modules())


def test_layers_hold_the_spectra_of_the_weights(vit: nn.Module) -> None:
    steps: list[tuple[int, int]] = []
    layers = layers_of(inventory(vit, IMAGE), 16, 0, lambda done, total: steps.append((done, total)))
    query = layers[1]
    values = torch.linalg.svdvals(vit.get_submodule("blocks.0.attn.qkv").weight[:32].detach().double())
    assert query.spectrum.norm == pytest.approx(float(values[0]))
    assert query.against_random == pytest.approx(float(values.square().sum() / values[0] ** 2) / random_stable_rank(32, 32))
    heads = torch.linalg.svdvals(vit.get_submodule("blocks.0.attn.qkv").weight[:32].detach().double().view(2, 16, 32))
    assert query.heads == pytest.approx((heads.square().sum(1) / heads[:, 0] ** 2 / 16).tolist())
    assert query.law is not None
    assert layers[-1].law is None, "its smaller side is 7"
    assert layers[-1].against_random is None, "and narrow"
    assert steps[-1] == (len(layers), len(layers))


class Mixed(nn.Module):
    """A convolution, a depthwise one, a filter in Fourier space, torch's own attention, and a convolution that nobody calls."""

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


def test_other_operators_are_found() -> None:
    network = Mixed().eval()
    found = inventory(network, IMAGE)
    assert [(type(w), w.kind) for w in found.weights] == [
        (ConvolutionWeight, Kind.EMBEDDING),
        (ConvolutionWeight, Kind.CONVOLUTION),
        (FilterWeight, Kind.FILTER),
        (MatrixWeight, Kind.QUERY),
        (MatrixWeight, Kind.KEY),
        (MatrixWeight, Kind.VALUE),
        (MatrixWeight, Kind.PROJECTION),
    ]
    assert [w.shape for w in found.weights if isinstance(w, ConvolutionWeight)] == [(1, 3, 32, 32), (1, 16, 16, 16)]
    assert found.unused == ["idle"]
    assert found.seen == sum(p.numel() for p in network.parameters() if p.ndim > 1) - network.idle.weight.numel()
    assert all(0 < layer.spectrum.stable_share <= 1 for layer in layers_of(found, 128, 0, silent))
