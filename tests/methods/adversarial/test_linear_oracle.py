"""A linear model tells the truth: the nearest misclassified image is at min over classes of margin / dual norm of the difference of weights."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from efficient360.methods.adversarial.attack import AttackBatch
from efficient360.methods.adversarial.catalogue import BUILT_IN, Budget, attack
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim
from efficient360.models.model import Model

SHAPE = (3, 4, 4)
EXAMPLES = 32
DUAL = {Norm.LINF: 1, Norm.L2: 2}
GRADIENT = sorted(name for name, make in BUILT_IN.items() if make(Budget()).gradients)
TARGETED = ["apgd-t", "fab-t"]
RESOLUTION = 0.02
"""FAB's smallest image lies a little beyond the boundary, and APGD has 100 steps: no radius of an example is as near to an ε of the grid as that."""


@dataclass(frozen=True)
class Linear(Model):
    """Logits linear in the pixels."""

    weights: Tensor
    bias: Tensor
    scale: float = 1.0

    @property
    def num_classes(self) -> int:
        return len(self.bias)

    @property
    def input_size(self) -> tuple[int, int, int]:
        return SHAPE

    def __call__(self, images: Tensor) -> Tensor:
        return self.scale * (images.flatten(1) @ self.weights.T + self.bias)


def linear(classes: int, seed: int = 0) -> Linear:
    rng = np.random.default_rng(seed)
    weights = torch.from_numpy(rng.standard_normal((classes, int(np.prod(SHAPE))))).float()
    return Linear(weights, -weights.sum(1) / 2)  # at the middle of the box every class is as likely


def linear_batch(model: Linear, seed: int = 1) -> AttackBatch:
    """Images whose values are at least 0.3 away from 0 and 1, with the labels that the model gives them."""
    images = torch.from_numpy(np.random.default_rng(seed).uniform(0.3, 0.7, (EXAMPLES, *SHAPE))).float()
    return AttackBatch(images, model(images).argmax(1), tuple(f"test/{i:02d}" for i in range(EXAMPLES)), 0)


def radii(model: Linear, batch: AttackBatch, norm: Norm) -> np.ndarray:
    """Distance of each image from the nearest other class, in float64."""
    weights, labels = model.weights.double().numpy(), batch.labels.numpy()
    logits = batch.images.flatten(1).double().numpy() @ weights.T + model.bias.double().numpy()
    distances = np.full((len(batch), model.num_classes), np.inf)
    for i, label in enumerate(labels):
        for other in range(model.num_classes):
            if other != label:
                distances[i, other] = (logits[i, label] - logits[i, other]) / np.linalg.norm(weights[label] - weights[other], DUAL[norm])
    return distances.min(1)


def grid(exact: np.ndarray) -> list[float]:
    """Four ε between neighbouring radii, none within the resolution of a radius."""
    low, high = np.sort(exact)[:-1], np.sort(exact)[1:]
    wide = np.flatnonzero(high / low > (1 + RESOLUTION) ** 2)
    chosen = wide[np.linspace(0, len(wide) - 1, 4).round().astype(int)]
    return [float(np.sqrt(low[i] * high[i])) for i in chosen]


def check(name: str, model: Linear, norm: Norm) -> None:
    batch = linear_batch(model)
    exact = radii(model, batch, norm)
    epsilons = grid(exact)
    assert max(epsilons) < 0.3  # so that the box never matters
    for epsilon in epsilons:
        result = attack(name, Budget()).run(Victim(model, rows=EXAMPLES), ThreatModel(norm, epsilon), batch)
        assert result.success.tolist() == (exact < epsilon).tolist(), f"ε = {epsilon}"
        assert ThreatModel(norm, epsilon).contains(result.images, batch.images).all()


@pytest.mark.slow
@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("name", TARGETED)
def test_targeted_attacks_find_just_those_within_reach_of_ten_classes(name: str, norm: Norm) -> None:
    check(name, linear(10), norm)


@pytest.mark.slow
@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("name", GRADIENT)
def test_every_gradient_attack_finds_just_those_within_reach_of_two_classes(name: str, norm: Norm) -> None:
    check(name, linear(2), norm)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-6, 1e4])
@pytest.mark.parametrize("name", TARGETED)
def test_the_scale_of_the_logits_fools_no_targeted_attack(name: str, scale: float) -> None:
    plain = linear(10)
    check(name, Linear(plain.weights, plain.bias, scale), Norm.LINF)


@pytest.mark.slow
@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("name", GRADIENT)
def test_no_attack_fells_what_theory_says_is_out_of_reach(name: str, norm: Norm) -> None:
    model = linear(10, seed=2)
    batch = linear_batch(model, seed=3)
    exact = radii(model, batch, norm)
    epsilon = float(np.median(exact))
    result = attack(name, Budget()).run(Victim(model, rows=EXAMPLES), ThreatModel(norm, epsilon), batch)
    assert not (result.success.numpy() & (exact > 1.0001 * epsilon)).any()
    assert result.success.any()
