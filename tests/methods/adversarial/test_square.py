"""Square against what is known by hand, against its published code, and against itself in other company."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyautoattack.square import SquareAttack
from simple_models import CLASSES, SIZE, Counting, exact_radii, linear_network, linear_victim, mid_grey_batch, model_of
from torch import nn

from efficient360.errors import SettingsError
from efficient360.methods.adversarial.attack import AttackBatch
from efficient360.methods.adversarial.square import L2Sampler, LinfSampler, Square, area_schedule, bump, corners, margins
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim

DUAL = {Norm.LINF: 1.0, Norm.L2: 2.0}


def test_the_schedule_is_the_published_one() -> None:
    """Share .8 halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000 steps."""
    whole = area_schedule(10_000, 10_000, 0.8)
    halved = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]
    for i, step in enumerate(halved):
        assert (whole[step], whole[step + 1]) == (0.8 / 2**i, 0.8 / 2 ** (i + 1))
    half = area_schedule(5000, 5000, 0.8)
    assert torch.equal(half, whole[::2])
    assert float(area_schedule(5000, 10_000, 0.8)[-1]) == 0.8 / 2**7  # the standard AutoAttack stops here
    assert area_schedule(0, 1, 0.8).tolist() == []


def test_sides_of_squares_by_hand() -> None:
    """.8 of 32×32 is a square of 28.6; in L2 it is odd and at least 3."""
    covered = torch.tensor([0.8, 0.05, 0.0001], dtype=torch.float64)
    assert LinfSampler(0.1).sides(covered, (3, 32, 32)).tolist() == [29, 7, 1]
    assert L2Sampler(0.1).sides(covered, (3, 32, 32)).tolist() == [29, 7, 3]
    assert LinfSampler(0.1).sides(covered, (3, 16, 64)).tolist() == [16, 7, 1]  # no square is higher than the image
    assert L2Sampler(0.1).sides(covered, (3, 16, 64)).tolist() == [15, 7, 3]
    assert L2Sampler(0.1).sides(covered[1:2], (3, 12, 12)).tolist() == [3]


def test_every_place_of_a_square_is_as_likely_and_none_is_outside() -> None:
    draws = torch.arange(1000) / 1000
    places = corners(draws, torch.full((1000,), 3), 12)
    assert torch.bincount(places).tolist() == [100] * 10


def test_a_bump_by_hand() -> None:
    """Side 3: upper pyramid 1×3 with its centre in the middle, lower one 2×3 with its centre in its second row."""
    upper = np.array([0.25, 1.25, 0.25])
    lower = np.array([[0.25, 0.25, 0.25], [0.25, 1.25, 0.25]])
    by_hand = np.vstack([upper / np.linalg.norm(upper), -lower / np.linalg.norm(lower)]) / np.sqrt(2)
    assert np.allclose(bump(3).numpy(), by_hand, atol=1e-6)
    assert float(bump(1)) == -1


@pytest.mark.parametrize("side", [1, 2, 3, 5, 6, 7, 13, 29])
def test_bumps_are_the_published_ones(side: int) -> None:
    published = SquareAttack(None, norm="L2", device="cpu")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = published.eta(side)
    assert torch.allclose(bump(side), theirs, atol=1e-6) or torch.allclose(bump(side).T, theirs, atol=1e-6)


def test_a_linf_step_changes_one_square_to_the_ends_of_the_ball() -> None:
    moves, origin = LinfSampler(0.1), torch.full((1, 3, 6, 6), 0.95)
    best = moves.start(origin, torch.full((1, 18), 0.9))
    assert torch.equal(best, torch.ones_like(best))  # 1.05 clipped
    draws = torch.tensor([[0.5, 0.0, 0.1, 0.9, 0.1]])  # row 0.5·5 = 2, column 0, channels −, +, −
    moved = moves.propose(origin, best, torch.tensor([2]), draws)
    expected = torch.ones_like(best)
    expected[0, 0, 2:4, 0:2] = expected[0, 2, 2:4, 0:2] = 0.95 - 0.1
    assert torch.allclose(moved, expected)


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(Norm)), st.sampled_from([(3, 8, 8), (3, 5, 9), (3, 12, 7), (3, 32, 32)]))
@settings(max_examples=25, deadline=None)
def test_no_step_leaves_the_ball_or_the_box(seed: int, norm: Norm, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(seed)
    origin = torch.from_numpy(rng.random((3, *shape), dtype=np.float32))
    moves = {Norm.LINF: LinfSampler, Norm.L2: L2Sampler}[norm](float(rng.uniform(0.001, 1)))
    best = moves.start(origin, torch.from_numpy(rng.random((3, moves.start_draws(shape)), dtype=np.float32)))
    sides = moves.sides(torch.from_numpy(rng.random(3)), shape)
    for _ in range(3):
        assert bool(ThreatModel(norm, moves.epsilon).contains(best, origin).all())
        best = moves.propose(origin, best, sides, torch.from_numpy(rng.random((3, moves.step_draws(shape)), dtype=np.float32)))


def test_an_l2_start_and_step_use_the_whole_radius_far_from_the_border() -> None:
    rng, origin = np.random.default_rng(0), torch.full((4, 3, 32, 32), 0.5)
    moves = L2Sampler(1.0)
    best = moves.start(origin, torch.from_numpy(rng.random((4, moves.start_draws((3, 32, 32))), dtype=np.float32)))
    moved = moves.propose(origin, best, torch.tensor([3, 7, 7, 29]), torch.from_numpy(rng.random((4, moves.step_draws((3, 32, 32))), dtype=np.float32)))
    for images in (best, moved):
        assert torch.allclose(ThreatModel(Norm.L2, 1.0).distance(images, origin), torch.ones(4, dtype=torch.float64), atol=1e-5)
    assert int((moved != best).flatten(1).any(1).sum()) == 4


def test_the_margin_by_hand() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [5.0, 5.0, 0.0]])
    assert margins(logits, torch.tensor([1, 0, 0])).tolist() == [1, -2, 0]


@pytest.mark.slow
@pytest.mark.parametrize("norm", sorted(Norm))
def test_on_a_linear_model_it_finds_what_is_well_within_reach_and_nothing_beyond(norm: Norm) -> None:
    victim = linear_victim(rows=16)
    batch = mid_grey_batch(victim, 24)
    exact = exact_radii(victim, batch, DUAL[norm])
    threats = [ThreatModel(norm, float(q)) for q in torch.quantile(exact, torch.tensor([0.1, 0.35, 0.6, 0.9], dtype=torch.float64))]
    results = Square(queries=700).search(victim, threats, batch)
    for threat, result in zip(threats, results, strict=True):
        success, beyond = result.result.success, exact > threat.epsilon * (1 + 1e-5)
        assert not bool((success & beyond).any())
        assert bool(success[exact < threat.epsilon / 1.5].all())
        assert bool(threat.contains(result.result.images, batch.images).all())
        assert torch.equal(victim.logits(result.result.images).argmax(1) != batch.labels, success)
        assert torch.equal(result.result.images[~success], batch.images[~success])
        assert bool(((result.queries > 0) == success).all())
        assert int(result.queries.max()) <= 700
    assert [int(a.result.success.sum()) for a in results] == sorted(int(a.result.success.sum()) for a in results)
    assert 0 < int(results[1].result.success.sum()) < 24


@pytest.mark.slow
@pytest.mark.parametrize("norm", sorted(Norm))
@pytest.mark.parametrize("rows", [1, 5])
def test_batch_and_rows_of_a_pass_change_nothing(norm: Norm, rows: int) -> None:
    """Also holds the questions asked ahead against a search that asks one at a time: one example in passes of one row."""
    whole = linear_victim(rows=1)
    batch = mid_grey_batch(whole, 8)
    threat = ThreatModel(norm, float(exact_radii(whole, batch, DUAL[norm]).median()) * 1.1)
    attack = Square(queries=60)
    expected = [attack.search(whole, (threat,), batch.take(torch.tensor([i])))[0] for i in range(8)]
    for size in (1, 7, 8):
        for part in torch.arange(8).split(size):
            (result,) = attack.search(linear_victim(rows=rows), (threat,), batch.take(part))
            for place, i in enumerate(part.tolist()):
                assert torch.equal(result.result.images[place], expected[i].result.images[0])
                assert int(result.queries[place]) == int(expected[i].queries[0])
    assert 0 < sum(int(e.result.success) for e in expected) < 8


def test_the_budget_is_kept_to_the_query() -> None:
    network = Counting(linear_network())
    victim = Victim(model_of(network), 1)
    batch = mid_grey_batch(linear_victim(), 3)
    tiny = ThreatModel(Norm.LINF, 1e-4)
    assert not bool(Square(queries=7).run(victim, tiny, batch).success.any())
    assert network.passes == 21
    network.passes = 0
    Square(queries=1).run(victim, tiny, batch)
    assert network.passes == 3


def test_rows_that_would_stay_empty_ask_ahead() -> None:
    network = Counting(linear_network())
    Square(queries=161).run(Victim(model_of(network), 16), ThreatModel(Norm.LINF, 1e-9), mid_grey_batch(linear_victim(), 1))
    assert 11 <= network.passes < 80  # 1 for the start, 10 if no result ever changed anything


def test_another_seed_searches_elsewhere() -> None:
    victim = linear_victim()
    batch = mid_grey_batch(victim, 6)
    threat = ThreatModel(Norm.LINF, 2 * float(exact_radii(victim, batch, 1.0).max()))
    other = AttackBatch(batch.images, batch.labels, batch.ids, 1)
    assert not torch.equal(Square(queries=50).run(victim, threat, batch).images, Square(queries=50).run(victim, threat, other).images)


def test_equal_logits_are_not_a_fall() -> None:
    """Of equal logits the first counts: a constant model is right about class 0 whatever it is shown."""
    last = nn.Linear(48, CLASSES)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    constant = nn.Sequential(nn.Flatten(), last)
    batch = AttackBatch(torch.full((2, *SIZE), 0.5), torch.zeros(2, dtype=torch.int64), ("a", "b"), 0)
    assert not bool(Square(queries=20).run(Victim(model_of(constant), 4), ThreatModel(Norm.LINF, 0.2), batch).success.any())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"queries": 0}, "queries of the Square attack is 0"),
        ({"share": 0.0}, "share of the Square attack is 0.0"),
        ({"share": 1.1}, "share of the Square attack is 1.1"),
        ({"horizon": 0.0}, "horizon of the Square attack is 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        Square(**wrong)
    assert caught.value.code == "bad-setting"


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "epsilon"), [(Norm.LINF, 16 / 255), pytest.param(Norm.L2, 2.5, marks=pytest.mark.exhaustive)])
def test_it_is_as_strong_as_its_published_code(norm: Norm, epsilon: float) -> None:
    """Digits, 64 images, 200 queries: the two differ in what they draw, so the numbers of falls differ by chance alone."""
    victim, batch = digits(64)
    ours = int(Square(queries=201, horizon=1.0).run(victim, ThreatModel(norm, epsilon), batch).success.sum())
    module = victim.model.module  # type: ignore[attr-defined]
    published = SquareAttack(module, norm={Norm.LINF: "Linf", Norm.L2: "L2"}[norm], eps=epsilon, n_queries=200, seed=0, device="cpu")
    with torch.random.fork_rng():
        images = published.perturb(batch.images.contiguous(), batch.labels)
    theirs = int((victim.logits(images).argmax(1) != batch.labels).sum())
    assert 4 < theirs < 60
    # Twice the standard deviation of a difference of two independent counts; they are of the same images, so it is less.
    assert abs(ours - theirs) <= 2 * np.sqrt(2 * theirs * (1 - theirs / 64))


def digits(n: int) -> tuple[Victim, AttackBatch]:
    """The bundled digits ViT with ``n`` images that it names rightly."""
    from efficient360.datasets.loader import open_dataset
    from efficient360.datasets.spec import DatasetSpec
    from efficient360.models.building import load_model
    from efficient360.models.checkpoint import CheckpointSpec
    from efficient360.models.references import resolve

    checkpoint = resolve(CheckpointSpec("digits-vit"))
    victim = Victim(load_model(checkpoint), 16)
    (batch,) = open_dataset(DatasetSpec("digits", max_examples=2 * n), checkpoint, 0).examples.batches(2 * n)
    right = (victim.logits(batch.images).argmax(1) == batch.labels).nonzero().flatten()[:n]
    return victim, AttackBatch(batch.images, batch.labels, batch.ids, 0).take(right)
