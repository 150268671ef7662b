"""Attacks of torchattacks behind our contract: linear models, where they are known in closed form, the threat model, and seeds."""

import sys
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from simple_models import CLASSES, Quantised, exact_radii, linear_network, linear_victim, mid_grey_batch, model_of
from torch import Tensor, nn

from efficient360 import conformance
from efficient360.errors import PluginError, SettingsError, Unsupported
from efficient360.methods.adversarial import torchattacks_adapter
from efficient360.methods.adversarial.apgd import ApgdTargeted
from efficient360.methods.adversarial.attack import AttackBatch
from efficient360.methods.adversarial.catalogue import Budget, attack
from efficient360.methods.adversarial.ensemble import run_ensemble
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.torchattacks_adapter import RECIPES, TorchattacksAttack, TorchattacksRecipe
from efficient360.methods.adversarial.victim import Victim
from efficient360.models.model import Model

EACH = [(name, norm) for name, recipe in RECIPES.items() for norm in sorted(recipe.norms)]
DUAL = {Norm.LINF: 1.0, Norm.L2: 2.0}


def sign_step(victim: Victim, batch: AttackBatch, epsilon: float) -> Tensor:
    """FGSM on a linear model by hand: ε along the sign of Wᵀ(softmax − onehot)."""
    weight = victim.model.network[1].weight  # type: ignore[attr-defined]
    residual = victim.logits(batch.images).softmax(1) - nn.functional.one_hot(batch.labels, CLASSES)
    return (batch.images + epsilon * (residual @ weight).sign().view_as(batch.images)).clamp(0, 1)


def test_fgsm_is_its_closed_form_on_a_linear_model() -> None:
    victim = linear_victim(scale=0.1)  # so that the softmax does not saturate
    batch = mid_grey_batch(victim, 16)
    epsilon = float(exact_radii(victim, batch, 1.0).median())
    result = attack("fgsm", Budget()).run(victim, ThreatModel(Norm.LINF, epsilon), batch)
    expected = sign_step(victim, batch, epsilon)
    assert torch.equal(result.success, victim.logits(expected).argmax(1) != batch.labels)
    assert torch.allclose(result.images[result.success], expected[result.success], atol=1e-6)
    assert torch.equal(result.images[~result.success], batch.images[~result.success])
    assert 0 < int(result.success.sum()) < 16


@pytest.mark.parametrize(("name", "norm"), [("pgd", Norm.LINF), ("pgd", Norm.L2), ("bim", Norm.LINF), ("mifgsm", Norm.LINF)])
def test_iterative_attacks_reach_the_closed_form_of_two_classes(name: str, norm: Norm) -> None:
    """With two classes the loss rises along one direction only, whose end in the ball is known: exactly those within their radius are broken."""
    victim = linear_victim(classes=2, scale=0.1)
    batch = mid_grey_batch(victim, 16)
    radii = exact_radii(victim, batch, DUAL[norm])
    weight = victim.model.network[1].weight  # type: ignore[attr-defined]
    difference = (weight[1 - batch.labels] - weight[batch.labels]).view_as(batch.images)
    ordered = radii.sort().values
    epsilon = float((ordered[7] + ordered[8]) / 2)
    direction = difference.sign() if norm is Norm.LINF else difference / difference.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    result = attack(name, Budget(steps=20)).run(victim, ThreatModel(norm, epsilon), batch)
    assert result.success.tolist() == (radii < epsilon).tolist()
    end = (batch.images + epsilon * direction)[result.success]
    # In L2 the angle θ to that direction shrinks as tan(θ/2) · exp(-2.5): a random start, at about 90°, ends at about 10°, and one at 120° at 16°.
    slack = 1e-5 if norm is Norm.LINF else 0.3 * epsilon
    assert bool((ThreatModel(norm, epsilon).distance(result.images[result.success], end) <= slack).all())


@pytest.mark.slow
def test_deepfool_and_cw_succeed_within_epsilon_alone() -> None:
    """Both search for the smallest perturbation, whose length on a linear model is known; DeepFool overshoots it by 2 %."""
    victim = linear_victim(scale=0.5)
    batch = mid_grey_batch(victim, 16)
    radii = exact_radii(victim, batch, 2.0)
    ordered = radii.sort().values
    epsilon = float((ordered[9] + ordered[10]) / 2)
    for name in ("deepfool", "cw"):
        result = attack(name, Budget(steps=200)).run(victim, ThreatModel(Norm.L2, epsilon), batch)
        assert not bool((result.success & (radii > epsilon)).any())
        assert bool(ThreatModel(Norm.L2, epsilon).contains(result.images, batch.images).all())
        assert torch.equal(result.images[~result.success], batch.images[~result.success])
        if name == "deepfool":
            assert bool(result.success[1.021 * radii < epsilon].all())
            distances = ThreatModel(Norm.L2, epsilon).distance(result.images, batch.images)
            assert torch.allclose(distances[result.success], 1.02 * radii[result.success], rtol=1e-3)
        assert 0 < int(result.success.sum()) < 16


