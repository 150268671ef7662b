"""The view of networks as libraries build them, against what these say themselves: attention outputs, and the head applied to the features."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from view_networks import model_of, spread

from efficient360.errors import Unsupported
from efficient360.methods.attribution.attention import AttentionRollout, CheferRelevance, capture_attention
from efficient360.methods.attribution.gradcam import GradCam
from efficient360.methods.attribution.grid import grid_of
from efficient360.methods.attribution.method import AttributionBatch
from efficient360.methods.privacy.dp_sgd import check_per_sample_gradients
from efficient360.methods.privacy.fine_tuning import with_zero_classifier
from efficient360.methods.spectral.attention_statistics import record_attention
from efficient360.methods.spectral.token_maps import record_blocks
from efficient360.models.model import TorchModel
from efficient360.models.view.layout import TokenLayout

CLASSES = 5
TINY = {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "num_labels": CLASSES}
STAGES = {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4, "num_labels": CLASSES}


@contextmanager
def seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def from_transformers(kind: str, changes: dict[str, Any], implementation: str = "sdpa") -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.AutoConfig.for_model(kind, **changes)
    with seeded():
        return spread(transformers.AutoModelForImageClassification.from_config(config, attn_implementation=implementation))


def own_attentions(network: Any, names: tuple[str, ...], pixels: Tensor) -> list[Tensor]:
    """What the library itself says: its attention outputs, or where its classifier passes none on, what its attention layers return beside their output."""
    returned: list[Tensor] = []
    hooks = [network.get_submodule(name).register_forward_hook(lambda _module, _given, output: returned.append(output[1])) for name in names]
    with torch.no_grad():
        own = network(pixels, output_attentions=True).attentions
    for hook in hooks:
        hook.remove()
    return list(own or returned)


def images(side: int = 32) -> Tensor:
    return torch.rand((2, 3, side, side), generator=torch.Generator().manual_seed(1))


def require_all(model: TorchModel, batch: Tensor) -> None:
    """Every attribution that needs the inside of the network gives finite values that differ."""
    for method in (GradCam(), AttentionRollout(), CheferRelevance()):
        method.require(model)
        values = method.attribute(model, grid_of(model), AttributionBatch(batch, torch.tensor([0, 1]), ("a", "b"), 0))
        assert torch.isfinite(values).all()
        assert values.std() > 0


def require_head(model: TorchModel, batch: Tensor) -> None:
    """The head applied to the features gives the logits."""
    logits, features = model.logits_and_features(batch)
    assert features is not None
    torch.testing.assert_close(model.classifier()(features), logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize(
    ("kind", "changes", "prefix", "reads"),
    [
        ("vit", {}, 1, 0),
        ("deit", {"architectures": ["DeiTForImageClassification"]}, 2, 0),
        ("vit_msn", {}, 1, 0),
        ("beit", {"use_relative_position_bias": True}, 1, None),
        ("data2vec-vision", {"use_absolute_position_embeddings": True}, 1, None),
        ("dinov2", {"mlp_ratio": 2}, 1, None),
        ("dinov2_with_registers", {"mlp_ratio": 2, "num_register_tokens": 3}, 4, None),
        ("ijepa", {}, 0, None),
    ],
)
def test_plain_transformers_of_transformers(kind: str, changes: dict[str, Any], prefix: int, reads: int | None, implementation: str) -> None:
    network: Any = from_transformers(kind, TINY | changes, implementation)
    model, batch = model_of(network, (3, 32, 32)), images()
    assert model.view.tokens == TokenLayout(4, 4, prefix=prefix, class_token=reads)
    assert (len(model.view.blocks), len(model.view.attention)) == (2, 2)
    with torch.no_grad(), capture_attention(network) as maps:
        logits = model(batch)
    pixels = model.module.normalise(batch)
    torch.testing.assert_close(logits, network(pixels).logits, rtol=0, atol=1e-5)
    eager = from_transformers(kind, TINY | changes, "eager")
    for ours, theirs in zip(maps, own_attentions(eager, model.view.attention, pixels), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    require_all(model, batch)
    require_head(model, batch)


def test_all_layers_of_a_network_that_returns_an_object_are_trained_with_privacy() -> None:
    model, batch = model_of(from_transformers("vit", TINY), (3, 32, 32)), images()
    trained = with_zero_classifier(model)
    assert not trained(model.module.normalise(batch)).any()
    frozen = {name for name, parameter in trained.named_parameters() if not parameter.requires_grad}
    assert {name.rpartition(".")[2] for name in frozen} == {"cls_token", "position_embeddings"}
    check_per_sample_gradients(spread(trained), model.module.normalise(batch), torch.tensor([0, 3]))


@pytest.mark.parametrize("kind", ["swin", "swinv2"])
def test_windows_of_transformers(kind: str) -> None:
    network = from_transformers(kind, STAGES, "eager")
    model, batch = model_of(network, (3, 32, 32)), images()
    pixels = model.module.normalise(batch)
    with (
        torch.no_grad(),
        record_attention(network, pixels, model.view) as layers,
        record_blocks(network, pixels, model.view, lambda t: tuple(t.shape[1:3])) as maps,
    ):
        network(pixels)
    assert [layer.distance is not None for layer in layers] == [True, True]
    assert [shape for _, shape in maps] == [(16, 16), (8, 8)]
    assert grid_of(model).rows == 16
    require_head(model, batch)
    with pytest.raises(Unsupported) as caught:
        AttentionRollout().require(model)
    assert caught.value.code == "no-tokens"


def test_vision_transformer_of_torchvision() -> None:
    with seeded():
        network = spread(torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=CLASSES))
    model, batch = model_of(network, (3, 32, 32)), images()
    assert model.view.blocks == ("encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1")
    assert model.view.tokens == TokenLayout(4, 4, prefix=1, class_token=0)
    assert (model.view.embedding, model.view.head) == ("conv_proj", "heads.head")
    pixels = model.module.normalise(batch)
    with torch.no_grad(), record_blocks(network, pixels, model.view, lambda tokens: tokens) as maps:
        network(pixels)
    assert [name for name, _ in maps] == list(model.view.blocks)
    require_all(model, batch)
    require_head(model, batch)


@pytest.mark.parametrize("block", [None, torchvision.models.swin_transformer.SwinTransformerBlockV2])
def test_windows_of_torchvision(block: Any) -> None:
    arguments = {} if block is None else {"block": block, "downsample_layer": torchvision.models.swin_transformer.PatchMergingV2}
    with seeded():
        network = spread(torchvision.models.SwinTransformer([2, 2], 8, [1, 1], [2, 2], [4, 4], num_classes=CLASSES, **arguments))
    model, batch = model_of(network, (3, 32, 32)), images()
    pixels = model.module.normalise(batch)
    with (
        torch.no_grad(),
        record_attention(network, pixels, model.view) as layers,
        record_blocks(network, pixels, model.view, lambda t: tuple(t.shape[1:3])) as maps,
    ):
        network(pixels)
    assert [layer.distance is not None for layer in layers] == [True, True]
    assert [shape for _, shape in maps][:1] == [(16, 16)]
    require_head(model, batch)


@pytest.mark.parametrize(
    ("name", "arguments", "layout"),
    [
        ("deit_tiny_distilled_patch16_224", {}, TokenLayout(4, 4, prefix=2, class_token=0)),
        ("vit_small_patch14_reg4_dinov2", {"patch_size": 8}, TokenLayout(4, 4, prefix=5, class_token=0)),
        ("vit_base_patch16_siglip_224", {}, TokenLayout(4, 4)),
        ("vit_base_patch32_clip_224", {"patch_size": 8}, TokenLayout(4, 4, prefix=1, class_token=0)),
        ("beit_base_patch16_224", {}, TokenLayout(4, 4, prefix=1)),
        ("eva02_tiny_patch14_224", {"patch_size": 8}, TokenLayout(4, 4, prefix=1)),
    ],
)
def test_plain_transformers_of_timm_have_the_layout_that_they_state(name: str, arguments: dict[str, Any], layout: TokenLayout) -> None:
    small = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": CLASSES} | arguments
    with seeded():
        network: Any = timm.create_model(name, **small).eval()
    model = model_of(network, (3, 32, 32))
    assert model.view.tokens == layout
    assert (network.patch_embed.grid_size, network.num_prefix_tokens) == ((4, 4), layout.prefix)


@pytest.mark.parametrize(
    ("build", "side", "maps"),
    [
        (
            lambda: timm.create_model("swin_tiny_patch4_window7_224", img_size=32, patch_size=2, embed_dim=8, depths=(1, 1), num_heads=(2, 2), window_size=4),
            32,
            2,
        ),
        (lambda: timm.create_model("mobilevit_xxs"), 64, 6),
        (lambda: timm.create_model("cait_xxs24_224", img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2), 32, 2),
    ],
)
def test_other_families_of_timm_show_their_attention_and_say_what_they_have_not(build: Callable[[], nn.Module], side: int, maps: int) -> None:
    with seeded():
        network = build().eval()
    model = model_of(network, (3, side, side), 1000)
    pixels = model.module.normalise(images(side))
    with torch.no_grad(), record_attention(network, pixels, model.view) as layers:
        network(pixels)
    assert (len(layers), len(model.view.attention)) == (maps, maps)
    require_head(model, images(side))
