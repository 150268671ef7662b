"""Cuts against hand-made slices, masked networks, least squares and timm's own resizing."""

from functools import partial
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from efficient360.errors import SettingsError, Unsupported
from efficient360.methods.compression.constraints import hold_clusters, hold_zeros
from efficient360.methods.compression.cut_settings import conflict, cut_settings
from efficient360.methods.compression.cuts import NO_CUTS, Cuts, apply_cuts, hidden_kept
from efficient360.methods.compression.low_rank import LowRankFactorization
from efficient360.methods.compression.moments import Moments, input_moments, run
from efficient360.methods.compression.structured import choose_groups
from efficient360.models.model import PixelsToLogits, TorchModel
from efficient360.models.structure.factored_linear import FactoredLinear
from efficient360.models.structure.merging_blocks import MergingBlocks


def model_of(network: nn.Module, side: int = 32) -> TorchModel:
    module = PixelsToLogits(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), None).eval().requires_grad_(requires_grad=False)
    return TorchModel(module, (3, side, side), 10)


def net(model: TorchModel) -> Any:
    """Its network, whose parts timm leaves untyped."""
    return model.network


@pytest.fixture
def model(vit: nn.Module) -> TorchModel:
    """Its logits differ well from image to image."""
    generator = torch.Generator().manual_seed(5)
    for parameter in vit.parameters():
        parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model_of(vit)


@pytest.fixture
def calibration() -> Tensor:
    return torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def linear(inputs: int, outputs: int, seed: int = 0) -> nn.Linear:
    layer = nn.Linear(inputs, outputs).requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    layer.weight.copy_(torch.randn(outputs, inputs, generator=generator))
    layer.bias.copy_(torch.randn(outputs, generator=generator))
    return layer


def moments_of(rows: Tensor) -> Moments:
    rows = rows.double()
    return Moments(rows.mean(0), torch.cov(rows.T, correction=0))


def test_nothing_cut_is_the_same_network(model: TorchModel, images: Tensor) -> None:
    cut = apply_cuts(model, NO_CUTS)
    assert torch.equal(cut.model(images), model(images))
    assert cut.model.module is not model.module
    assert (NO_CUTS.changes, NO_CUTS.describe(), NO_CUTS.needs_recovery) == ({}, "", False)


@pytest.mark.parametrize("changed", [{"mlp_kept": 0}, {"dropped_blocks": -1}, {"sparsity": "1:4"}, {"clusters": 257}, {"sparsity": "2:4", "clusters": 16}])
def test_settings_out_of_range_are_told(changed: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as error:
        Cuts(**changed)
    assert error.value.code == "bad-strength"


def test_settings_are_read_as_a_search_names_them() -> None:
    settings: dict[str, str | int | float | bool] = {
        "runtime": "litert",
        "input_size": 24,
        "mlp_kept": "50 %",
        "heads_kept": "100 %",
        "low_rank": "none",
        "sparsity": "none",
        "merged_tokens": "20 %",
    }
    assert Cuts.of(settings) == Cuts(input_size=24, mlp_kept=50, merged_tokens=20)
    assert Cuts.of({"low_rank": "75 %"}).low_rank == 75
    assert Cuts.of(settings).describe() == "24 px, 50 % of the MLPs, 20 % of the patches merged"
    assert Cuts.of(settings).digest != NO_CUTS.digest
    with pytest.raises(SettingsError):
        Cuts.of({"clusters": "many"})


def test_the_kept_weights_are_the_least_squares_solution() -> None:
    rows = torch.randn(400, 12, generator=torch.Generator().manual_seed(1)) @ torch.randn(12, 12, generator=torch.Generator().manual_seed(2)) + 3
    layer = linear(12, 5)
    outputs = layer(rows)
    kept = choose_groups(layer, moments_of(rows), 1, 7)
    columns = list(kept.groups)
    design = torch.cat([rows[:, columns], torch.ones(len(rows), 1)], 1).double()
    residual = outputs.double() - design @ torch.linalg.lstsq(design, outputs.double()).solution
    ours = outputs - (rows[:, columns] @ layer.weight[:, columns].T + layer.bias)
    assert ours.square().mean().item() <= residual.square().mean().item() * 1.02 + 1e-6  # the damping costs a little
    assert kept.loss == pytest.approx((ours.square().mean(0).sum() / outputs.var(0, correction=0).sum()).item(), rel=1e-3)


def test_inputs_that_others_predict_cost_nothing() -> None:
    own = torch.randn(300, 4, generator=torch.Generator().manual_seed(1))
    rows = torch.cat([own, own[:, :2] + own[:, 2:]], 1)  # the last two are sums of others
    layer = linear(6, 3)
    outputs = layer(rows)
    kept = choose_groups(layer, moments_of(rows), 1, 4)
    assert kept.loss < 1e-3
    columns = list(kept.groups)
    torch.testing.assert_close(rows[:, columns] @ layer.weight[:, columns].T + layer.bias, outputs, rtol=0.05, atol=0.15)


def test_of_independent_inputs_those_of_least_weight_and_variance_go() -> None:
    rows = torch.randn(20_000, 6, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 1.0, 3.0, 1.0, 0.1, 1.0])
    layer = linear(6, 8)
    layer.weight.copy_(torch.nn.functional.normalize(layer.weight, dim=0) * torch.tensor([1.0, 2.0, 1.0, 0.5, 4.0, 3.0]))
    # Standard deviation times length by hand: 1, 2, 3, 0.5, 0.4, 3.
    assert choose_groups(layer, moments_of(rows), 1, 3).groups == (1, 2, 5)


