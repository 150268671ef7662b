"""MACs and activations against hand arithmetic, plain fvcore, torch's FlopCounterMode and published figures."""

from typing import Any

import pytest
import timm
import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import deform_conv2d

from efficient360.methods.complexity.mac_count import count_macs, reference_macs, structure_copy
from efficient360.methods.complexity.mac_formulas import FORMULAS, FREE, contraction_macs

SMALL: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3},
    "swin_tiny_patch4_window7_224": {"img_size": 56, "embed_dim": 24, "depths": (2, 2), "num_heads": (2, 4)},
    "cait_xxs24_224": {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3},
    "xcit_nano_12_p16_224": {"img_size": 32, "embed_dim": 48, "depth": 2, "num_heads": 3},
    "pvt_v2_b0": {},
    "mobilevit_xxs": {},
    "eva02_tiny_patch14_224": {"img_size": 28, "embed_dim": 48, "depth": 2, "num_heads": 3},
    "levit_128s": {},
    "poolformer_s12": {},
}


class Call(nn.Module):
    """One function as a network, with tensors it needs beside the input."""

    def __init__(self, function, *tensors):
        super().__init__()
        self.function = function
        for index, tensor in enumerate(tensors):
            self.register_buffer(f"tensor_{index}", tensor)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.buffers())


