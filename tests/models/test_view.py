"""The view of a network: one vision transformer in three styles has the same parts and numbers; odd ones state theirs; what is missing is said."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from own_networks import ENCODER, built, write
from torch import Tensor, nn
from view_networks import CLASSES, DEPTH, HEADS, PATCH, SIZE, WIDTH, EncoderViT, ListedViT, as_encoder, as_listed, model_of, spread, timm_vit

from efficient360.core.seeding import generators
from efficient360.errors import CheckpointError, Unsupported
from efficient360.methods.attribution.attention import AttentionRollout, CheferRelevance, capture_attention
from efficient360.methods.attribution.gradcam import GradCam
from efficient360.methods.attribution.grid import grid_of
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod
from efficient360.methods.continual_learning.learner import learner_from, require_learnable
from efficient360.methods.privacy.fine_tuning import with_zero_classifier
from efficient360.methods.spectral.attention_statistics import record_attention
from efficient360.methods.spectral.linear_operators import find_operators
from efficient360.methods.spectral.lipschitz import norm_product
from efficient360.methods.spectral.token_maps import record_blocks
from efficient360.methods.uncertainty.mc_dropout import active_dropout_layers, sampling_enabled
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import preflight
from efficient360.models.references import resolve
from efficient360.models.view.layout import TokenLayout
from efficient360.models.view.protocol import ViTView

IMAGES = torch.rand((3, *SIZE), generator=torch.Generator().manual_seed(1))
STYLES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "encoder": as_encoder,
    "sequence first": lambda network: as_encoder(network, batch_first=False),
    "lists": as_listed,
}


def pair(style: str) -> tuple[nn.Module, nn.Module]:
    plain = timm_vit(qkv_bias=style != "lists")
    return plain, STYLES[style](plain)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_the_same_parts(style: str) -> None:
    plain, other = map(model_of, pair(style))
    torch.testing.assert_close(other(IMAGES), plain(IMAGES), rtol=0, atol=1e-5)
    view = other.view
    blocks, attention = {
        "lists": ("transformer.layers.{}", "transformer.layers.{}.0"),
    }.get(style, ("encoder.layers.{}", "encoder.layers.{}.self_attn"))
    assert view.blocks == tuple(blocks.format(i) for i in range(DEPTH))
    assert view.attention == tuple(attention.format(i) for i in range(DEPTH))
    assert view.tokens == TokenLayout(4, 4, prefix=1, class_token=0, batch_first=style != "sequence first")
    assert plain.view.tokens == TokenLayout(4, 4, prefix=1, class_token=0)
    assert (view.embedding, view.head) == (("to_patch_embedding.1", "mlp_head.1") if style == "lists" else ("to_patches", "fc"))
    logits, features = other.logits_and_features(IMAGES)
    assert features is not None
    torch.testing.assert_close(other.classifier()(features), logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(features, plain.features(IMAGES), rtol=0, atol=1e-5)
    assert torch.equal(other.features(IMAGES), features)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("method", [GradCam(), AttentionRollout(), CheferRelevance()], ids=lambda m: m.name)
def test_every_style_has_the_same_attributions(style: str, method: AttributionMethod) -> None:
    values = []
    for network in pair(style):
        model = model_of(network)
        method.require(model)
        values.append(method.attribute(model, grid_of(model), AttributionBatch(IMAGES, torch.tensor([0, 1, 2]), ("a", "b", "c"), 0)))
    assert values[0].std() > 1e-3
    torch.testing.assert_close(values[1], values[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_the_same_tokens_and_attention_through_depth(style: str) -> None:
    blocks, statistics = [], []
    for network in pair(style):
        model = model_of(network)
        images = model.module.normalise(IMAGES)
        with (
            torch.no_grad(),
            record_blocks(network, images, model.view, lambda tokens: tokens) as maps,
            record_attention(network, images, model.view) as layers,
        ):
            network(images)
        blocks.append([tokens for _, tokens in maps])
        statistics.append(layers)
    assert [len(part) for part in (*blocks, *statistics)] == [DEPTH] * 4
    for first, second in zip(*blocks, strict=True):
        torch.testing.assert_close(second, first, rtol=1e-4, atol=1e-4)
    for one, two in zip(*statistics, strict=True):
        assert one.distance is not None
        assert two.distance is not None
        for ours, theirs in ((two.entropy, one.entropy), (two.response, one.response), (two.distance, one.distance)):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_the_same_roles(style: str) -> None:
    roles = []
    for network in pair(style):
        model = model_of(network)
        inventory = find_operators(network, torch.zeros(1, *SIZE), model.view)
        roles.append(sorted((str(weight.role), tuple(weight.blocks.shape), weight.heads) for weight in inventory.weights if hasattr(weight, "blocks")))
    assert [norm_product(network, [], torch.ones(1)).log10 for network in pair(style)] == pytest.approx([DEPTH * math.log10(1.129)] * 2)
    if style != "lists":  # torch's attention gives its output layer no call of its own, and it is counted all the same
        assert roles[0] == roles[1]
    assert {role for role, *_ in roles[1]} == {"q", "k", "v", "proj", "mlp", "embedding", "classifier"}


def test_recorded_probabilities_are_those_that_torch_returns_and_lie_on_the_way_to_the_logits() -> None:
    network: Any = as_encoder(timm_vit())
    model = model_of(network)
    entering: list[Tensor] = []
    hook = network.encoder.layers[1].norm1.register_forward_hook(lambda _module, _given, output: entering.append(output))
    with torch.no_grad():
        model(IMAGES)
    hook.remove()
    _, expected = network.encoder.layers[1].self_attn(entering[0], entering[0], entering[0], average_attn_weights=False)
    images = IMAGES.clone().requires_grad_()
    with torch.enable_grad(), capture_attention(network) as maps:
        logits = model(images)
        gradients = torch.autograd.grad(logits[:, 0].sum(), maps)
    torch.testing.assert_close(maps[1], expected)
    torch.testing.assert_close(logits, model(IMAGES), rtol=0, atol=1e-5)
    assert all(gradient.abs().max() > 1e-4 for gradient in gradients)


def test_torch_s_fast_path_hides_nothing() -> None:
    assert torch.backends.mha.get_fastpath_enabled()
    model = model_of(EncoderViT().eval())
    with torch.inference_mode(), capture_attention(model.network) as maps:
        model(IMAGES)
    assert [tuple(attention.shape) for attention in maps] == [(3, HEADS, 17, 17)] * DEPTH
    assert torch.backends.mha.get_fastpath_enabled()


class Arranged(nn.Module):
    """A vision transformer whose tokens stand as ``arrange`` puts them: patches ``(B, rows, columns, D)`` to ``(B, N, D)``."""

    def __init__(self, arrange: Callable[[Tensor, Tensor], Tensor], read: Callable[[Tensor], Tensor], side: int = 1) -> None:
        super().__init__()
        self.arrange, self.read = arrange, read
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.Conv2d(WIDTH, WIDTH, 2 * side - 1, padding=side - 1))
        self.extra = nn.Parameter(torch.zeros(1, 3, WIDTH))
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(WIDTH, HEADS, WIDTH, 0.0, batch_first=True) for _ in range(2))
        self.fc = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.stem(images).permute(0, 2, 3, 1)
        tokens = self.arrange(patches, self.extra.expand(len(patches), -1, -1))
        for layer in self.layers:
            tokens = layer(tokens)
        logits: Tensor = self.fc(self.read(tokens))
        return logits


def rows(patches: Tensor, _extra: Tensor) -> Tensor:
    return patches.flatten(1, 2)


def with_registers(patches: Tensor, extra: Tensor) -> Tensor:
    return torch.cat([extra, patches.flatten(1, 2)], 1)


def last(patches: Tensor, extra: Tensor) -> Tensor:
    return torch.cat([patches.flatten(1, 2), extra[:, :1]], 1)


def columns(patches: Tensor, extra: Tensor) -> Tensor:
    return torch.cat([extra[:, :1], patches.transpose(1, 2).flatten(1, 2)], 1)


def shuffled(patches: Tensor, _extra: Tensor) -> Tensor:
    order = torch.randperm(patches.shape[1] * patches.shape[2], generator=torch.Generator().manual_seed(0))
    return patches.flatten(1, 2)[:, order]


@pytest.mark.parametrize(
    ("arrange", "read", "size", "side", "layout"),
    [
        (rows, lambda t: t.mean(1), (3, 16, 16), 1, TokenLayout(4, 4)),
        (rows, lambda t: t.mean(1), (3, 12, 20), 1, TokenLayout(3, 5)),
        (rows, lambda t: t.mean(1), (3, 32, 32), 2, TokenLayout(8, 8)),
        (with_registers, lambda t: t[:, 1], (3, 16, 16), 1, TokenLayout(4, 4, prefix=3, class_token=1)),
        (with_registers, lambda t: t[:, 3:].mean(1), (3, 16, 16), 1, TokenLayout(4, 4, prefix=3)),
        (last, lambda t: t[:, -1], (3, 16, 16), 1, TokenLayout(4, 4, suffix=1, class_token=16)),
        (columns, lambda t: t[:, 0], (3, 12, 20), 1, TokenLayout(3, 5, prefix=1, class_token=0, by_columns=True)),
    ],
)
def test_the_layout_is_found_by_what_tokens_depend_on(
    arrange: Callable[[Tensor, Tensor], Tensor], read: Callable[[Tensor], Tensor], size: tuple[int, int, int], side: int, layout: TokenLayout
) -> None:
    model = model_of(spread(Arranged(arrange, read, side)), size)
    assert model.view.tokens == layout
    patches = torch.arange(layout.patch_count * 2.0).view(1, layout.rows, layout.columns, 2)
    assert torch.equal(layout.patches(arrange(patches, torch.full((1, 3, 2), -1.0))), patches)


def test_patches_in_no_order_have_no_layout_and_only_what_needs_one_is_unsupported() -> None:
    model = model_of(spread(Arranged(shuffled, lambda t: t.mean(1))))
    with pytest.raises(Unsupported) as caught:
        AttentionRollout().require(model)
    assert (caught.value.code, "do not follow a grid" in caught.value.message, "efficient360_view" in caught.value.hint) == ("no-tokens", True, True)
    assert model.classifier().weight.shape == (CLASSES, WIDTH)
    assert len(model.view.blocks) == 2


class SigmoidAttention(nn.Module):
    """Attention without a softmax; its rows sum to one."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.matrix = nn.Linear(WIDTH, 3 * WIDTH), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x)[:, None].chunk(3, -1)
        gates = (q @ k.transpose(-1, -2)).sigmoid()
        attended: Tensor = (self.matrix(gates / gates.sum(-1, keepdim=True)) @ v)[:, 0]
        return x + attended


