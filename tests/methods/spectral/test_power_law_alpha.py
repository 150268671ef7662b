"""The fitted exponent against Pareto values and Clauset's estimator spelled out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.methods.spectral.power_law_alpha import fit_power_law


def by_loops(values: np.ndarray) -> tuple[float, float, float, int]:
    """Clauset's estimator written out one x_min at a time."""
    ordered = np.sort(values)
    best = (np.inf, 0.0, 0.0, 0)
    for i, start in enumerate(ordered[:-1]):
        tail = ordered[i:]
        total = np.log(tail / start).sum()
        if total <= 0:
            continue
        alpha = 1 + len(tail) / total
        law = 1 - (tail / start) ** (1 - alpha)
        distance = np.abs(law - np.arange(len(tail)) / len(tail)).max()
        if distance < best[0]:
            best = (distance, alpha, start, len(tail))
    return best


@pytest.mark.parametrize("alpha", [1.8, 2.5, 4.0])
def test_the_exponent_of_pareto_values_is_recovered(alpha: float) -> None:
    values = 0.3 * (1 + np.random.default_rng(1).pareto(alpha - 1, 1500))
    law = fit_power_law(values)
    assert law is not None
    assert law.alpha == pytest.approx(alpha, rel=4 / np.sqrt(law.size))
    assert law.ks_distance < 0.04


def test_only_the_tail_is_fitted() -> None:
    rng = np.random.default_rng(2)
    body, tail = rng.uniform(0.1, 1, 500), 1 + rng.pareto(1.5, 1000)
    law = fit_power_law(np.concatenate([body, tail]))
    assert law is not None
    assert law.x_min == pytest.approx(1, abs=0.3)
    assert law.alpha == pytest.approx(2.5, rel=0.15)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 150), st.integers(0, 10_000))
def test_it_is_the_estimator_written_out(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(size=n)
    distance, alpha, start, tail = by_loops(values)
    law = fit_power_law(values)
    assert law is not None
    assert (law.ks_distance, law.alpha, law.x_min, law.size) == pytest.approx((distance, alpha, start, tail))


def test_equal_values_have_no_tail() -> None:
    assert fit_power_law(np.full(200, 2.0)) is None
    assert fit_power_law(np.array([1.0, 2.0])) is None


def test_equal_values_at_the_top_are_no_tail() -> None:
    law = fit_power_law(np.array([1.0, 1.5, 2.0, 3.0, 3.0, 3.0]))
    assert law is not None
    assert law.x_min < 3


def test_the_survival_function_starts_at_one() -> None:
    law = fit_power_law(1 + np.random.default_rng(0).pareto(2, 500))
    assert law is not None
    survival = law.survival(np.array([law.x_min, 2 * law.x_min, 4 * law.x_min]))
    np.testing.assert_allclose(survival, [1, 2 ** (1 - law.alpha), 4 ** (1 - law.alpha)])