class Attention(nn.Module):
    """Multi-head self-attention of d channels, fused or explicit."""

    def __init__(self, d: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scaled = q * (d // self.heads) ** -0.5
        out = F.scaled_dot_product_attention(q, k, v) if self.fused else (scaled @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.proj(out.transpose(1, 2).reshape(b, n, d))


def build(name: str, **changes) -> tuple[nn.Module, Tensor]:
    model = timm.create_model(name, num_classes=10, **{**SMALL[name], **changes}).eval()
    side = SMALL[name].get("img_size", 64 if name != "levit_128s" else 224)
    return model, torch.rand(1, 3, side, side)


def test_linear_by_hand():
    counted = count_macs(nn.Linear(3, 5), torch.rand(2, 7, 3))
    assert (counted.macs, counted.activations, counted.uncounted) == (2 * 7 * 3 * 5, 2 * 7 * 5, ())


def test_convolution_by_hand():
    counted = count_macs(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), torch.rand(1, 4, 10, 12))
    assert counted.macs == 5 * 6 * 8 * (4 // 2) * 9
    assert counted.activations == 5 * 6 * 8


def test_convolution_with_named_padding_by_hand():
    assert count_macs(nn.Conv2d(4, 8, 3, padding="same"), torch.rand(1, 4, 6, 6)).macs == 36 * 8 * 4 * 9


def test_transposed_convolution_by_hand():
    assert count_macs(nn.ConvTranspose2d(4, 8, 2, stride=2), torch.rand(1, 4, 5, 6)).macs == 5 * 6 * 4 * 8 * 4


def test_deformable_convolution_costs_what_the_plain_one_does():
    call = Call(deform_conv2d, torch.zeros(1, 18, 6, 6), torch.rand(8, 4, 3, 3))
    assert count_macs(call, torch.rand(1, 4, 8, 8)).macs == 36 * 8 * 4 * 9


@pytest.mark.parametrize("fused", [True, False])
def test_attention_by_hand(fused: bool):
    n, d = 9, 12
    counted = count_macs(Attention(d, 3, fused), torch.rand(1, n, d))
    assert counted.macs == n * d * 3 * d + 2 * n * n * d + n * d * d
    assert counted.by_kind == {"linear": 4 * n * d * d, "attention": 2 * n * n * d}
    assert counted.activations == n * 3 * d + 3 * n * n + n * d + n * d


def test_shared_keys_are_counted_for_every_query_head():
    def grouped(x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x[:, :2, :5], x[:, :2, :5, :], enable_gqa=True)

    assert count_macs(Call(grouped), torch.rand(2, 6, 7, 4)).macs == 2 * 6 * 7 * 5 * (4 + 4)


@pytest.mark.parametrize("enabled", [True, False])
def test_torchs_encoder_fast_path_changes_no_count_and_is_restored(enabled: bool):
    d, inner, n = 16, 32, 5
    layer = nn.TransformerEncoderLayer(d, 4, inner, batch_first=True)
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        counted = count_macs(layer, torch.rand(1, n, d))
        assert torch.backends.mha.get_fastpath_enabled() is enabled
        assert counted.products == 4 * n * d * d + 2 * n * n * d + 2 * n * d * inner
        assert reference_macs(layer, torch.rand(1, n, d)) == counted.products
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bhid,bhjd->bhij", [(1, 2, 3, 4), (1, 2, 5, 4)]),
        ("b h i j, b h j d -> b h i d", [(1, 2, 3, 5), (1, 2, 5, 4)]),
        ("...ij,...jk->...ik", [(2, 3, 4, 5), (3, 5, 6)]),
        ("ij,jk", [(3, 4), (4, 5)]),
        ("abc,cd,de->abe", [(2, 3, 4), (4, 5), (5, 6)]),
    ],
)
def test_einsum_costs_what_torch_dispatches(equation: str, shapes: list[tuple[int, ...]]):
    tensors = [torch.rand(shape) for shape in shapes]
    with FlopCounterMode(display=False) as counter:
        torch.einsum(equation, *tensors)
    call = Call(lambda x, *others: torch.einsum(equation, x, *others), *tensors[1:])
    assert count_macs(call, tensors[0]).macs == counter.get_total_flops() // 2


def test_einsum_along_a_path():
    shapes = [(2, 3), (3, 100), (100, 4)]
    assert contraction_macs("ab,bc,cd->ad", shapes) == 2 * 3 * 100 + 2 * 100 * 4
    assert contraction_macs("ab,bc,cd->ad", shapes, [1, 2, 0, 1]) == 3 * 100 * 4 + 2 * 3 * 4


def test_fourier_transforms_follow_fftws_convention():
    points = 8 * 8
    assert count_macs(Call(torch.fft.rfft2), torch.rand(1, 3, 8, 8)).by_kind == {"spectral": int(2.5 * 3 * points * 6 / 2)}
    assert count_macs(Call(lambda x: torch.fft.fft(x.to(torch.complex64)).real), torch.rand(2, 16)).macs == int(5 * 2 * 16 * 4 / 2)
    assert count_macs(Call(lambda x: torch.fft.irfft2(x.to(torch.complex64))), torch.rand(1, 3, 8, 5)).macs == int(2.5 * 3 * points * 6 / 2)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: torch.baddbmm(y[:, :3, :1], x, y),
        torch.bmm,
        lambda x, y: torch.addmm(y[0, 0], x[0], y[0]),
        lambda x, y: torch.mm(x[0], y[0]),
        lambda x, y: x @ y[0],
        lambda x, y: torch.mv(x[0], y[0, :, 0]),
    ],
)
def test_matrix_products_against_torchs_counter(function):
    x, y = torch.rand(2, 3, 4), torch.rand(2, 4, 5)
    with FlopCounterMode(display=False) as counter:
        function(x, y)
    # torch's counter has no rule for a matrix times a vector: 3 by 4.
    assert count_macs(Call(function, y), x).macs == (counter.get_total_flops() // 2 or 12)


def test_bilinear_and_summed_products_by_hand():
    assert count_macs(Call(lambda x, w: F.bilinear(x, x, w), torch.rand(5, 4, 4)), torch.rand(3, 4)).macs == 3 * 5 * 4 * 4
    assert count_macs(Call(lambda x, y: torch.addbmm(x[0, :, :1], x, y), torch.rand(2, 4, 5)), torch.rand(2, 3, 4)).macs == 2 * 3 * 4 * 5


@pytest.mark.parametrize("name", SMALL)
def test_products_against_torchs_counter(name: str):
    model, images = build(name)
    counted = count_macs(model, images)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.requires_grad_(False)(images)
    assert counted.uncounted == ()
    assert counted.products == counter.get_total_flops() // 2 == reference_macs(model, images)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "pvt_v2_b0", "mobilevit_xxs", "eva02_tiny_patch14_224"])
def test_fused_and_unfused_attention_are_equal_and_the_unfused_is_what_plain_fvcore_counts(name: str):
    try:
        timm.layers.set_fused_attn(True, experimental=True)
        fused, images = build(name)
        timm.layers.set_fused_attn(False)
        unfused, _ = build(name)
    finally:
        timm.layers.set_fused_attn(True)
    mine, spelled = count_macs(fused, images), count_macs(unfused, images)
    assert (mine.macs, mine.activations, mine.by_kind) == (spelled.macs, spelled.activations, spelled.by_kind)
    plain = FlopCountAnalysis(unfused, images).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    outputs = ActivationCountAnalysis(unfused, images).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    assert mine.macs == plain.total()
    assert mine.activations == outputs.total()
    fused_by_fvcore = FlopCountAnalysis(fused, images).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    assert fused_by_fvcore.total() < mine.macs


@pytest.mark.parametrize(
    ("name", "gmacs", "activations", "parameters"),
    [("deit_tiny_patch16_224", 1.26, 5.97, 5.72), ("swin_tiny_patch4_window7_224", 4.51, 17.06, 28.29), ("mobilevit_s", 2.03, 19.94, 5.58)],
)
def test_published_figures(name: str, gmacs: float, activations: float, parameters: float):
    model = timm.create_model(name).eval()
    counted = count_macs(model, torch.rand(1, *model.default_cfg["input_size"]))
    assert (round(counted.macs / 1e9, 2), round(counted.activations / 1e6, 2)) == (gmacs, activations)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == parameters


class Opaque(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x @ x.T


@torch.library.custom_op("efficient360_test::product", mutates_args=())
def product(x: Tensor) -> Tensor:
    return x @ x.T


def test_an_unknown_operator_is_listed_with_its_calls():
    assert count_macs(Call(Opaque.apply), torch.rand(3, 3)).uncounted == (("prim::PythonOp.Opaque", 1),)
    counted = count_macs(Call(lambda x: product(product(x) @ x)), torch.rand(3, 3))
    assert counted.uncounted == (("efficient360_test::product", 2),)
    assert count_macs(nn.LSTM(3, 4), torch.rand(2, 1, 3)).uncounted == (("aten::lstm", 1),)


def test_scripted_code_is_not_silently_skipped():
    scripted = torch.jit.script(doubled_product)
    # A plain function around it, because scripted ones can't be copied.
    counted = count_macs(Call(lambda x: scripted(x) + x), torch.rand(3, 3))
    assert [name.partition(".")[0] for name, _ in counted.uncounted] == ["prim::CallFunction"]


def doubled_product(x: Tensor) -> Tensor:
    return x @ x + x @ x


def test_no_operator_is_in_both_tables():
    assert not FORMULAS.keys() & FREE


def test_modules_add_up():
    model, images = build("vit_tiny_patch16_224")
    counted = count_macs(model, images)
    assert counted.by_module[""] == counted.macs == sum(counted.by_kind.values())
    parts = ("patch_embed", "blocks.0", "blocks.1", "norm", "head")
    assert sum(counted.by_module[name] for name in parts) == counted.macs


def test_the_network_is_not_modified():
    model, images = build("vit_tiny_patch16_224")
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_macs(model, images)
    reference_macs(model, images)
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_no_hook_remains_if_the_network_fails():
    model = nn.Sequential(nn.Linear(3, 4))
    with pytest.raises(RuntimeError):
        count_macs(model, torch.rand(1, 5))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_structure_copy_shares_weights_and_a_meta_copy_holds_none():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    assert structure_copy(model)[0].weight.data_ptr() == model[0].weight.data_ptr()
    assert all(tensor.is_meta for tensor in structure_copy(model, "meta").state_dict().values())


@settings(max_examples=15, deadline=None)
@given(width=st.integers(1, 6), batch=st.integers(1, 4), side=st.integers(3, 9))
def test_macs_grow_in_proportion_to_width_and_batch(width: int, batch: int, side: int):
    def macs(channels: int, examples: int) -> int:
        return count_macs(nn.Conv2d(3, channels, 3), torch.rand(examples, 3, side, side)).macs

    assert macs(2 * width, batch) == 2 * macs(width, batch)
    assert macs(width, 3 * batch) == 3 * macs(width, batch)