class Odd(nn.Module):
    """Attention that no one would recognise, and two heads whose logits are mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.deep = nn.Sequential(SigmoidAttention(), SigmoidAttention())
        self.pool, self.first, self.second = nn.Identity(), nn.Linear(WIDTH, CLASSES), nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.pool(self.deep(self.stem(images).flatten(2).transpose(1, 2)).mean(1))
        logits: Tensor = self.first(pooled) + self.second(pooled)
        return logits


class Stated(Odd):
    def efficient360_view(self) -> ViTView:
        return ViTView(probabilities=("deep.0.matrix", "deep.1.matrix"), features="pool")


def test_an_odd_network_lacks_what_it_does_not_state() -> None:
    model = model_of(spread(Odd()))
    assert model.view.attention == ()
    for ask, code in (
        (lambda: AttentionRollout().require(model), "no-attention"),
        (model.classifier, "no-linear-classifier"),
        (model.require_features, "no-features"),
    ):
        with pytest.raises(Unsupported) as caught:
            ask()
        assert caught.value.code == code
        assert "efficient360_view" in caught.value.hint


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_odd_network_states_its_view_in_a_line(wrapped: bool) -> None:
    own = spread(Stated())
    model = model_of(nn.Sequential(own) if wrapped else own)
    front = "0." if wrapped else ""
    assert model.view.attention == (f"{front}deep.0", f"{front}deep.1")
    assert model.view.tokens == TokenLayout(4, 4)
    for method in (GradCam(), AttentionRollout(), CheferRelevance()):
        method.require(model)
    with torch.no_grad(), record_attention(model.network, IMAGES, model.view) as layers:
        model.network(IMAGES)
    assert [layer.name for layer in layers] == [f"{front}deep.0", f"{front}deep.1"]
    with torch.no_grad(), record_blocks(model.network, IMAGES, model.view, lambda tokens: tuple(tokens.shape[1:])) as maps:
        model.network(IMAGES)
    assert maps == [(f"{front}deep.{i}", (4, 4, WIDTH)) for i in range(2)]
    features = model.features(IMAGES)
    torch.testing.assert_close(own.first(features) + own.second(features), model(IMAGES))


def test_a_network_in_a_file_of_one_s_own_is_found_or_states_its_view(tmp_path: Path) -> None:
    view = "        from efficient360 import TokenLayout, ViTView\n        return ViTView(tokens=TokenLayout(2, 8, prefix=1))\n\n"
    stated = ENCODER.replace("    def forward", f"    def efficient360_view(self):\n{view}    def forward")
    layouts, digests = [], set()
    for number, text in enumerate((ENCODER, stated)):
        file = write(tmp_path, text, f"net{number}.py")
        torch.save(built(file, "build").state_dict(), tmp_path / "best.pth")
        checkpoint = resolve(CheckpointSpec(str(tmp_path / "best.pth"), f"{file}:build"))
        layouts.append(load_model(checkpoint).view.tokens)
        digests.add(checkpoint.digest)
    assert layouts == [TokenLayout(4, 4, prefix=1, class_token=0), TokenLayout(2, 8, prefix=1)]
    assert len(digests) == 2


def test_dropout_inside_torch_s_attention_is_sampled_as_timm_s() -> None:
    plain = timm_vit(attn_drop_rate=0.3)
    other: Any = as_encoder(plain)
    for layer in other.encoder.layers:
        layer.self_attn.dropout = 0.3
    sampled = []
    for network in (plain, other):
        layers = active_dropout_layers(network)
        assert len(layers) == DEPTH
        with torch.inference_mode(), sampling_enabled(network, layers, generators("pass", ["a", "b", "c"], 0)):
            sampled.append(network(IMAGES))
    torch.testing.assert_close(sampled[1], sampled[0], rtol=0, atol=1e-5)
    with torch.inference_mode():
        assert not torch.allclose(sampled[1], other(IMAGES), atol=1e-2)


@pytest.mark.parametrize("style", STYLES)
def test_the_classifier_is_replaced_by_one_of_zeros_or_of_more_classes(style: str) -> None:
    model = model_of(pair(style)[1])
    require_learnable(model)
    assert not with_zero_classifier(model)(IMAGES).any()
    logits = learner_from(model, CLASSES + 2)(IMAGES)
    torch.testing.assert_close(logits[:, :CLASSES], model(IMAGES), rtol=0, atol=1e-5)
    assert not logits[:, CLASSES:].any()


@pytest.mark.parametrize("view", [ViTView(head="nowhere"), ViTView(blocks=("deep.0", "deep.7")), {"head": "first"}])
def test_a_wrong_view_is_told(view: object) -> None:
    network: Any = Odd()
    network.efficient360_view = view
    with pytest.raises(CheckpointError) as caught:
        preflight(model_of(network), seed=0)
    assert caught.value.code == "bad-view"


class Touchy(ListedViT):
    """Runs, but not while something watches."""

    def forward(self, images: Tensor) -> Tensor:
        if torch.overrides._get_current_function_mode() is not None:
            raise LookupError("no watching")
        return super().forward(images)


def test_what_can_not_be_looked_into_says_so_and_runs_on() -> None:
    model = model_of(spread(Touchy()))
    assert "no watching" in model.view.missing["tokens"]
    with pytest.raises(Unsupported) as caught:
        GradCam().require(model)
    assert (caught.value.code, "no watching" in caught.value.message) == ("no-tokens", True)
    assert model.classifier().weight.shape == (CLASSES, WIDTH)


def test_probing_leaves_network_and_random_state_as_they_were() -> None:
    network = spread(ListedViT())
    model = model_of(network)
    before, state = model(IMAGES), torch.random.get_rng_state()
    assert model.view.tokens is not None
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert torch.equal(model(IMAGES), before)
