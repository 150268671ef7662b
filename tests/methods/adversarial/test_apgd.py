"""Auto-PGD against linear models, whose smallest perturbation is known, and against what fools weaker attacks."""

import pytest
import torch
from simple_models import exact_radii, linear_victim, mid_grey_subjects

from efficient360.conformance import subject
from efficient360.methods.adversarial.apgd import ApgdCe, ApgdDlr, ApgdTargeted, likely_others, random_start
from efficient360.methods.adversarial.attack import Attack, Subjects
from efficient360.methods.adversarial.threat import Norm, Threat

DUAL = {Norm.LINF: 1.0, Norm.L2: 2.0}
ATTACKS = [ApgdCe(40), ApgdDlr(40), ApgdTargeted(40)]


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_nothing_falls_below_the_exact_radius(attack: Attack, norm: Norm) -> None:
    victim = linear_victim()
    subjects = mid_grey_subjects(victim, 30)
    radii = exact_radii(victim, subjects, DUAL[norm])
    for epsilon in radii.quantile(torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)).tolist():
        found = attack.run(victim, Threat(norm, epsilon), subjects)
        assert not bool((found.fell & (radii > epsilon * 1.001)).any())
        assert bool(Threat(norm, epsilon).allows(found.images, subjects.images).all())


@pytest.mark.slow
@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_targeted_attack_finds_every_example_above_it(norm: Norm, classes: int) -> None:
    victim = linear_victim(1, classes)
    subjects = mid_grey_subjects(victim, 30, 1)
    radii = exact_radii(victim, subjects, DUAL[norm])
    epsilon = float(radii.median())
    found = ApgdTargeted(100, 9).run(victim, Threat(norm, epsilon), subjects)
    assert torch.equal(found.fell[radii < 0.99 * epsilon], torch.ones(int((radii < 0.99 * epsilon).sum()), dtype=torch.bool))
    assert not bool(found.fell[radii > 1.001 * epsilon].any())


def test_large_logits_hide_the_cross_entropy_and_not_the_ratio() -> None:
    victim = linear_victim(0, scale=1e4)
    subjects = mid_grey_subjects(victim, 30)
    threat = Threat(Norm.LINF, float(1.3 * exact_radii(victim, subjects, 1.0).max()))
    assert int(ApgdCe(20).run(victim, threat, subjects).fell.sum()) < 30
    assert bool(ApgdTargeted(20, 4).run(victim, threat, subjects).fell.all())
    assert bool(ApgdDlr(20).run(victim, threat, subjects).fell.all())


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("attack", [ApgdCe(12), ApgdTargeted(6, 3)], ids=lambda attack: attack.name)
def test_neighbours_change_nothing(attack: Attack, norm: Norm) -> None:
    from efficient360.methods.adversarial.victim import Victim

    on = subject()
    victim = Victim(on.model, 8)
    images = torch.rand((20, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    everyone = Subjects(images, victim.logits(images).argmax(1), tuple(f"x{i}" for i in range(20)), 3)
    threat = Threat(norm, 4 / 255 if norm is Norm.LINF else 1.0)
    together = attack.run(victim, threat, everyone)
    assert int(together.fell.sum()) > 0
    for part in torch.arange(20).split(7):
        alone = attack.run(victim, threat, everyone.take(part))
        assert torch.equal(alone.fell, together.fell[part])
        assert torch.equal(alone.images, together.images[part])


@pytest.mark.parametrize("norm", Norm)
def test_a_random_start_is_at_the_border_of_the_ball(norm: Norm) -> None:
    subjects = mid_grey_subjects(linear_victim(), 6)
    threat = Threat(norm, 0.1)
    start = random_start(threat, subjects, "salt")
    assert threat.distance(start, subjects.images).tolist() == pytest.approx([0.1] * 6, rel=1e-4)
    assert torch.equal(start, random_start(threat, subjects, "salt"))
    assert not torch.equal(start, random_start(threat, subjects, "pepper"))


def test_targets_come_by_falling_logit_without_the_label() -> None:
    victim = linear_victim()
    subjects = mid_grey_subjects(victim, 4)
    logits = victim.logits(subjects.images)
    for row, others, label in zip(logits, likely_others(victim, subjects), subjects.labels, strict=True):
        assert others.tolist() == [c for c in row.argsort(descending=True).tolist() if c != int(label)]


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_as_strong_as_torchattacks_with_as_many_steps(norm: str) -> None:
    torchattacks = pytest.importorskip("torchattacks")
    from efficient360.methods.adversarial.victim import Victim

    on = subject()
    images = torch.rand((24, 3, 32, 32), generator=torch.Generator().manual_seed(5))
    victim = Victim(on.model, 8)
    labels = victim.logits(images).argmax(1)
    epsilon = 6 / 255 if norm == "Linf" else 1.0
    theirs = torchattacks.APGDT(on.model.module, norm=norm, eps=epsilon, steps=50, n_classes=on.model.num_classes, seed=0)(images, labels)
    ours = ApgdTargeted(50, 6).run(victim, Threat(Norm(norm.lower()), epsilon), Subjects(images, labels, tuple(map(str, range(24))), 0))
    their_fallen = int((victim.logits(theirs).argmax(1) != labels).sum())
    assert 0 < their_fallen < 24
    assert abs(int(ours.fell.sum()) - their_fallen) <= 1
