import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.cluster import KMeans

from efficient360.methods.compression.clustering import kmeans, nearest

NUMBERS = arrays(np.float64, st.integers(1, 60), elements=st.floats(-100, 100, width=32))


def error(values: np.ndarray, centres: np.ndarray) -> float:
    return float(np.square(values - centres[nearest(values, centres)]).sum())


@given(NUMBERS, st.integers(1, 9))
def test_every_centre_is_the_mean_of_its_own(values: np.ndarray, clusters: int) -> None:
    centres = kmeans(values, clusters)
    assert 1 <= len(centres) <= clusters
    assert (np.diff(centres) >= 0).all()
    assigned = nearest(values, centres)
    assert (np.abs(values - centres[assigned]) <= np.abs(values[:, None] - centres).min(1) + 1e-9).all()
    for cluster in np.unique(assigned):
        assert centres[cluster] == pytest.approx(values[assigned == cluster].mean(), abs=1e-6)


def test_as_many_values_as_clusters_are_the_centres() -> None:
    np.testing.assert_array_equal(kmeans(np.array([3.0, 1.0, 3.0, 2.0]), 3), [1, 2, 3])


def test_three_heaps_are_found_by_hand() -> None:
    values = np.array([0.0, 0.2, 0.1, 5.0, 5.2, 9.0, 9.4, 9.2])
    np.testing.assert_allclose(kmeans(values, 3), [0.1, 5.1, 9.2])


@pytest.mark.parametrize("clusters", [4, 16, 64])
def test_no_worse_than_scikit_learn(clusters: int) -> None:
    values = np.random.default_rng(0).standard_t(5, 6000)
    theirs = KMeans(clusters, n_init=3, random_state=0, max_iter=300).fit(values[:, None]).inertia_
    assert error(values, kmeans(values, clusters)) <= 1.01 * theirs


def test_many_centres_of_normal_numbers_err_as_panter_and_dite_say() -> None:
    # For k levels of a normal density the least mean squared error tends to (π √3 / 2) σ² / k².
    values = np.random.default_rng(1).standard_normal(200_000)
    mean = error(values, kmeans(values, 64)) / len(values)
    assert mean == pytest.approx(np.pi * np.sqrt(3) / 2 / 64**2, rel=0.05)
