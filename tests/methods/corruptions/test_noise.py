import numpy as np
import pytest
from scipy import stats

from efficient360.methods.corruptions.noise import MAX_TABLE_PHOTONS, GaussianNoise, ImpulseNoise, ShotNoise, SpeckleNoise, alias_tables

N = 3 * 200 * 200


def flat(level: int) -> np.ndarray:
    return np.full((3, 200, 200), level, np.uint8)


def test_gaussian_noise_has_its_standard_deviation_and_truncation_takes_half_a_level() -> None:
    made = GaussianNoise(0.08).apply(flat(128), np.random.default_rng(0)).astype(float)
    assert made.mean() == pytest.approx(127.5, abs=5 * 20.4 / N**0.5)
    assert made.std() == pytest.approx(20.4, rel=0.01)
    assert stats.kurtosis(made.ravel()) == pytest.approx(0, abs=0.05)


def test_gaussian_noise_is_independent_between_neighbours_and_channels() -> None:
    made = GaussianNoise(0.08).apply(flat(128), np.random.default_rng(0)).astype(float)
    for a, b in ((made[0], made[1]), (made[:, 1:], made[:, :-1]), (made[..., 1:], made[..., :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_speckle_noise_grows_with_the_value_and_spares_black() -> None:
    rng = np.random.default_rng(0)
    assert SpeckleNoise(0.15).apply(flat(0), rng).max() == 0
    assert SpeckleNoise(0.15).apply(flat(50), rng).std() == pytest.approx(7.5, rel=0.02)
    assert SpeckleNoise(0.15).apply(flat(100), rng).std() == pytest.approx(15, rel=0.02)


def test_impulse_noise_turns_its_share_black_and_white_in_equal_parts() -> None:
    made = ImpulseNoise(0.27).apply(flat(100), np.random.default_rng(0))
    spread = (0.135 * 0.865 / N) ** 0.5
    assert (made == 0).mean() == pytest.approx(0.135, abs=5 * spread)
    assert (made == 255).mean() == pytest.approx(0.135, abs=5 * spread)
    assert set(np.unique(made)) == {0, 100, 255}


@pytest.mark.parametrize("photons", [3, 12, 60, 64])
def test_alias_tables_hold_the_poisson_law(photons: int) -> None:
    """What the entries of a row stand for, added up, is the law of the clipped count at every one of the 256 rates."""
    tables = alias_tables(photons)
    thresholds, aliases = tables.thresholds.reshape(256, -1).astype(float), tables.aliases.reshape(256, -1)
    for level in (0, 1, 7, 100, 200, 255):
        law = np.zeros(256)
        np.add.at(law, tables.values, thresholds[level] / tables.columns)
        np.add.at(law, aliases[level], (1 - thresholds[level]) / tables.columns)
        rate = level * photons / 255
        expected = np.zeros(256)
        for count in range(photons):
            expected[int(count * 255 / photons + 1e-6)] += stats.poisson.pmf(count, rate)
        expected[255] += stats.poisson.sf(photons - 1, rate)
        np.testing.assert_allclose(law, expected, atol=1e-6)


@pytest.mark.parametrize("photons", [5, 25, 100])
def test_shot_noise_follows_the_poisson_law(photons: int) -> None:
    level = 120
    made = ShotNoise(photons).apply(flat(level), np.random.default_rng(1)).ravel()
    rate = level * photons / 255
    values = np.arange(photons) * 255 // photons
    expected = stats.poisson.pmf(np.arange(photons), rate) * N
    kept = expected > 50
    observed = np.array([(made == value).sum() for value in values])
    rest = N - expected[kept].sum(), N - observed[kept].sum()
    chi = ((observed[kept] - expected[kept]) ** 2 / expected[kept]).sum() + (rest[1] - rest[0]) ** 2 / max(rest[0], 1)
    assert stats.chi2.sf(chi, kept.sum()) > 1e-4


def test_both_ways_of_drawing_photons_are_tested() -> None:
    assert 25 <= MAX_TABLE_PHOTONS < 100
