"""Layers that drop at test time: the masks are right on average and belong to the example, and nothing is left behind."""

from typing import Any

import pytest
import timm
import torch
from timm.layers import DropPath
from torch import nn

from efficient360.core.seeding import generators
from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.mc_dropout import active_drop_path_layers, active_dropout_layers, sampling_enabled

IDS = [f"id {i}" for i in range(6)]


def network(**changes: Any) -> nn.Module:
    arguments = {"img_size": 16, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 5} | changes
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model("vit_tiny_patch16_224", **arguments).eval()


def stochastic_logits(model: nn.Module, layers: list[nn.Module], images: torch.Tensor, ids: list[str]) -> torch.Tensor:
    with torch.inference_mode(), sampling_enabled(model, layers, generators("pass 0", ids, 0)):
        return model(images)


@pytest.mark.parametrize(
    ("argument", "find"), [("proj_drop_rate", active_dropout_layers), ("attn_drop_rate", active_dropout_layers), ("drop_path_rate", active_drop_path_layers)]
)
def test_an_example_is_dropped_alike_in_any_batch(argument: str, find) -> None:
    model = network(**{argument: 0.3})
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    before = torch.get_rng_state()
    with torch.inference_mode():
        plain = model(images)
    whole = stochastic_logits(model, find(model), images, IDS)
    single = torch.cat([stochastic_logits(model, find(model), images[i : i + 1], IDS[i : i + 1]) for i in range(6)])
    assert not torch.allclose(whole, plain, atol=1e-3)
    torch.testing.assert_close(whole, single, rtol=1e-4, atol=1e-5)
    with torch.inference_mode():
        assert torch.equal(model(images), plain)  # nothing is left behind
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in model.modules())
    assert all(block.attn.fused_attn == network().blocks[0].attn.fused_attn for block in model.blocks)


def test_dropout_keeps_the_right_share_and_the_mean() -> None:
    model = nn.Sequential(nn.Dropout(0.25)).eval()
    ones = torch.ones(6, 40, 100)
    with sampling_enabled(model, active_dropout_layers(model), generators("pass", IDS, 0)):
        output = model(ones)
    assert output.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (output == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert not torch.equal(output[0], output[1])


def test_a_dropped_path_is_dropped_whole() -> None:
    model = nn.Sequential(DropPath(0.5)).eval()
    with sampling_enabled(model, active_drop_path_layers(model), generators("pass", [str(i) for i in range(400)], 0)):
        output = model(torch.ones(400, 3, 4))
    each = output.reshape(400, -1)
    assert set(output.unique().tolist()) == {0.0, 2.0}
    assert (each == each[:, :1]).all()
    assert (each[:, 0] == 0).float().mean().item() == pytest.approx(0.5, abs=0.08)


def test_windows_of_an_example_are_dropped_together_with_it() -> None:
    model = nn.Sequential(nn.Dropout(0.5)).eval()

    def run(ids: list[str], count: int) -> torch.Tensor:
        with sampling_enabled(model, active_dropout_layers(model), generators("pass", ids, 0)):
            return model(torch.ones(count, 8))

    assert torch.equal(run(IDS, 24)[4:8], run(IDS[1:2], 4))


def test_a_layout_that_is_not_by_example_is_refused() -> None:
    model = nn.Sequential(nn.Dropout(0.5)).eval()
    with pytest.raises(Unsupported, match="7 rows for 6 examples"), sampling_enabled(model, active_dropout_layers(model), generators("pass", IDS, 0)):
        model(torch.ones(7, 8))


@pytest.mark.parametrize(
    ("find", "code", "words"),
    [(active_dropout_layers, "no-dropout", "dropout layers have probability 0"), (active_drop_path_layers, "no-stochastic-depth", "no stochastic depth")],
)
def test_a_network_that_drops_nothing_is_refused(find, code: str, words: str) -> None:
    with pytest.raises(Unsupported, match=words) as refused:
        find(network())
    assert refused.value.code == code
