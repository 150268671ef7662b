"""What of an attack's claims is believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from simple_models import SIZE, model_of
from torch import Tensor, nn

from efficient360.errors import PluginError
from efficient360.methods.adversarial.attack import Found, Subjects
from efficient360.methods.adversarial.querying import Answered, QueryAttack, felled
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Victim

THREATS = [Threat(Norm.LINF, epsilon) for epsilon in (0.01, 0.02, 0.04)]


@dataclass(frozen=True)
class Claiming(QueryAttack):
    """Moves the first value of each image by what it is told, once ε allows it, and claims a fall."""

    name: ClassVar[str] = "claiming"
    title: ClassVar[str] = "Claiming"
    source: ClassVar[str] = ""
    gradients: ClassVar[bool] = False
    norms: ClassVar[frozenset[Norm]] = frozenset({Norm.LINF})
    moves: tuple[float, ...] = ()
    from_epsilon: tuple[float, ...] = ()

    def run(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        return self.search(victim, (threat,), subjects)[0].found

    def search(self, victim: Victim, threats: Sequence[Threat], subjects: Subjects) -> tuple[Answered, ...]:
        answers = []
        for threat in threats:
            fell = torch.tensor(self.from_epsilon) <= threat.epsilon
            images = subjects.images.clone()
            images[fell, 0, 0, 0] += torch.tensor(self.moves)[fell]
            answers.append(Answered(Found(images, fell), torch.where(fell, 1000 * threat.epsilon, 0).round().long()))
        return tuple(answers)


class Over(nn.Module):
    """Class 1 where the first value is above 0.505, else class 0."""

    def forward(self, images: Tensor) -> Tensor:
        over = (images[:, 0, 0, 0] > 0.505).float()
        return torch.stack([1 - over, over], 1)


def scene() -> tuple[Victim, Subjects]:
    return Victim(model_of(Over(), 2), 2), Subjects(torch.full((3, *SIZE), 0.5), torch.zeros(3, dtype=torch.int64), tuple("abc"), 0)


def test_the_smallest_epsilon_counts_and_an_image_that_fools_nobody_is_no_fall() -> None:
    found = felled(Claiming((0.01, 0.03, 0.004), (0.01, 0.04, 0.01)), *_with_threats())
    assert found.at.tolist() == [0, 2, 3]
    assert found.queries.tolist() == [10, 40, 0]


def test_without_any_claim_everybody_stands() -> None:
    found = felled(Claiming((0.0,) * 3, (1.0,) * 3), *_with_threats())
    assert found.at.tolist() == [3, 3, 3]
    assert found.queries.tolist() == [0, 0, 0]


def test_an_image_outside_the_ball_is_an_error_that_names_the_attack() -> None:
    with pytest.raises(PluginError, match=r"claiming moved b out of the linf ball of 2.55/255") as caught:
        felled(Claiming((0.01, 0.02, 0.01), (0.01, 0.01, 0.01)), *_with_threats())
    assert caught.value.code == "outside-threat"


def _with_threats() -> tuple[Victim, list[Threat], Subjects]:
    victim, subjects = scene()
    return victim, THREATS, subjects
