"""Rollout, relevance and Grad-CAM against hand arithmetic, finite differences and the network's own parts."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from toy_models import asked, model_of, noise, vit

from efficient360.errors import Unsupported
from efficient360.methods.attribution.attention import captured
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.gradcam import GradCam
from efficient360.methods.attribution.grid import grid_of
from efficient360.methods.attribution.relevance import TokenRelevance, relevance
from efficient360.methods.attribution.rollout import AttentionRollout, rollout
from efficient360.methods.attribution.tokens import Tokens, tokens_of

ALL = [GradCam(), AttentionRollout(), TokenRelevance()]
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
    assert torch.allclose(relevance([first, second]), torch.tensor([[[1.25, 1.5], [0.75, 1.25]]]))


def test_the_captured_attention_is_what_queries_and_keys_make() -> None:
    model = vit()
    images, network = noise(3, SIZE), model.network
    entering: list[Tensor] = []
    block: Any = network.blocks[1]  # type: ignore[index]
    hook = block.norm1.register_forward_hook(lambda _module, _given, hidden: entering.append(hidden))
    with torch.no_grad(), captured(network) as found:
        model(images)
    hook.remove()
    query, key, _ = block.attn.qkv(entering[0]).reshape(3, 17, 3, 2, 8).permute(2, 0, 3, 1, 4)
    assert [tuple(attention.shape) for attention in found] == [(3, 2, 17, 17)] * 2
    assert torch.allclose(found[1], (query @ key.transpose(2, 3) / 8**0.5).softmax(3), atol=1e-6)


def test_the_network_is_left_as_it_was_even_by_a_crash() -> None:
    model = vit()
    images, layers = noise(2, SIZE), [block.attn for block in model.network.blocks]  # type: ignore[union-attr]
    layers[1].fused_attn = False
    before = model(images)
    broken = layers[0].proj.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        AttentionRollout().explain(model, grid_of(model), asked(vit(), images))
    broken.remove()
    assert [layer.fused_attn for layer in layers] == [True, False]
    for explainer in ALL:
        explainer.require(model)
        explainer.explain(model, grid_of(model), asked(model, images))
    assert [layer.fused_attn for layer in layers] == [True, False]
    assert not any(module._forward_hooks for module in model.network.modules())
    assert torch.equal(model(images), before)


def test_relevance_of_one_layer_is_attention_times_its_finite_difference() -> None:
    model = vit(depth=1)
    model.module.double()
    question = asked(model, noise(1, SIZE).double())
    layer: Any = model.network.blocks[0].attn  # type: ignore[index,union-attr]
    label = int(question.classes[0])

    def logit(head: int, token: int, step: float) -> float:
        def nudge(_module: nn.Module, _given: object, attention: Tensor) -> Tensor:
            moved = attention.clone()
            moved[0, head, 0, token] += step
            return moved

        layer.fused_attn, hook = False, layer.attn_drop.register_forward_hook(nudge)
        logits: Tensor = model.module.network(model.module.normalise(question.images))
        hook.remove()
        return float(logits[0, label])

    with captured(model.network) as found:
        model.module(question.images)
    slopes = torch.tensor([[(logit(head, token, 1e-4) - logit(head, token, -1e-4)) / 2e-4 for token in range(17)] for head in range(2)])
    by_hand = (found[0][0, :, 0].detach() * slopes).clamp(min=0).mean(0)[1:]
    assert torch.allclose(TokenRelevance().explain(model, grid_of(model), question)[0], by_hand.float(), atol=1e-4)
    assert by_hand.max() > 1e-3


def test_gradcam_is_that_of_the_tokens_entering_the_last_block() -> None:
    model = vit()
    question, network = asked(model, noise(4, SIZE)), model.network
    assert isinstance(network, timm.models.VisionTransformer)
    hidden = network.blocks[0](network._pos_embed(network.patch_embed(model.module.normalise(question.images))))
    entering = network.blocks[1].norm1(hidden).detach().requires_grad_()
    block: Any = network.blocks[1]
    after = hidden + block.attn(entering)
    after = after + block.mlp(block.norm2(after))
    network.forward_head(network.norm(after)).gather(1, question.classes[:, None]).sum().backward()
    assert entering.grad is not None
    weights = entering.grad[:, 1:].mean(1)
    by_hand = torch.einsum("bnd,bd->bn", entering[:, 1:], weights).clamp(min=0)
    assert torch.allclose(GradCam().explain(model, grid_of(model), question), by_hand, atol=1e-5)


def test_rollout_is_the_same_for_every_class_and_relevance_is_not() -> None:
    model = vit()
    question = asked(model, noise(3, SIZE))
    other = type(question)(question.images, (question.classes + 1) % 5, question.ids, 0)
    grid = grid_of(model)
    assert torch.equal(AttentionRollout().explain(model, grid, question), AttentionRollout().explain(model, grid, other))
    assert not torch.allclose(TokenRelevance().explain(model, grid, question), TokenRelevance().explain(model, grid, other))


def test_what_is_read_is_the_class_token_or_the_mean_of_the_patches() -> None:
    flow = torch.arange(25.0).view(1, 5, 5)
    assert Tokens(1, 2, 2, by_class_token=True).read(flow).flatten().tolist() == [1, 2, 3, 4]
    assert Tokens(1, 2, 2, by_class_token=False).read(flow).flatten().tolist() == [13.5, 14.5, 15.5, 16.5]
    assert not tokens_of(vit(class_token=False, global_pool="avg")).by_class_token
    assert tokens_of(vit(reg_tokens=2)).prefix == 3


@pytest.mark.parametrize("changes", [{"class_token": False, "global_pool": "avg"}, {"reg_tokens": 2}, {"global_pool": "map", "class_token": False}])
@pytest.mark.parametrize("explainer", ALL, ids=lambda e: e.name)
def test_other_heads_and_tokens_are_explained_too(explainer: Explainer, changes: dict[str, object]) -> None:
    model = vit(**changes)
    explainer.require(model)
    values = explainer.explain(model, grid_of(model), asked(model, noise(2, SIZE)))
    assert values.shape == (2, 16)
    assert torch.isfinite(values).all()
    assert values.std() > 0


class NoAttention(nn.Module):
    def forward(self, tokens: Tensor, *_rest: object, **_more: object) -> Tensor:
        return tokens


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 5))


def without_attention() -> nn.Module:
    network = vit().network
    for block in network.blocks:  # type: ignore[union-attr]
        block.attn = NoAttention()  # type: ignore[union-attr]
    return network


@pytest.mark.parametrize(
    ("explainer", "build", "code"),
    [
        *((one, convolutional, "no-tokens") for one in ALL),
        (AttentionRollout(), without_attention, "no-attention"),
        (TokenRelevance(), without_attention, "no-attention"),
    ],
)
def test_a_network_that_lacks_what_is_looked_at_is_told(explainer: Explainer, build: Callable[[], nn.Module], code: str) -> None:
    with pytest.raises(Unsupported) as caught:
        explainer.require(model_of(build(), 5, SIZE))
    assert caught.value.code == code


def test_gradcam_wants_a_sequence_of_tokens() -> None:
    model = vit()
    model.network.blocks[-1].norm1 = None  # type: ignore[index,union-attr]
    with pytest.raises(Unsupported, match="the last block of VisionTransformer takes in no sequence of patch tokens"):
        GradCam().require(model)