@pytest.mark.parametrize(("name", "norm"), EACH)
def test_every_attack_stays_in_the_ball_and_breaks_nothing_out_of_reach(name: str, norm: Norm) -> None:
    victim = linear_victim(scale=0.3)
    batch = mid_grey_batch(victim, 12)
    radii = exact_radii(victim, batch, DUAL[norm])
    epsilon = float(radii.quantile(0.8))
    threat = ThreatModel(norm, epsilon)
    result = attack(name, Budget(steps=15)).run(victim, threat, batch)
    assert bool(threat.contains(result.images, batch.images).all())
    assert torch.equal(victim.logits(result.images).argmax(1) != batch.labels, result.success)
    assert not bool((result.success & (radii > 1.001 * epsilon)).any())
    assert bool(result.success.any())


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("norm", Norm)
def test_apgd_is_at_least_as_strong(norm: Norm) -> None:
    on = conformance.subject()
    victim = Victim(on.model, 8)
    images = torch.rand((16, 3, 32, 32), generator=torch.Generator().manual_seed(5))
    batch = AttackBatch(images, victim.logits(images).argmax(1), tuple(map(str, range(16))), 0)
    threat = ThreatModel(norm, 5 / 255 if norm is Norm.LINF else 0.8)
    ours = run_ensemble(victim, [threat], [ApgdTargeted(40, 6)], batch).robust(0, 0)
    names = [name for name in ("fgsm", "pgd", "mifgsm", "deepfool") if norm in RECIPES[name].norms]
    for name in names:
        theirs = run_ensemble(victim, [threat], [attack(name, Budget(steps=20))], batch).robust(0, 0)
        assert int(ours.sum()) <= int(theirs.sum()), name
        assert int(theirs.sum()) < 16, name


@pytest.mark.parametrize(("name", "norm"), EACH)
def test_batch_and_random_state_change_nothing(name: str, norm: Norm) -> None:
    victim = linear_victim(scale=0.3)
    batch = mid_grey_batch(victim, 7)
    threat, chosen = ThreatModel(norm, 2 * float(exact_radii(victim, batch, DUAL[norm]).max())), attack(name, Budget(steps=4))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    together = chosen.run(victim, threat, batch)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    for part in torch.arange(7).split(3):
        alone = chosen.run(victim, threat, batch.take(part))
        assert torch.equal(alone.success, together.success[part])
        assert torch.equal(alone.images, together.images[part])


def test_another_seed_starts_elsewhere() -> None:
    victim = linear_victim(scale=0.3)
    batch = mid_grey_batch(victim, 6)
    threat = ThreatModel(Norm.LINF, 2 * float(exact_radii(victim, batch, 1.0).max()))
    other = AttackBatch(batch.images, batch.labels, batch.ids, 1)
    chosen = attack("pgd", Budget(steps=1))
    assert not torch.equal(chosen.run(victim, threat, batch).images, chosen.run(victim, threat, other).images)


@dataclass
class Stray:
    """Moves every pixel by more than ε, whatever was asked."""

    epsilon: float

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        return (images + 1.5 * self.epsilon).clamp(0, 1)


def test_an_attack_that_leaves_the_ball_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def stray(library: Any, network: nn.Module, threat: ThreatModel, steps: int) -> Stray:
        return Stray(threat.epsilon)

    monkeypatch.setattr(torchattacks_adapter, "RECIPES", {"fgsm": TorchattacksRecipe("Stray", "", stray)})
    victim = linear_victim()
    batch = mid_grey_batch(victim, 12)
    with pytest.raises(PluginError) as caught:
        run_ensemble(victim, [ThreatModel(Norm.LINF, 0.2)], [TorchattacksAttack("fgsm")], batch)
    assert caught.value.code == "outside-threat"
    assert "fgsm" in caught.value.message


class Detached(nn.Module):
    """Logits without any gradient."""

    def forward(self, images: Tensor) -> Tensor:
        return images.detach().flatten(1)[:, :CLASSES]


@pytest.mark.parametrize(("name", "norm"), EACH)
@pytest.mark.parametrize("network", [Quantised(linear_network()), Detached()], ids=["rounded", "detached"])
def test_where_there_is_no_gradient_nothing_crashes_and_every_success_is_one(network: nn.Module, name: str, norm: Norm) -> None:
    victim = Victim(model_of(network), 4)
    batch = mid_grey_batch(victim, 3)
    threat = ThreatModel(norm, 0.1)
    result = attack(name, Budget(steps=3)).run(victim, threat, batch)
    assert bool(result.images.isfinite().all())
    assert bool(threat.contains(result.images, batch.images).all())
    assert torch.equal(victim.logits(result.images).argmax(1) != batch.labels, result.success)


@dataclass(frozen=True)
class Wide(Model):
    """Takes images that are wider than high."""

    @property
    def num_classes(self) -> int:
        return 2

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 4, 8)

    def __call__(self, images: Tensor) -> Tensor:
        mean = images.flatten(1).mean(1)
        return torch.stack([mean, 1 - mean], 1)


@pytest.mark.parametrize("name", ["difgsm", "tifgsm"])
def test_attacks_that_rescale_need_square_images(name: str) -> None:
    images = torch.full((1, 3, 4, 8), 0.6)
    batch = AttackBatch(images, torch.zeros(1, dtype=torch.int64), ("a",), 0)
    with pytest.raises(Unsupported) as caught:
        attack(name, Budget(steps=2)).run(Victim(Wide()), ThreatModel(Norm.LINF, 0.3), batch)
    assert caught.value.code == "not-square"
    assert bool(attack("pgd", Budget(steps=2)).run(Victim(Wide()), ThreatModel(Norm.LINF, 0.3), batch).success.all())


def test_its_autoattack_is_not_offered() -> None:
    with pytest.raises(SettingsError) as caught:
        attack("autoattack", Budget())
    assert caught.value.code == "unknown-attack"


def test_torchattacks_is_imported_only_where_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchattacks", None)  # an import would fail
    victim = linear_victim()
    batch = mid_grey_batch(victim, 2)
    chosen = attack("fgsm", Budget())
    assert (chosen.name, chosen.title, chosen.gradients) == ("fgsm", "FGSM", True)
    attack("apgd-ce", Budget(steps=2)).run(victim, ThreatModel(Norm.LINF, 0.01), batch)
    with pytest.raises(ImportError):
        chosen.run(victim, ThreatModel(Norm.LINF, 0.01), batch)
