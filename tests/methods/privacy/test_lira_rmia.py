import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from efficient360.errors import Unsupported
from efficient360.methods.privacy import lira, rmia
from efficient360.methods.privacy.roc import roc
from efficient360.methods.privacy.shadow_models import ShadowOutputs, equalised
from efficient360.methods.privacy.shadow_training import random_halves

N, GAIN, SPREAD = 3000, 2.0, 3.0


def drawn(shadows: int, seed: int, is_member: np.ndarray | None = None, n: int = N) -> tuple[np.ndarray, ShadowOutputs]:
    """Confidences of a made-up world: examples differ in difficulty, membership adds the same to each, noise is standard normal.

    The first half of the examples are the target's members.
    """
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, SPREAD, 2 * n)
    is_member = random_halves(2 * n, shadows, seed) if is_member is None else is_member
    scaled = difficulty + GAIN * is_member + rng.normal(size=is_member.shape)
    target = difficulty + GAIN * (np.arange(2 * n) < n) + rng.normal(size=2 * n)
    return target, ShadowOutputs(scaled, np.logaddexp(0, -scaled), scaled > 0, is_member)


def auc(scores: np.ndarray) -> float:
    n = len(scores) // 2
    return roc(scores[:n], scores[n:]).auc


def test_one_threshold_finds_what_two_wide_normals_overlap() -> None:
    target, _ = drawn(2, 0)
    assert auc(target) == pytest.approx(norm.cdf(GAIN / np.sqrt(2 * (1 + SPREAD**2))), abs=0.02)


@pytest.mark.parametrize("shadows", [2, 16, 64])
def test_offline_lira_reaches_the_analytic_auc(shadows: int) -> None:
    target, shadow_outputs = drawn(shadows, 1)
    models = shadows // 2
    truth = norm.cdf(GAIN / np.sqrt(2 * (1 + 1 / models)))
    assert auc(lira.offline(target, shadow_outputs, 0)) == pytest.approx(truth, abs=0.015)


def test_online_lira_reaches_the_most_powerful_test() -> None:
    target, shadow_outputs = drawn(64, 2)
    assert auc(lira.online(target, shadow_outputs, 0)) == pytest.approx(norm.cdf(GAIN / np.sqrt(2)), abs=0.015)


def test_lira_is_the_ratio_of_scipys_normals() -> None:
    target, shadow_outputs = drawn(8, 3, n=20)
    outside = ~shadow_outputs.is_member
    parts = []
    for among in (shadow_outputs.is_member, outside):
        columns = [shadow_outputs.scaled_confidence[among[:, i], i] for i in range(40)]
        means = np.array([c.mean() for c in columns])
        pooled = np.sqrt(sum(((c - c.mean()) ** 2).sum() for c in columns) / (among.sum() - 40))
        parts.append((means, pooled))
    (mean_in, sd_in), (mean_out, sd_out) = parts
    np.testing.assert_allclose(lira.online(target, shadow_outputs, 0), norm.logpdf(target, mean_in, sd_in) - norm.logpdf(target, mean_out, sd_out))
    np.testing.assert_allclose(lira.offline(target, shadow_outputs, 0), (target - mean_out) / sd_out)


@pytest.mark.parametrize("attack", [rmia.online, rmia.offline])
def test_rmia_beats_one_threshold_and_counts_as_a_double_loop_does(attack) -> None:
    target, shadow_outputs = drawn(16, 4, n=60)
    loss = np.logaddexp(0, -target)
    p = np.exp(-shadow_outputs.loss)
    outside = np.array([p[~shadow_outputs.is_member[:, i], i].mean() for i in range(120)])
    within = np.array([p[shadow_outputs.is_member[:, i], i].mean() for i in range(120)])
    usual = (outside + within) / 2 if attack is rmia.online else ((1 + rmia.OFFLINE_A) * outside + 1 - rmia.OFFLINE_A) / 2
    ratio = np.exp(-loss) / usual
    expected = [np.mean([ratio[x] / ratio[z] >= 1 for z in range(60, 120) if z != x]) for x in range(120)]
    np.testing.assert_allclose(attack(loss, shadow_outputs, 0), expected)
    target, shadow_outputs = drawn(16, 5)
    assert auc(attack(np.logaddexp(0, -target), shadow_outputs, 0)) > auc(target) + 0.05


def test_without_membership_no_attack_finds_anything() -> None:
    rng = np.random.default_rng(6)
    difficulty = rng.normal(0, 3, 4000)
    is_member = random_halves(4000, 8, 0)
    scaled = difficulty + rng.normal(size=(8, 4000))
    target = difficulty + rng.normal(size=4000)
    shadow_outputs = ShadowOutputs(scaled, np.logaddexp(0, -scaled), scaled > 0, is_member)
    loss = np.logaddexp(0, -target)
    for attack, signal in ((lira.online, target), (lira.offline, target), (rmia.online, loss), (rmia.offline, loss)):
        assert auc(attack(signal, shadow_outputs, 0)) == pytest.approx(0.5, abs=0.03)


def test_unequally_many_models_tell_nothing() -> None:
    """Shadows trained on the training split only: half of them stand for a member, all of them for another example."""
    n = 3000
    is_member = random_halves(2 * n, 2, 0)
    is_member[:, n:] = False
    rng = np.random.default_rng(7)
    difficulty = rng.normal(0, 3, 2 * n)
    scaled = difficulty + rng.normal(size=is_member.shape)
    target = difficulty + rng.normal(size=2 * n)
    shadow_outputs = ShadowOutputs(scaled, np.logaddexp(0, -scaled), scaled > 0, is_member)
    scores = lira.offline(target, shadow_outputs, 0)
    assert roc(np.abs(scores[:n]), np.abs(scores[n:])).auc == pytest.approx(0.5, abs=0.02)
    with pytest.raises(Unsupported, match="3000 of 6000 images have no shadow model that was trained with them") as caught:
        lira.online(target, shadow_outputs, 0)
    assert caught.value.code == "no-reference-model"
    with pytest.raises(Unsupported, match="trained with them"):
        rmia.online(target, shadow_outputs, 0)


def test_an_image_in_every_model_can_be_attacked_by_none() -> None:
    is_member = np.ones((4, 20), dtype=bool)
    shadow_outputs = ShadowOutputs(np.zeros((4, 20)), np.zeros((4, 20)), is_member, is_member)
    for attack in (lira.online, lira.offline, rmia.online, rmia.offline):
        with pytest.raises(Unsupported, match="trained without them"):
            attack(np.zeros(20), shadow_outputs, 0)


@given(st.integers(1, 6), st.integers(1, 20), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_evened_keeps_as_many_models_for_every_example_as_the_poorest_has(models: int, examples: int, seed: int) -> None:
    among = np.random.default_rng(seed).random((models, examples)) < 0.6
    result = equalised(among, seed)
    assert not (result & ~among).any()
    assert (result.sum(axis=0) == among.sum(axis=0).min()).all()


@given(st.integers(2, 60), st.integers(1, 4), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_every_image_is_in_half_of_the_shadows_and_more_shadows_change_none(images: int, pairs: int, seed: int) -> None:
    is_member = random_halves(images, 2 * pairs, seed)
    assert (is_member.sum(axis=0) == pairs).all()
    assert (random_halves(images, 2 * pairs + 2, seed)[: 2 * pairs] == is_member).all()