def test_groups_go_together() -> None:
    rows = torch.randn(5_000, 6, generator=torch.Generator().manual_seed(1))
    layer = linear(6, 8)
    layer.weight.copy_(torch.nn.functional.normalize(layer.weight, dim=0) * torch.tensor([5.0, 0.1, 1.0, 1.0, 3.0, 3.0]))
    assert choose_groups(layer, moments_of(rows), 2, 2).groups == (0, 2)  # squares: 25, 2, 18


@pytest.mark.parametrize("percent", [75, 50, 25])
def test_narrow_mlps_compute_what_masked_ones_do(model: TorchModel, calibration: Tensor, images: Tensor, percent: int) -> None:
    cut = apply_cuts(model, Cuts(mlp_kept=percent), calibration)
    whole = apply_cuts(model, NO_CUTS).model
    for block, narrow in zip(net(whole).blocks, net(cut.model).blocks, strict=True):
        first, second = narrow.mlp.fc1, narrow.mlp.fc2
        assert first.out_features == second.in_features == hidden_kept(256, percent)
        # Each kept unit is one of the original's, by its row of the first layer.
        units = [int((block.mlp.fc1.weight == row).all(1).nonzero()) for row in first.weight]
        assert units == sorted(set(units))
        block.mlp.fc2.weight.zero_()
        block.mlp.fc2.weight[:, units] = second.weight
        block.mlp.fc2.bias.copy_(second.bias)
    torch.testing.assert_close(cut.model(images), whole(images), rtol=1e-4, atol=1e-5)


def test_fewer_heads_compute_what_masked_ones_do(calibration: Tensor, images: Tensor) -> None:
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=4, num_classes=10, qk_norm=True)
    model = model_of(network)
    cut = apply_cuts(model, Cuts(heads_kept=50), calibration)
    whole = apply_cuts(model, NO_CUTS).model
    for block, fewer in zip(net(whole).blocks, net(cut.model).blocks, strict=True):
        assert (fewer.attn.num_heads, fewer.attn.attn_dim) == (2, 32)
        rows = fewer.attn.qkv.weight[:32]  # queries
        places = [int((block.attn.qkv.weight[:64] == row).all(1).nonzero()) for row in rows]
        assert [place % 16 for place in places] == [*range(16), *range(16)]
        block.attn.proj.weight.zero_()
        block.attn.proj.weight[:, places] = fewer.attn.proj.weight
        block.attn.proj.bias.copy_(fewer.attn.proj.bias)
    torch.testing.assert_close(cut.model(images), whole(images), rtol=1e-4, atol=1e-5)


