from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from efficient360 import conformance
from efficient360.methods.adversarial.attack import Subjects, misclassified
from efficient360.methods.adversarial.fab import FabTargeted
from efficient360.methods.adversarial.threat import Norm, Threat
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


def within(radii: list[float]) -> Subjects:
    """Images at these distances from the middle of the box, each in a direction of its own; all are class 0 of a larger ball."""
    directions = np.random.default_rng(0).standard_normal((len(radii), *SHAPE))
    unit = directions / np.linalg.norm(directions.reshape(len(radii), -1), axis=1)[:, None, None, None]
    images = torch.from_numpy(0.5 + np.array(radii)[:, None, None, None] * unit).float()
    return Subjects(images, torch.zeros(len(radii), dtype=torch.int64), tuple(map(str, radii)), 0)


def test_a_curved_boundary_is_met_where_it_is_nearest() -> None:
    of, ball = within([0.1, 0.2, 0.3, 0.4, 0.45]), Ball(0.5)
    exact = np.array([0.4, 0.3, 0.2, 0.1, 0.05])
    for epsilon in (0.055, 0.11, 0.22, 0.33, 0.44):
        found = FabTargeted().run(Victim(ball), Threat(Norm.L2, epsilon), of)
        assert found.fell.tolist() == (exact < epsilon).tolist()
        way = Threat(Norm.L2, epsilon).distance(found.images, of.images).numpy()
        assert (way[exact < epsilon] > exact[exact < epsilon] - 1e-5).all()


def test_linf_meets_the_curved_boundary_no_further_than_straight_on() -> None:
    # Of all steps in [-ε, ε] the one that leads furthest out moves every value by ε away from the middle.
    of, ball = within([0.1, 0.2, 0.3, 0.4]), Ball(0.5)
    from_middle = (of.images.double() - 0.5).abs().flatten(1).numpy()
    total, squares, n = from_middle.sum(1), (from_middle**2).sum(1), from_middle.shape[1]
    exact = (-total + np.sqrt(total**2 + n * (0.25 - squares))) / n
    for i, radius in enumerate(exact):
        one = of.take(torch.tensor([i]))
        assert not FabTargeted().run(Victim(ball), Threat(Norm.LINF, 0.99 * radius), one).fell.any()
        assert FabTargeted().run(Victim(ball), Threat(Norm.LINF, 1.02 * radius), one).fell.all()


def test_a_fallen_example_costs_nothing_more() -> None:
    ball = Ball(0.5)
    FabTargeted(steps=50).run(Victim(ball, rows=4), Threat(Norm.L2, 0.4), within([0.4, 0.45]))
    assert len(ball.passes) < 15


def test_each_class_has_its_steps_and_no_more() -> None:
    ball = Ball(0.5)
    found = FabTargeted(steps=7).run(Victim(ball, rows=4), Threat(Norm.L2, 0.01), within([0.1, 0.2]))
    assert not found.fell.any()
    # The clean logits, then for 2 examples with 2 classes a gradient and a look a step, all in one pass of 4.
    assert ball.passes == [4] * (1 + 2 * 7)


def test_where_there_is_no_gradient_it_gives_up_at_once() -> None:
    model, of = Steps(), within([0.1, 0.2])
    found = FabTargeted().run(Victim(model), Threat(Norm.LINF, 0.1), of)
    assert not found.fell.any()
    assert torch.equal(found.images, of.images)
    assert len(model.passes) == 3


@pytest.fixture(scope="module")
def vit() -> tuple[Model, Subjects]:
    on = conformance.subject()
    images = torch.from_numpy(np.random.default_rng(0).random((24, 3, 32, 32))).float()
    with torch.no_grad():
        labels = on.model(images).argmax(1)
    return on.model, Subjects(images, labels, tuple(f"test/{i:02d}" for i in range(24)), 0)


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "epsilon"), [(Norm.LINF, 6 / 255), (Norm.L2, 1.0)])
def test_a_batch_changes_nothing(vit: tuple[Model, Subjects], norm: Norm, epsilon: float) -> None:
    model, of = vit
    victim, threat, fab = Victim(model, rows=8), Threat(norm, epsilon), FabTargeted(steps=5, targets=3)
    whole = fab.run(victim, threat, of)
    assert 0 < int(whole.fell.sum()) < len(of)
    for size in (1, 7):
        for part in torch.arange(len(of)).split(size):
            found = fab.run(victim, threat, of.take(part))
            assert torch.equal(found.fell, whole.fell[part])
            assert torch.equal(found.images, whole.images[part])


@pytest.mark.parametrize(("norm", "epsilon"), [(Norm.LINF, 6 / 255), (Norm.L2, 1.0)])
def test_what_fell_is_misclassified_within_the_threat_and_the_rest_is_clean(vit: tuple[Model, Subjects], norm: Norm, epsilon: float) -> None:
    model, of = vit
    victim, threat = Victim(model), Threat(norm, epsilon)
    found = FabTargeted(steps=5, targets=3).run(victim, threat, of)
    assert threat.allows(found.images, of.images).all()
    assert misclassified(victim.logits(found.images), of.labels).tolist() == found.fell.tolist()
    assert torch.equal(found.images[~found.fell], of.images[~found.fell])


def test_more_steps_and_classes_fell_no_fewer(vit: tuple[Model, Subjects]) -> None:
    model, of = vit
    victim, threat = Victim(model), Threat(Norm.LINF, 6 / 255)
    few, more = (FabTargeted(steps, targets).run(victim, threat, of).fell for steps, targets in ((1, 1), (4, 6)))
    assert not (few & ~more).any()
    assert int(more.sum()) > int(few.sum())


@pytest.mark.parametrize(("norm", "epsilons"), [(Norm.LINF, (4 / 255, 6 / 255)), (Norm.L2, (0.8, 1.0))])
def test_it_fells_what_the_reference_fells(vit: tuple[Model, Subjects], norm: Norm, epsilons: tuple[float, ...]) -> None:
    reference = pytest.importorskip("pyautoattack.fab_pt", reason="the reference AutoAttack (pyautoattack) is not installed")
    model, of = vit
    assert isinstance(model, TorchModel)
    name = {Norm.LINF: "Linf", Norm.L2: "L2"}[norm]
    theirs = reference.FABAttack_PT(model.module, norm=name, n_iter=8, eps=1e9, targeted=True, n_target_classes=1, device="cpu")
    with torch.random.fork_rng():
        nearest = theirs.perturb(of.images.clone(), of.labels)
    distances = Threat(norm, 1.0).distance(nearest, of.images)
    felled = []
    for epsilon in epsilons:
        found = FabTargeted(steps=8, targets=1).run(Victim(model), Threat(norm, epsilon), of)
        sure = (distances / epsilon - 1).abs() > 1e-3
        assert (found.fell & sure).tolist() == ((distances < epsilon) & sure).tolist()
        felled.append(int(found.fell.sum()))
    assert felled[-1] > felled[0]
