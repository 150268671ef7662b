"""FAB on curved boundaries and against its reference; its projection against linear and quadratic programmes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from torch import Tensor

from efficient360 import conformance
from efficient360.methods.adversarial.attack import AttackBatch, misclassified
from efficient360.methods.adversarial.fab import FabTargeted, project_onto_hyperplane
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim
from efficient360.models.model import Model, TorchModel

SHAPE = (3, 4, 4)


@dataclass(frozen=True)
class Ball(Model):
    """Class 0 within a ball around the middle of the box, class 1 outside, class 2 nowhere: the boundary is curved and its distance known."""

    radius: float
    passes: list[int] = field(default_factory=list)

    @property
    def num_classes(self) -> int:
        return 3

    @property
    def input_size(self) -> tuple[int, int, int]:
        return SHAPE

    def __call__(self, images: Tensor) -> Tensor:
        self.passes.append(len(images))
        outside = ((images - 0.5) ** 2).flatten(1).sum(1) - self.radius**2
        return torch.stack([torch.zeros_like(outside), outside, torch.full_like(outside, -5.0)], 1)


@dataclass(frozen=True)
class Steps(Model):
    """Looks at the pixels through a rounding, whose gradient is 0 everywhere."""

    passes: list[int] = field(default_factory=list)

    @property
    def num_classes(self) -> int:
        return 2

    @property
    def input_size(self) -> tuple[int, int, int]:
        return SHAPE

    def __call__(self, images: Tensor) -> Tensor:
        self.passes.append(len(images))
        mean = (16 * images).round().flatten(1).mean(1)
        return torch.stack([10 * mean, mean], 1)


def within(radii: list[float]) -> AttackBatch:
    """Images at these distances from the middle of the box, each in a direction of its own; all are class 0 of a larger ball."""
    directions = np.random.default_rng(0).standard_normal((len(radii), *SHAPE))
    unit = directions / np.linalg.norm(directions.reshape(len(radii), -1), axis=1)[:, None, None, None]
    images = torch.from_numpy(0.5 + np.array(radii)[:, None, None, None] * unit).float()
    return AttackBatch(images, torch.zeros(len(radii), dtype=torch.int64), tuple(map(str, radii)), 0)


def test_a_curved_boundary_is_met_where_it_is_nearest() -> None:
    batch, ball = within([0.1, 0.2, 0.3, 0.4, 0.45]), Ball(0.5)
    exact = np.array([0.4, 0.3, 0.2, 0.1, 0.05])
    for epsilon in (0.055, 0.11, 0.22, 0.33, 0.44):
        result = FabTargeted().run(Victim(ball), ThreatModel(Norm.L2, epsilon), batch)
        assert result.success.tolist() == (exact < epsilon).tolist()
        way = ThreatModel(Norm.L2, epsilon).distance(result.images, batch.images).numpy()
        assert (way[exact < epsilon] > exact[exact < epsilon] - 1e-5).all()


def test_linf_meets_the_curved_boundary_no_further_than_straight_on() -> None:
    # Of all steps in [-ε, ε] the one that leads furthest out moves every value by ε away from the middle.
    batch, ball = within([0.1, 0.2, 0.3, 0.4]), Ball(0.5)
    from_middle = (batch.images.double() - 0.5).abs().flatten(1).numpy()
    total, squares, n = from_middle.sum(1), (from_middle**2).sum(1), from_middle.shape[1]
    exact = (-total + np.sqrt(total**2 + n * (0.25 - squares))) / n
    for i, radius in enumerate(exact):
        example = batch.take(torch.tensor([i]))
        assert not FabTargeted().run(Victim(ball), ThreatModel(Norm.LINF, 0.99 * radius), example).success.any()
        assert FabTargeted().run(Victim(ball), ThreatModel(Norm.LINF, 1.02 * radius), example).success.all()


def test_a_fallen_example_costs_nothing_more() -> None:
    ball = Ball(0.5)
    FabTargeted(steps=50).run(Victim(ball, rows=4), ThreatModel(Norm.L2, 0.4), within([0.4, 0.45]))
    assert len(ball.passes) < 15


def test_each_class_has_its_steps_and_no_more() -> None:
    ball = Ball(0.5)
    result = FabTargeted(steps=7).run(Victim(ball, rows=4), ThreatModel(Norm.L2, 0.01), within([0.1, 0.2]))
    assert not result.success.any()
    # The clean logits, then for 2 examples with 2 classes a gradient and a look a step, all in one pass of 4.
    assert ball.passes == [4] * (1 + 2 * 7)


def test_where_there_is_no_gradient_it_gives_up_at_once() -> None:
    model, batch = Steps(), within([0.1, 0.2])
    result = FabTargeted().run(Victim(model), ThreatModel(Norm.LINF, 0.1), batch)
    assert not result.success.any()
    assert torch.equal(result.images, batch.images)
    assert len(model.passes) == 3


@pytest.fixture(scope="module")
def vit() -> tuple[Model, AttackBatch]:
    on = conformance.subject()
    images = torch.from_numpy(np.random.default_rng(0).random((24, 3, 32, 32))).float()
    with torch.no_grad():
        labels = on.model(images).argmax(1)
    return on.model, AttackBatch(images, labels, tuple(f"test/{i:02d}" for i in range(24)), 0)


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "epsilon"), [(Norm.LINF, 6 / 255), (Norm.L2, 1.0)])
def test_a_batch_changes_nothing(vit: tuple[Model, AttackBatch], norm: Norm, epsilon: float) -> None:
    model, batch = vit
    victim, threat, fab = Victim(model, rows=8), ThreatModel(norm, epsilon), FabTargeted(steps=5, targets=3)
    whole = fab.run(victim, threat, batch)
    assert 0 < int(whole.success.sum()) < len(batch)
    for size in (1, 7):
        for part in torch.arange(len(batch)).split(size):
            result = fab.run(victim, threat, batch.take(part))
            assert torch.equal(result.success, whole.success[part])
            assert torch.equal(result.images, whole.images[part])


@pytest.mark.parametrize(("norm", "epsilon"), [(Norm.LINF, 6 / 255), (Norm.L2, 1.0)])
def test_what_fell_is_misclassified_within_the_threat_and_the_rest_is_clean(vit: tuple[Model, AttackBatch], norm: Norm, epsilon: float) -> None:
    model, batch = vit
    victim, threat = Victim(model), ThreatModel(norm, epsilon)
    result = FabTargeted(steps=5, targets=3).run(victim, threat, batch)
    assert threat.contains(result.images, batch.images).all()
    assert misclassified(victim.logits(result.images), batch.labels).tolist() == result.success.tolist()
    assert torch.equal(result.images[~result.success], batch.images[~result.success])


def test_more_steps_and_classes_fell_no_fewer(vit: tuple[Model, AttackBatch]) -> None:
    model, batch = vit
    victim, threat = Victim(model), ThreatModel(Norm.LINF, 6 / 255)
    few, more = (FabTargeted(steps, targets).run(victim, threat, batch).success for steps, targets in ((1, 1), (4, 6)))
    assert not (few & ~more).any()
    assert int(more.sum()) > int(few.sum())


@pytest.mark.parametrize(("norm", "epsilons"), [(Norm.LINF, (4 / 255, 6 / 255)), (Norm.L2, (0.8, 1.0))])
def test_it_fells_what_the_reference_fells(vit: tuple[Model, AttackBatch], norm: Norm, epsilons: tuple[float, ...]) -> None:
    reference = pytest.importorskip("pyautoattack.fab_pt", reason="the reference AutoAttack (pyautoattack) is not installed")
    model, batch = vit
    assert isinstance(model, TorchModel)
    name = {Norm.LINF: "Linf", Norm.L2: "L2"}[norm]
    theirs = reference.FABAttack_PT(model.module, norm=name, n_iter=8, eps=1e9, targeted=True, n_target_classes=1, device="cpu")
    with torch.random.fork_rng():
        nearest = theirs.perturb(batch.images.clone(), batch.labels)
    distances = ThreatModel(norm, 1.0).distance(nearest, batch.images)
    broken = []
    for epsilon in epsilons:
        result = FabTargeted(steps=8, targets=1).run(Victim(model), ThreatModel(norm, epsilon), batch)
        sure = (distances / epsilon - 1).abs() > 1e-3
        assert (result.success & sure).tolist() == ((distances < epsilon) & sure).tolist()
        broken.append(int(result.success.sum()))
    assert broken[-1] > broken[0]


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
    result = project_onto_hyperplane(torch.tensor(point)[None], torch.tensor(slope)[None], torch.tensor([value], dtype=torch.float64), norm)
    return result[0].numpy()


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
    result = step(point, slope, value, Norm.LINF)
    assert np.abs(result).max() == pytest.approx(solved.fun, abs=1e-9)
    assert value + slope @ result == pytest.approx(0, abs=1e-9)


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
    points, slopes, values = problems(range(10), torch.float32)
    plain = project_onto_hyperplane(points, slopes, values, norm).numpy()
    assert project_onto_hyperplane(points, scale * slopes, scale * values, norm).numpy() == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize("norm", Norm)
def test_a_row_does_not_depend_on_its_neighbours(norm: Norm) -> None:
    points, slopes, values = problems(range(12), torch.float32, 3072)
    whole = project_onto_hyperplane(points, slopes, values, norm)
    for rows in ([0, 1], [5, 3, 7], list(range(12))[::-1]):
        assert torch.equal(project_onto_hyperplane(points[rows], slopes[rows], values[rows], norm), whole[rows])


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), norm=st.sampled_from(list(Norm)), size=st.integers(2, 200))
def test_a_step_stays_in_the_box_and_on_the_hyperplane(seed: int, norm: Norm, size: int) -> None:
    points, slopes, values = problems([seed, seed + 1, seed + 2], torch.float32, size)
    result = project_onto_hyperplane(points, slopes, values, norm)
    assert (points + result >= -1e-6).all()
    assert (points + result <= 1 + 1e-6).all()
    residue = values + (slopes * result).sum(1)
    assert (residue.abs() <= 1e-5 * slopes.abs().sum(1)).all()


def problems(seeds: Iterable[int], dtype: torch.dtype, size: int = SIZE) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    points, slopes, values = zip(*(problem(seed, size) for seed in seeds), strict=True)
    return torch.tensor(np.array(points), dtype=dtype), torch.tensor(np.array(slopes), dtype=dtype), torch.tensor(values, dtype=dtype)