def test_made_up_for_is_better_than_cut_away(model: TorchModel, calibration: Tensor, images: Tensor) -> None:
    """The same units, without the least squares: further from the original."""
    cut = apply_cuts(model, Cuts(mlp_kept=50), calibration)
    plain = apply_cuts(model, Cuts(mlp_kept=50), calibration).model
    for block, original in zip(net(plain).blocks, net(model).blocks, strict=True):
        units = [int((original.mlp.fc1.weight == row).all(1).nonzero()) for row in block.mlp.fc1.weight]
        block.mlp.fc2.weight.copy_(original.mlp.fc2.weight[:, units])
        block.mlp.fc2.bias.copy_(original.mlp.fc2.bias)
    wanted = model(images)
    assert (cut.model(images) - wanted).norm() < 0.8 * (plain(images) - wanted).norm()


def test_dropped_blocks_are_gone_and_the_rest_is_untouched(model: TorchModel, calibration: Tensor, images: Tensor) -> None:
    cut = apply_cuts(model, Cuts(dropped_blocks=1), calibration)
    (name,) = cut.facts["dropped_blocks"]
    by_hand = apply_cuts(model, NO_CUTS).model
    del net(by_hand).blocks[int(name.rpartition(".")[2])]
    torch.testing.assert_close(cut.model(images), by_hand(images))
    assert len(net(cut.model).blocks) == 2


def test_the_block_whose_absence_costs_least_is_dropped(model: TorchModel, calibration: Tensor) -> None:
    wanted = run(model.module, calibration, {}).log_softmax(-1)
    thinner = []
    for place in range(3):
        without = apply_cuts(model, NO_CUTS).model
        del net(without).blocks[place]
        thinner.append(float(torch.nn.functional.kl_div(without(calibration).log_softmax(-1), wanted, log_target=True, reduction="batchmean")))
    assert apply_cuts(model, Cuts(dropped_blocks=1), calibration).facts["dropped_blocks"] == [f"blocks.{thinner.index(min(thinner))}"]


def test_the_last_block_stays(model: TorchModel, calibration: Tensor) -> None:
    with pytest.raises(Unsupported) as error:
        apply_cuts(model, Cuts(dropped_blocks=3), calibration)
    assert error.value.code == "no-such-depth"


def test_resized_embeddings_are_timms(model: TorchModel) -> None:
    cut = apply_cuts(model, Cuts(input_size=16))
    by_hand = timm.layers.resample_abs_pos_embed(net(model).pos_embed, (2, 2), num_prefix_tokens=1)
    torch.testing.assert_close(net(cut.model).pos_embed, by_hand)
    assert cut.model.size == (3, 16, 16)
    assert cut.model(torch.rand(2, 3, 16, 16)).shape == (2, 10)


def test_a_size_that_no_patches_fill_is_told(model: TorchModel) -> None:
    with pytest.raises(Unsupported) as error:
        apply_cuts(model, Cuts(input_size=19))
    assert error.value.code == "no-other-size"


def test_factors_fit_what_the_layer_is_given(model: TorchModel, calibration: Tensor) -> None:
    """The same rank, chosen for the outputs on calibration images, is nearer there than the one nearest in weights."""
    cut = apply_cuts(model, Cuts(low_rank=50), calibration)
    plain = LowRankFactorization(50).compress(model.network).network
    layers = dict(model.network.named_modules())
    seen: dict[str, Tensor] = {}

    def keep(name: str, given: Any, _: Any) -> None:
        seen[name] = given

    names = [name for name, module in cut.model.network.named_modules() if isinstance(module, FactoredLinear)]
    assert len(names) == 12
    run(model.module, calibration, {layers[name]: partial(keep, name) for name in names})
    for name in names:
        layer: Any = layers[name]
        wanted = layer(seen[name])
        errors = [float((network.get_submodule(name)(seen[name]) - wanted).square().sum()) for network in (cut.model.network, plain)]
        assert errors[0] < errors[1]
        factors: list[Any] = [network.get_submodule(name) for network in (cut.model.network, plain)]
        assert factors[0].rank == factors[1].rank


