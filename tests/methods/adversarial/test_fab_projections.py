import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from efficient360.methods.adversarial.fab_projections import step_to_hyperplane
from efficient360.methods.adversarial.threat import Norm

SIZE = 6


def problem(seed: int, size: int = SIZE) -> tuple[np.ndarray, np.ndarray, float]:
    """A point of the box (some of its values on the border), a slope (some of it 0), and a value whose hyperplane meets the box's inside."""
    rng = np.random.default_rng(seed)
    point = np.where(rng.random(size) < 0.2, rng.integers(0, 2, size), rng.random(size))
    slope = np.where(rng.random(size) < 0.2, 0.0, rng.standard_normal(size))
    slope[0] = rng.choice([-1, 1])
    value = float(slope @ (point - rng.random(size)))
    return point, slope, value


def step(point: np.ndarray, slope: np.ndarray, value: float, norm: Norm) -> np.ndarray:
    found = step_to_hyperplane(torch.tensor(point)[None], torch.tensor(slope)[None], torch.tensor([value], dtype=torch.float64), norm)
    return found[0].numpy()


@pytest.mark.parametrize("seed", range(25))
def test_linf_is_as_short_as_the_linear_programme_says(seed: int) -> None:
    point, slope, value = problem(seed)
    # Variables (d, t): least t with |d| ≤ t.
    above, below = np.hstack([np.eye(SIZE), -np.ones((SIZE, 1))]), np.hstack([-np.eye(SIZE), -np.ones((SIZE, 1))])
    solved = linprog(
        np.eye(SIZE + 1)[-1],
        np.vstack([above, below]),
        np.zeros(2 * SIZE),
        np.append(slope, 0.0)[None],
        [-value],
        bounds=[*zip(-point, 1 - point, strict=True), (0, None)],
    )
    assert solved.status == 0
    found = step(point, slope, value, Norm.LINF)
    assert np.abs(found).max() == pytest.approx(solved.fun, abs=1e-9)
    assert value + slope @ found == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_l2_is_the_step_of_the_quadratic_programme(seed: int) -> None:
    point, slope, value = problem(seed)
    solved = minimize(
        lambda d: d @ d,
        np.zeros(SIZE),
        jac=lambda d: 2 * d,
        bounds=list(zip(-point, 1 - point, strict=True)),
        method="SLSQP",
        constraints={"type": "eq", "fun": lambda d: value + slope @ d, "jac": lambda d: slope},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert solved.success
    assert step(point, slope, value, Norm.L2) == pytest.approx(solved.x, abs=1e-5)


def test_away_from_the_border_the_step_is_the_margin_over_the_dual_norm() -> None:
    point, slope, value = np.full(4, 0.5), np.array([1.0, -2.0, 3.0, 0.0]), 0.6
    assert step(point, slope, value, Norm.LINF) == pytest.approx([-0.1, 0.1, -0.1, 0.0])
    assert step(point, slope, value, Norm.L2) == pytest.approx(-0.6 * slope / 14)


def test_a_value_at_the_border_stays_and_the_others_make_up_for_it() -> None:
    point, slope = np.array([0.05, 0.5, 0.5]), np.array([1.0, 1.0, 1.0])
    assert step(point, slope, 0.45, Norm.LINF) == pytest.approx([-0.05, -0.2, -0.2])
    assert step(point, slope, 0.45, Norm.L2) == pytest.approx([-0.05, -0.2, -0.2])


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_hyperplane_that_misses_the_box_is_met_at_the_nearest_corner(norm: Norm, sign: int) -> None:
    point, slope = np.array([0.25, 0.5, 0.75]), np.array([2.0, -1.0, 0.0])
    corner = [0.0, 1.0, 0.75] if sign > 0 else [1.0, 0.0, 0.75]
    assert point + step(point, slope, sign * 50.0, norm) == pytest.approx(corner)


@pytest.mark.parametrize("norm", Norm)
def test_without_a_slope_nothing_moves(norm: Norm) -> None:
    assert step(np.full(3, 0.5), np.zeros(3), -1.0, norm).tolist() == [0, 0, 0]


@pytest.mark.parametrize("norm", Norm)
def test_a_point_on_the_hyperplane_stays(norm: Norm) -> None:
    assert step(np.full(3, 0.5), np.ones(3), 0.0, norm).tolist() == [0, 0, 0]


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e6])
def test_the_scale_of_the_logits_does_not_matter(norm: Norm, scale: float) -> None:
    points, slopes, values = batch(range(10), torch.float32)
    plain = step_to_hyperplane(points, slopes, values, norm).numpy()
    assert step_to_hyperplane(points, scale * slopes, scale * values, norm).numpy() == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize("norm", Norm)
def test_a_row_does_not_depend_on_its_neighbours(norm: Norm) -> None:
    points, slopes, values = batch(range(12), torch.float32, 3072)
    whole = step_to_hyperplane(points, slopes, values, norm)
    for rows in ([0, 1], [5, 3, 7], list(range(12))[::-1]):
        assert torch.equal(step_to_hyperplane(points[rows], slopes[rows], values[rows], norm), whole[rows])


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), norm=st.sampled_from(list(Norm)), size=st.integers(2, 200))
def test_a_step_stays_in_the_box_and_on_the_hyperplane(seed: int, norm: Norm, size: int) -> None:
    points, slopes, values = batch([seed, seed + 1, seed + 2], torch.float32, size)
    found = step_to_hyperplane(points, slopes, values, norm)
    assert (points + found >= -1e-6).all()
    assert (points + found <= 1 + 1e-6).all()
    residue = values + (slopes * found).sum(1)
    assert (residue.abs() <= 1e-5 * slopes.abs().sum(1)).all()


def batch(seeds, dtype: torch.dtype, size: int = SIZE) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    points, slopes, values = zip(*(problem(seed, size) for seed in seeds), strict=True)
    return torch.tensor(np.array(points), dtype=dtype), torch.tensor(np.array(slopes), dtype=dtype), torch.tensor(values, dtype=dtype)
