"""Auto-PGD against linear models, whose smallest perturbation is known, and against what fools weaker attacks."""

import pytest
import torch
from simple_models import exact_radii, linear_victim, mid_grey_batch

from efficient360.conformance import subject
from efficient360.methods.adversarial.apgd import ApgdCe, ApgdDlr, ApgdTargeted, random_start
from efficient360.methods.adversarial.attack import Attack, AttackBatch, most_likely_other_classes
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel

DUAL = {Norm.LINF: 1.0, Norm.L2: 2.0}
ATTACKS = [ApgdCe(40), ApgdDlr(40), ApgdTargeted(40)]


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_nothing_falls_below_the_exact_radius(attack: Attack, norm: Norm) -> None:
    victim = linear_victim()
    batch = mid_grey_batch(victim, 30)
    radii = exact_radii(victim, batch, DUAL[norm])
    for epsilon in radii.quantile(torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)).tolist():
        result = attack.run(victim, ThreatModel(norm, epsilon), batch)
        assert not bool((result.success & (radii > epsilon * 1.001)).any())
        assert bool(ThreatModel(norm, epsilon).contains(result.images, batch.images).all())


@pytest.mark.slow
@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_targeted_attack_finds_every_example_above_it(norm: Norm, classes: int) -> None:
    victim = linear_victim(1, classes)
    batch = mid_grey_batch(victim, 30, 1)
    radii = exact_radii(victim, batch, DUAL[norm])
    epsilon = float(radii.median())
    result = ApgdTargeted(100, 9).run(victim, ThreatModel(norm, epsilon), batch)
    assert torch.equal(result.success[radii < 0.99 * epsilon], torch.ones(int((radii < 0.99 * epsilon).sum()), dtype=torch.bool))
    assert not bool(result.success[radii > 1.001 * epsilon].any())


def test_large_logits_hide_the_cross_entropy_and_not_the_ratio() -> None:
    victim = linear_victim(0, scale=1e4)
    batch = mid_grey_batch(victim, 30)
    threat = ThreatModel(Norm.LINF, float(1.3 * exact_radii(victim, batch, 1.0).max()))
    assert int(ApgdCe(20).run(victim, threat, batch).success.sum()) < 30
    assert bool(ApgdTargeted(20, 4).run(victim, threat, batch).success.all())
    assert bool(ApgdDlr(20).run(victim, threat, batch).success.all())


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("attack", [ApgdCe(12), ApgdTargeted(6, 3)], ids=lambda attack: attack.name)
def test_neighbours_change_nothing(attack: Attack, norm: Norm) -> None:
    from efficient360.methods.adversarial.victim import Victim

    on = subject()
    victim = Victim(on.model, 8)
    images = torch.rand((20, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    everyone = AttackBatch(images, victim.logits(images).argmax(1), tuple(f"x{i}" for i in range(20)), 3)
    threat = ThreatModel(norm, 4 / 255 if norm is Norm.LINF else 1.0)
    together = attack.run(victim, threat, everyone)
    assert int(together.success.sum()) > 0
    for part in torch.arange(20).split(7):
        alone = attack.run(victim, threat, everyone.take(part))
        assert torch.equal(alone.success, together.success[part])
        assert torch.equal(alone.images, together.images[part])


@pytest.mark.parametrize("norm", Norm)
def test_a_random_start_is_at_the_border_of_the_ball(norm: Norm) -> None:
    batch = mid_grey_batch(linear_victim(), 6)
    threat = ThreatModel(norm, 0.1)
    start = random_start(threat, batch, "salt")
    assert threat.distance(start, batch.images).tolist() == pytest.approx([0.1] * 6, rel=1e-4)
    assert torch.equal(start, random_start(threat, batch, "salt"))
    assert not torch.equal(start, random_start(threat, batch, "pepper"))


def test_targets_come_by_falling_logit_without_the_label() -> None:
    victim = linear_victim()
    batch = mid_grey_batch(victim, 4)
    logits = victim.logits(batch.images)
    for row, others, label in zip(logits, most_likely_other_classes(victim, batch), batch.labels, strict=True):
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
    ours = ApgdTargeted(50, 6).run(victim, ThreatModel(Norm(norm.lower()), epsilon), AttackBatch(images, labels, tuple(map(str, range(24))), 0))
    their_fallen = int((victim.logits(theirs).argmax(1) != labels).sum())
    assert 0 < their_fallen < 24
    assert abs(int(ours.success.sum()) - their_fallen) <= 1
