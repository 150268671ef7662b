"""Sparseness by hand, and the cross-fitted choice of the best method."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from efficient360.methods.attribution.scoring import cross_fitted_best, gini_index


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1, 2, 3, 4], 0.25),
        ([0, 0, 0, 5], 0.75),
        ([0, 0, 0, -5], 0.75),
        ([2, 2, -2, 2], 0.0),
        ([0, 0, 0, 0], 0.0),
    ],
)
def test_the_gini_index_by_hand(row: list[float], expected: float) -> None:
    assert float(gini_index(torch.tensor([row], dtype=torch.float32))) == pytest.approx(expected)


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=30).filter(lambda row: sum(map(abs, row)) > 1e-3))
def test_the_gini_index_is_half_the_relative_mean_difference(row: list[float]) -> None:
    values = torch.tensor(row, dtype=torch.float64).abs()
    mean_difference = (values[:, None] - values[None]).abs().mean()
    assert float(gini_index(torch.tensor([row]))) == pytest.approx(float(mean_difference / (2 * values.mean())), abs=1e-6)


def test_the_best_method_is_evaluated_where_it_was_not_selected() -> None:
    best = cross_fitted_best({"a": np.array([9.0, 0.0, 9.0, 0.0]), "b": np.array([1.0, 5.0, 1.0, 5.0])})
    # even examples select a, odd ones b; each is evaluated on the others
    assert best.names == ("a", "b")
    assert best.values.tolist() == [1.0, 0.0, 1.0, 0.0]
    agreed = cross_fitted_best({"a": np.array([0.3, 0.4, 0.5]), "b": np.array([0.1, 0.2, 0.3])})
    assert agreed.names == ("a", "a")
    assert agreed.values.tolist() == [0.3, 0.4, 0.5]
    assert cross_fitted_best({"a": np.array([0.1]), "b": np.array([0.2])}).values.tolist() == [0.2]


def test_cross_fitting_removes_the_selection_bias() -> None:
    rng = np.random.default_rng(0)
    cross_fitted, naive = [], []
    for _ in range(300):
        scores = {str(i): rng.normal(0, 1, 40) for i in range(8)}
        cross_fitted.append(cross_fitted_best(scores).values.mean())
        naive.append(max(values.mean() for values in scores.values()))
    assert abs(np.mean(cross_fitted)) < 0.04
    assert np.mean(naive) > 0.15
