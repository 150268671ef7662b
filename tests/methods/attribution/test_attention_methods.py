"""Attention rollout, Chefer relevance and Grad-CAM against hand arithmetic, finite differences and the network's own parts."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from toy_models import batch_of, model_of, noise, vit

from efficient360.errors import Unsupported
from efficient360.methods.attribution.attention import AttentionRollout, CheferRelevance, accumulated_relevance, capture_attention, rollout
from efficient360.methods.attribution.gradcam import GradCam
from efficient360.methods.attribution.grid import grid_of
from efficient360.methods.attribution.method import AttributionMethod

ALL = [GradCam(), AttentionRollout(), CheferRelevance()]
SIZE = (3, 16, 16)


def test_rollout_of_two_layers_of_three_tokens_by_hand() -> None:
    first = torch.tensor([[[0.2, 0.4, 0.4], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]])
    second = torch.tensor([[[0.6, 0.0, 0.4], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    # halved, with half of each token passed on: first [[.6 .2 .2][0 1 0][.25 0 .75]], second [[.8 0 .2][.5 .5 0][0 0 1]]
    by_hand = torch.tensor([[[0.53, 0.16, 0.31], [0.3, 0.6, 0.1], [0.25, 0.0, 0.75]]])
    assert torch.allclose(rollout([first, second]), by_hand)


def test_relevance_of_two_layers_by_hand() -> None:
    first, second = torch.tensor([[[0.0, 0.5], [0.25, 0.0]]]), torch.tensor([[[0.0, 1.0], [0.5, 0.0]]])
    # I + first = [[1 .5][.25 1]]; plus second times that, [[.25 1][.5 .25]]
    assert torch.allclose(accumulated_relevance([first, second]), torch.tensor([[[1.25, 1.5], [0.75, 1.25]]]))


def test_captured_attention_is_the_softmax_of_queries_and_keys() -> None:
    model = vit()
    images, network = noise(3, SIZE), model.network
    entering: list[Tensor] = []
    block: Any = network.blocks[1]
    hook = block.norm1.register_forward_hook(lambda _module, _inputs, hidden: entering.append(hidden))
    with torch.no_grad(), capture_attention(network) as maps:
        model(images)
    hook.remove()
    query, key, _ = block.attn.qkv(entering[0]).reshape(3, 17, 3, 2, 8).permute(2, 0, 3, 1, 4)
    assert [tuple(attention.shape) for attention in maps] == [(3, 2, 17, 17)] * 2
    assert torch.allclose(maps[1], (query @ key.transpose(2, 3) / 8**0.5).softmax(3), atol=1e-6)


def test_the_network_is_restored_even_after_an_exception() -> None:
    model = vit()
    images, layers = noise(2, SIZE), [block.attn for block in model.network.blocks]
    layers[1].fused_attn = False
    assert model.view.missing == {}
    before = model(images)
    broken = layers[0].proj.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        AttentionRollout().attribute(model, grid_of(model), batch_of(vit(), images))
    broken.remove()
    assert [layer.fused_attn for layer in layers] == [True, False]
    for method in ALL:
        method.require(model)
        method.attribute(model, grid_of(model), batch_of(model, images))
    assert [layer.fused_attn for layer in layers] == [True, False]
    assert not any(module._forward_hooks for module in model.network.modules())
    assert torch.equal(model(images), before)


def test_relevance_of_one_layer_is_attention_times_its_finite_difference() -> None:
    model = vit(depth=1)
    model.module.double()
    batch = batch_of(model, noise(1, SIZE).double())
    layer: Any = model.network.blocks[0].attn
    label = int(batch.targets[0])

    def logit(head: int, token: int, step: float) -> float:
        def nudge(_module: nn.Module, _inputs: object, attention: Tensor) -> Tensor:
            moved = attention.clone()
            moved[0, head, 0, token] += step
            return moved

        layer.fused_attn, hook = False, layer.attn_drop.register_forward_hook(nudge)
        logits: Tensor = model.module.network(model.module.normalise(batch.images))
        hook.remove()
        return float(logits[0, label])

    with capture_attention(model.network) as maps:
        model.module(batch.images)
    slopes = torch.tensor([[(logit(head, token, 1e-4) - logit(head, token, -1e-4)) / 2e-4 for token in range(17)] for head in range(2)])
    by_hand = (maps[0][0, :, 0].detach() * slopes).clamp(min=0).mean(0)[1:]
    assert torch.allclose(CheferRelevance().attribute(model, grid_of(model), batch)[0], by_hand.float(), atol=1e-4)
    assert by_hand.max() > 1e-3


def test_gradcam_uses_the_tokens_entering_the_last_block() -> None:
    model = vit()
    batch, network = batch_of(model, noise(4, SIZE)), model.network
    assert isinstance(network, timm.models.VisionTransformer)
    hidden = network.blocks[0](network._pos_embed(network.patch_embed(model.module.normalise(batch.images))))
    entering = network.blocks[1].norm1(hidden).detach().requires_grad_()
    block: Any = network.blocks[1]
    after = hidden + block.attn(entering)
    after = after + block.mlp(block.norm2(after))
    network.forward_head(network.norm(after)).gather(1, batch.targets[:, None]).sum().backward()
    assert entering.grad is not None
    weights = entering.grad[:, 1:].mean(1)
    by_hand = torch.einsum("bnd,bd->bn", entering[:, 1:], weights).clamp(min=0)
    assert torch.allclose(GradCam().attribute(model, grid_of(model), batch), by_hand, atol=1e-5)


def test_rollout_is_the_same_for_every_class_and_relevance_is_not() -> None:
    model = vit()
    batch = batch_of(model, noise(3, SIZE))
    other = type(batch)(batch.images, (batch.targets + 1) % 5, batch.ids, 0)
    grid = grid_of(model)
    assert torch.equal(AttentionRollout().attribute(model, grid, batch), AttentionRollout().attribute(model, grid, other))
    assert not torch.allclose(CheferRelevance().attribute(model, grid, batch), CheferRelevance().attribute(model, grid, other))


@pytest.mark.parametrize("changes", [{"class_token": False, "global_pool": "avg"}, {"reg_tokens": 2}, {"global_pool": "map", "class_token": False}])
@pytest.mark.parametrize("method", ALL, ids=lambda m: m.name)
def test_other_heads_and_tokens_are_supported(method: AttributionMethod, changes: dict[str, Any]) -> None:
    model = vit(**changes)
    method.require(model)
    values = method.attribute(model, grid_of(model), batch_of(model, noise(2, SIZE)))
    assert values.shape == (2, 16)
    assert torch.isfinite(values).all()
    assert values.std() > 0


class NoAttention(nn.Module):
    def forward(self, tokens: Tensor, *_rest: object, **_more: Any) -> Tensor:
        return tokens


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 5))


def without_attention() -> nn.Module:
    network = vit().network
    for block in network.blocks:
        block.attn = NoAttention()
    return network


@pytest.mark.parametrize(
    ("method", "build", "code"),
    [
        *((method, convolutional, "no-tokens") for method in ALL),
        (AttentionRollout(), without_attention, "no-attention"),
        (CheferRelevance(), without_attention, "no-attention"),
    ],
)
def test_a_network_without_tokens_or_attention_is_unsupported(method: AttributionMethod, build: Callable[[], nn.Module], code: str) -> None:
    with pytest.raises(Unsupported) as caught:
        method.require(model_of(build(), 5, SIZE))
    assert caught.value.code == code


def test_gradcam_needs_a_sequence_of_tokens() -> None:
    windows = {"img_size": 16, "patch_size": 2, "embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4, "num_classes": 5}
    with pytest.raises(Unsupported) as caught:
        GradCam().require(model_of(timm.create_model("swin_tiny_patch4_window7_224", **windows), 5, SIZE))
    assert caught.value.code == "no-tokens"
