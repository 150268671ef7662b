import copy
from typing import Any

import numpy as np
import pytest
import timm
import torch
from opacus.accountants import RDPAccountant
from torch import nn

from efficient360.errors import OutOfTime, Unsupported
from efficient360.evaluator import Deadline
from efficient360.methods.privacy.dp_accounting import SamplingSchedule, epsilon_spent, noise_multiplier_for
from efficient360.methods.privacy.dp_sgd import DpSgdSettings, check_per_sample_gradients, first_buffered_module, set_training_mode, train_dp_sgd
from efficient360.methods.privacy.fine_tuning import layer_normalised, unfreeze_layers, zero_head
from efficient360.methods.privacy.private_accuracy import PrivateRun, accuracy_outcomes, ratio_interval

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 5}


def vit() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model("vit_tiny_patch16_224", **VIT)


def no_progress(_done: int, _total: int) -> None:
    pass


@pytest.mark.parametrize("epsilon", [1.0, 3.0, 8.0])
def test_the_noise_spends_what_was_asked_for_by_opacus_own_accountant(epsilon: float) -> None:
    schedule = SamplingSchedule(0.1, 50, 1e-5)
    noise = noise_multiplier_for(epsilon, schedule)
    accountant = RDPAccountant()
    for _ in range(50):
        accountant.step(noise_multiplier=noise, sample_rate=0.1)
    assert epsilon_spent(noise, schedule) == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-12)
    assert 0.99 * epsilon <= epsilon_spent(noise, schedule) <= epsilon


@pytest.mark.parametrize(("noise", "by_opacus", "by_dp_accounting"), [(0.6714, 7.741, 7.751), (1.016, 2.965, 2.965), (1.816, 0.9936, 0.9936)])
def test_the_epsilon_of_other_accountants(noise: float, by_opacus: float, by_dp_accounting: float) -> None:
    """Values of dp-accounting's RdpAccountant and of a quadrature of the Rényi divergence, computed apart: 50 steps at 5.12 %, δ 2e-5."""
    spent = epsilon_spent(noise, SamplingSchedule(0.0512, 50, 2e-5))
    assert spent == pytest.approx(by_opacus, abs=6e-4)
    assert spent == pytest.approx(by_dp_accounting, rel=2e-3)


@pytest.mark.parametrize(("noise", "tight"), [(0.6714, 6.50), (1.016, 2.48), (1.816, 0.87)])
def test_epsilon_is_an_upper_bound_of_the_tight_one(noise: float, tight: float) -> None:
    """dp-accounting's PLD and opacus' PRV accountant, which docs/privacy.md names."""
    assert tight * 1.05 < epsilon_spent(noise, SamplingSchedule(0.0512, 50, 2e-5)) < tight * 1.25


def test_a_full_batch_spends_what_the_gaussian_mechanism_does() -> None:
    """Without sampling the Rényi divergence of T steps is T α / 2σ², and ε the least over α of Balle et al.'s conversion."""
    noise, steps, delta = 20.0, 30, 1e-5
    alpha = np.array(RDPAccountant.DEFAULT_ALPHAS)
    epsilon = steps * alpha / (2 * noise**2) - (np.log(delta) + np.log(alpha)) / (alpha - 1) + np.log((alpha - 1) / alpha)
    assert epsilon_spent(noise, SamplingSchedule(1.0, steps, delta)) == pytest.approx(epsilon.min())


def test_a_budget_that_no_noise_keeps_is_refused() -> None:
    with pytest.raises(Unsupported, match="no noise keeps ε at 0.01 with δ = 1e-06") as caught:
        noise_multiplier_for(0.01, SamplingSchedule(0.5, 100, 1e-6))
    assert caught.value.code == "budget-too-small"


@pytest.mark.parametrize("layers_only", [True, False])
def test_opacus_gradients_of_a_vit_are_those_of_each_example_alone(layers_only: bool) -> None:
    network, images = vit(), torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    if layers_only:
        unfreeze_layers(network)
    assert {name for name, p in network.named_parameters() if not p.requires_grad} == ({"cls_token", "pos_embed"} if layers_only else set())
    before = copy.deepcopy(network.state_dict())
    check_per_sample_gradients(network, images, torch.tensor([0, 1, 2]))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