def test_full_rank_loses_nothing(images: Tensor) -> None:
    from efficient360.methods.compression.low_rank import _nearest_outputs

    layer = linear(40, 32)
    rows = torch.randn(500, 40, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(_nearest_outputs(layer, 32, moments_of(rows))(rows), layer(rows), rtol=1e-4, atol=1e-4)


def test_moments_are_those_of_what_the_layers_are_given(model: TorchModel, calibration: Tensor) -> None:
    layer: Any = net(model).blocks[1].mlp.fc2
    seen: list[Tensor] = []
    run(model.module, calibration, {layer: lambda given, _: seen.append(given)})
    rows = torch.cat(seen).flatten(0, 1).double()
    ((_, moments),) = input_moments(model.module, {"it": layer}, calibration)
    torch.testing.assert_close(moments.mean, rows.mean(0), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(moments.covariance, torch.cov(rows.T, correction=0), rtol=1e-4, atol=1e-6)


def test_merged_and_everything_else_together_run(model: TorchModel, calibration: Tensor) -> None:
    cuts = Cuts(input_size=24, dropped_blocks=1, heads_kept=50, mlp_kept=50, low_rank=75, merged_tokens=40, clusters=8)
    cut, again = apply_cuts(model, cuts, calibration), apply_cuts(model, cuts, calibration)
    assert cut.digest == again.digest
    assert isinstance(net(cut.model).blocks, MergingBlocks)
    assert cut.model(torch.rand(2, 3, 24, 24)).isfinite().all()
    assert max(len(module.down.unique()) for module in cut.model.network.modules() if isinstance(module, FactoredLinear)) <= 8
    assert cut.facts["parameters"][1] < 0.5 * cut.facts["parameters"][0]


def test_training_steps_leave_zeros_and_tables(model: TorchModel) -> None:
    sparse = apply_cuts(model, Cuts(sparsity="2:4")).model.network
    before = {name: p.clone() for name, p in sparse.named_parameters()}
    restore = hold_zeros(sparse)
    for parameter in sparse.parameters():
        parameter.add_(1.0)
    restore()
    first: Any = sparse.get_submodule("blocks.0.mlp.fc1")
    weight = first.weight
    assert torch.equal(weight == 0, before["blocks.0.mlp.fc1.weight"] == 0)
    assert (weight.reshape(-1, 4) != 0).sum(1).max() == 2
    clustered = apply_cuts(model, Cuts(clusters=4)).model.network
    layer: Any = clustered.get_submodule("blocks.0.mlp.fc1")
    places = [layer.weight == value for value in layer.weight.unique()]
    restore = hold_clusters(clustered)
    layer.weight.add_(torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(0)))
    means = [layer.weight[place].mean() for place in places]
    restore()
    for place, mean in zip(places, means, strict=True):
        torch.testing.assert_close(layer.weight[place].unique(), mean.reshape(1))


def test_what_a_network_can_have_is_offered_and_the_rest_refused(model: TorchModel, images: Tensor) -> None:
    offered = cut_settings(model)
    assert offered.refused == {}
    assert offered.settings["input_size"] == (32, 24, 16)
    assert offered.settings["heads_kept"] == ("100 %", "50 %")
    assert all((len(values) > 1 and not Cuts.of({name: values[0]}).changes) or name == "input_size" for name, values in offered.settings.items())
    for name, values in offered.settings.items():
        cut = apply_cuts(model, Cuts.of({name: values[-1]}))
        assert cut.model(torch.rand(1, *cut.model.size)).isfinite().all()
    small = cut_settings(model_of(timm.create_model("test_convnext", num_classes=10), 64))
    assert {"heads_kept", "merged_tokens"} <= small.refused.keys()
    assert all("ConvNeXt" in why for why in small.refused.values())
    assert conflict({"sparsity": "2:4", "clusters": 16})
    assert not conflict({"sparsity": "2:4", "clusters": 0})
