"""RayS against a linear model, whose nearest misclassified image is known."""

from typing import Any

import pytest
import torch
from simple_models import CLASSES, SIZE, Counting, exact_radii, linear_network, linear_victim, mid_grey_batch, model_of
from torch import Tensor, nn

from efficient360.errors import SettingsError
from efficient360.methods.adversarial.attack import AttackBatch
from efficient360.methods.adversarial.rays import RayS, along, blocks
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim


class Classes(nn.Module):
    """Only the predicted class, as one-hot logits: all that a decision-based attack may look at."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return nn.functional.one_hot(logits.argmax(1), logits.shape[1]).float()


def test_blocks_by_hand() -> None:
    assert blocks(8, 7) == [(0, 8), (0, 4), (4, 8), (0, 2), (2, 4), (4, 6), (6, 8)]
    assert blocks(5, 8) == [(0, 5), (0, 3), (3, 5), (0, 2), (2, 4), (4, 5), (0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    assert blocks(2, 6) == [(0, 2), (0, 1), (1, 2), (0, 1), (1, 2), (0, 1), (1, 2)]  # single values again and again


def test_the_ray_is_clipped_to_the_box() -> None:
    moved = along(torch.tensor([[[[0.1]], [[0.5]], [[0.9]]]]), torch.tensor([[-1.0, 1.0, 1.0]]), torch.tensor([0.3], dtype=torch.float64))
    assert torch.allclose(moved.flatten(), torch.tensor([0.0, 0.8, 1.0]))


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, CLASSES])
def test_on_a_linear_model_it_comes_near_the_exact_radius_and_never_below(classes: int) -> None:
    victim = linear_victim(classes=classes, rows=16)
    batch = mid_grey_batch(victim, 12)
    exact = exact_radii(victim, batch, 1.0)
    result = RayS(queries=1500).nearest(victim, batch)
    assert bool((result.radii >= exact - 1e-6).all())
    if classes == 2:
        # Every flip towards the other class's sign shortens the way: nothing but values whose weight hardly counts may stay wrong.
        assert bool((result.radii <= 1.03 * exact + 1e-4).all())
    assert float((result.radii / exact).median()) < 1.25
    distance = ThreatModel(Norm.LINF, 1.0).distance(result.images, batch.images)
    assert torch.allclose(distance, result.radii, atol=1e-6)
    assert bool((victim.logits(result.images).argmax(1) != batch.labels).all())


def test_the_halving_ends_at_the_boundary_of_its_ray() -> None:
    """Two classes told apart by the sum of all values: the very first direction is the nearest, and its radius is known."""
    layer = nn.Linear(48, 2)
    with torch.no_grad():
        layer.weight[0], layer.weight[1], layer.bias[0], layer.bias[1] = 1.0, -1.0, -24.0, 24.0
    victim = Victim(model_of(nn.Sequential(nn.Flatten(), layer), 2), 4)
    batch = AttackBatch(torch.full((1, *SIZE), 0.53), torch.zeros(1, dtype=torch.int64), ("a",), 0)
    result = RayS(queries=30, precision=1e-5).nearest(victim, batch)
    assert float(result.radii) == pytest.approx(0.03, abs=1.1e-5)
    assert float(result.radii) >= 0.03


def test_one_search_answers_for_every_radius() -> None:
    victim = linear_victim(rows=16)
    batch = mid_grey_batch(victim, 20)
    exact = exact_radii(victim, batch, 1.0)
    threats = [ThreatModel(Norm.LINF, float(q)) for q in torch.quantile(exact, torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64))]
    attack = RayS(queries=400)
    results = attack.search(victim, threats, batch)
    for threat, result in zip(threats, results, strict=True):
        alone = attack.run(victim, threat, batch)
        assert torch.equal(alone.success, result.result.success)
        assert not bool((result.result.success & (exact > threat.epsilon * (1 + 1e-5))).any())
        assert bool(threat.contains(result.result.images, batch.images).all())
        assert torch.equal(victim.logits(result.result.images).argmax(1) != batch.labels, result.result.success)
        assert bool(((result.queries > 0) == result.result.success).all())
    assert 0 < int(results[0].result.success.sum()) <= int(results[1].result.success.sum()) < int(results[2].result.success.sum())
    both = results[0].result.success
    assert bool((results[0].queries[both] >= results[2].queries[both]).all())  # the wider ball is reached earlier


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 5])
def test_batch_and_rows_of_a_pass_change_nothing(rows: int) -> None:
    single = linear_victim(rows=1)
    batch = mid_grey_batch(single, 8)
    threats = [ThreatModel(Norm.LINF, float(exact_radii(single, batch, 1.0).median()) * factor) for factor in (1.5, 3.0)]
    attack = RayS(queries=80)
    expected = [attack.search(single, threats, batch.take(torch.tensor([i]))) for i in range(8)]
    for size in (1, 7, 8):
        for part in torch.arange(8).split(size):
            results = attack.search(linear_victim(rows=rows), threats, batch.take(part))
            for place, i in enumerate(part.tolist()):
                for mine, other in zip(results, expected[i], strict=True):
                    assert torch.equal(mine.result.images[place], other.result.images[0])
                    assert int(mine.queries[place]) == int(other.queries[0])
    assert 0 < sum(int(e[0].result.success) for e in expected) < 8


def test_it_sees_nothing_but_the_predicted_class() -> None:
    plain, hidden = linear_victim(), Victim(model_of(Classes(linear_network())), 8)
    batch = mid_grey_batch(plain, 6)
    attack = RayS(queries=400)
    assert torch.equal(attack.nearest(plain, batch).images, attack.nearest(hidden, batch).images)


def test_the_budget_is_kept_to_the_query() -> None:
    network = Counting(linear_network())
    victim = Victim(model_of(network), 1)
    batch = mid_grey_batch(linear_victim(), 3)
    RayS(queries=25).nearest(victim, batch)
    assert network.passes == 75


def test_a_model_that_never_errs_has_no_radius() -> None:
    last = nn.Linear(48, CLASSES)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    constant = nn.Sequential(nn.Flatten(), last)
    batch = AttackBatch(torch.full((2, *SIZE), 0.5), torch.zeros(2, dtype=torch.int64), ("a", "b"), 0)
    victim = Victim(model_of(constant), 4)
    result = RayS(queries=40).nearest(victim, batch)
    assert bool(torch.isinf(result.radii).all())
    assert torch.equal(result.images, batch.images)
    assert not bool(RayS(queries=40).run(victim, ThreatModel(Norm.LINF, 0.5), batch).success.any())


@pytest.mark.parametrize(("wrong", "words"), [({"queries": 0}, "queries of the RayS attack is 0"), ({"precision": 0.0}, "precision of the RayS attack is 0.0")])
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        RayS(**wrong)
    assert caught.value.code == "bad-setting"