class Folding(nn.Module):
    """Folds two halves of each input into the batch, so that a linear layer sees examples that are none."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both: torch.Tensor = self.inner(x.reshape(-1, 4))
        return both.reshape(len(x), 2, 5).sum(1)


def test_a_network_that_mixes_examples_is_refused_by_name() -> None:
    torch.manual_seed(0)
    with pytest.raises(Unsupported, match="inner.weight of Folding") as caught:
        check_per_sample_gradients(Folding(), torch.rand(3, 8), torch.tensor([0, 1, 2]))
    assert caught.value.code == "per-sample-gradients"


@pytest.mark.parametrize(
    ("network", "name"),
    [(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(3600, 5)), r"1 \(BatchNorm2d\)")],
)
def test_a_layer_with_statistics_of_the_batch_is_refused_by_name(network: nn.Module, name: str) -> None:
    with pytest.raises(Unsupported, match=name) as caught:
        check_per_sample_gradients(network, torch.rand(2, 3, 32, 32), torch.tensor([0, 1]))
    assert caught.value.code == "buffers"


def test_swins_tables_are_named() -> None:
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=32, window_size=4, embed_dim=16, depths=[1], num_heads=[2], num_classes=5)
    assert first_buffered_module(swin) == "layers.0.blocks.0.attn (WindowAttention)"
    assert first_buffered_module(vit()) == ""


def settings(**changes: Any) -> DpSgdSettings:
    return DpSgdSettings(**({"steps": 4, "batch_size": 8, "learning_rate": 0.01, "max_grad_norm": 1.0, "seed": 0} | changes))


def trained(noise: float, options: DpSgdSettings, n: int = 20) -> nn.Linear:
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(n, 6, generator=generator), torch.randint(3, (n,), generator=generator)
    head = zero_head(6, 3)
    train_dp_sgd(head, lambda rows: features[torch.from_numpy(rows)], labels, options, noise, Deadline(), no_progress)
    return head


def test_without_noise_a_step_is_adam_on_the_clipped_mean_by_hand() -> None:
    # Adam's first step hides the size of a gradient unless that is as small as Adam's own 1e-8.
    options = settings(steps=1, max_grad_norm=1e-7)
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(20, 6, generator=generator), torch.randint(3, (20,), generator=generator)
    drawn = np.flatnonzero(np.random.default_rng([0, 11]).random(20) < 8 / 20)
    # Of a head of zeros: softmax is 1/3, the gradient of each example (p − y) xᵀ and (p − y).
    error = torch.full((20, 3), 1 / 3) - torch.nn.functional.one_hot(labels, 3)
    norms = error.norm(dim=1) * (features.square().sum(1) + 1).sqrt()
    scale = (1e-7 / (norms + 1e-6)).clamp(max=1)
    weight = torch.einsum("n,nk,nd->kd", scale[drawn], error[drawn], features[drawn]) / 8
    adam = -0.01 * weight / (weight.abs() + 1e-8)
    torch.testing.assert_close(trained(0.0, options).weight.detach(), adam, rtol=1e-3, atol=1e-6)


def test_its_seed_fixes_a_training_and_the_global_randomness_is_left_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = trained(1.0, settings()), trained(1.0, settings()), trained(1.0, settings(seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    assert not torch.equal(first.weight, trained(0.0, settings()).weight)


def test_parts_of_a_batch_add_up_to_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(0.7, settings())
    monkeypatch.setattr("efficient360.methods.privacy.dp_sgd.MAX_GRADIENT_VALUES", 3 * 21)
    torch.testing.assert_close(trained(0.7, settings()).weight, whole.weight, rtol=1e-4, atol=1e-6)


def test_a_step_into_which_nobody_was_drawn_is_noise_alone() -> None:
    # With one example of fifty a step on average, some of forty steps draw nobody.
    options = settings(steps=40, batch_size=1, learning_rate=0.001)
    counts = [int((np.random.default_rng([0, 11]).random((40, 50)) < 1 / 50).sum(1)[i]) for i in range(40)]
    assert 0 in counts
    assert bool(torch.isfinite(trained(1.0, options, 50).weight).all())
    assert float(trained(1.0, options, 50).weight.detach().abs().max()) > 0


def test_the_time_budget_is_kept_and_hooks_are_gone_afterwards() -> None:
    head = trained(0.0, settings())
    assert not head._forward_hooks
    assert not head.training
    with pytest.raises(OutOfTime):
        train_dp_sgd(zero_head(2, 2), lambda rows: torch.zeros(len(rows), 2), torch.zeros(4, dtype=torch.long), settings(), 0.0, Deadline(0.0), no_progress)


def test_parts_without_weights_stay_in_eval_mode() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    set_training_mode(network)
    assert network[0].training
    assert not network[1].training


def test_features_are_levelled_by_their_own_statistics() -> None:
    features = torch.randn(5, 8) * 3 + 2
    result = layer_normalised(features)
    torch.testing.assert_close(result.mean(1), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(layer_normalised(features[:1]), result[:1])


def test_the_interval_of_a_ratio_is_paired() -> None:
    rng = np.random.default_rng(0)
    baseline = rng.random(500) < 0.8
    private = baseline & (rng.random(500) < 0.95)
    interval = ratio_interval(private, baseline, 0)
    resampled = []
    for _ in range(2000):
        rows = rng.integers(0, 500, 500)
        resampled.append(private[rows].mean() / baseline[rows].mean())
    low, high = np.quantile(resampled, (0.025, 0.975))
    assert interval.low == pytest.approx(low, abs=0.006)
    assert interval.high == pytest.approx(high, abs=0.006)
    same = ratio_interval(baseline, baseline, 0)
    assert (same.low, same.high) == (1.0, 1.0)


def test_nothing_learned_is_no_ratio() -> None:
    wrong = np.zeros(10, dtype=bool)
    result = list(accuracy_outcomes("head", [PrivateRun(None, 0.0, None, wrong), PrivateRun(1.0, 2.0, 0.99, ~wrong)], 100, 0, ()))
    assert [getattr(o, "code", o.metric.name) for o in result] == ["private_accuracy", "private_accuracy", "nothing-learned", "epsilon_spent"]
    assert result[3].n == 100
