import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from efficient360.core.proportion_difference import newcombe, newcombe_paired

sample = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
paired = st.tuples(*[st.integers(0, 80)] * 4).filter(lambda counts: sum(counts) > 0)


def wilson_ends(hits: int, n: int) -> tuple[float, float]:
    """The roots of (p̂ − p)² = z² p (1 − p) / n."""
    z2, p = stats.norm.ppf(0.975) ** 2, hits / n
    root = math.sqrt(z2 * (z2 + 4 * n * p * (1 - p)))
    return (2 * n * p + z2 - root) / (2 * (n + z2)), (2 * n * p + z2 + root) / (2 * (n + z2))


@pytest.mark.parametrize(
    ("case", "published"),
    [
        # Newcombe 1998, Statistics in Medicine 17:873–890, Table II, method 10.
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((0, 10, 0, 10), (-0.2775, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
        ((10, 10, 0, 10), (0.6075, 1.0)),
        # Fagerland, Lydersen & Laake 2017, Statistical Analysis of Contingency Tables, chapter 4: high against standard dose of epinephrine.
        ((7, 34, 1, 34), (0.0189, 0.3404)),
    ],
)
def test_independent_samples_against_published_intervals(case: tuple[int, int, int, int], published: tuple[float, float]) -> None:
    found = newcombe(*case)
    assert (found.low, found.high) == pytest.approx(published, abs=5.1e-5)
    assert found.method == "newcombe"


def test_the_same_examples_twice_against_a_published_interval() -> None:
    # Fagerland, Lydersen & Laake 2017, chapter 8: complete response before and after consolidation therapy.
    found = newcombe_paired(59, 6, 16, 80)
    assert (found.low, found.high) == pytest.approx((-0.1186, -0.0046), abs=5.1e-5)
    assert found.method == "newcombe-paired"


@given(sample, sample)
def test_independent_samples_against_the_formula(first: tuple[int, int], second: tuple[int, int]) -> None:
    (low1, high1), (low2, high2) = wilson_ends(*first), wilson_ends(*second)
    p, q = first[0] / first[1], second[0] / second[1]
    found = newcombe(*first, *second)
    assert found.low == pytest.approx(p - q - math.sqrt((p - low1) ** 2 + (high2 - q) ** 2), abs=1e-9)
    assert found.high == pytest.approx(p - q + math.sqrt((high1 - p) ** 2 + (q - low2) ** 2), abs=1e-9)


@given(sample, sample)
def test_the_other_way_round_is_the_negative(first: tuple[int, int], second: tuple[int, int]) -> None:
    found, back = newcombe(*first, *second), newcombe(*second, *first)
    assert (found.low, found.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
    assert -1 <= found.low <= first[0] / first[1] - second[0] / second[1] <= found.high <= 1


@given(paired)
def test_pairs_the_other_way_round_are_the_negative(counts: tuple[int, int, int, int]) -> None:
    both, first, second, neither = counts
    found, back = newcombe_paired(both, first, second, neither), newcombe_paired(both, second, first, neither)
    assert (found.low, found.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
    assert -1 <= found.low <= (first - second) / sum(counts) <= found.high <= 1


@given(paired)
def test_pairs_that_tell_nothing_of_each_other_are_as_independent_ones(counts: tuple[int, int, int, int]) -> None:
    both, first, second, neither = counts
    n, product = sum(counts), both * neither - first * second
    found, independent = newcombe_paired(*counts), newcombe(both + first, n, both + second, n)
    width, wide = found.high - found.low, independent.high - independent.low
    if 0 <= product <= n / 2:
        assert (found.low, found.high) == pytest.approx((independent.low, independent.high), abs=1e-9)
    elif product > 0:
        assert width <= wide + 1e-12
    else:
        assert width >= wide - 1e-12


def test_pairs_that_agree_tell_more_than_independent_samples() -> None:
    pairs, independent = newcombe_paired(70, 10, 0, 20), newcombe(80, 100, 70, 100)
    assert pairs.low > 0 > independent.low


@pytest.mark.parametrize("call", [lambda: newcombe(0, 0, 1, 2), lambda: newcombe(3, 2, 1, 2), lambda: newcombe_paired(0, 0, 0, 0)])
def test_no_examples_and_impossible_counts_are_refused(call) -> None:
    with pytest.raises(ValueError, match=r"."):
        call()
