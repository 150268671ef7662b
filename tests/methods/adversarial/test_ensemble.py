"""Attacks in a row at rising ε, and what is read off them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from simple_models import SIZE, model_of

from efficient360.core.measurement import Failure, Measurement
from efficient360.errors import PluginError
from efficient360.methods.adversarial.attack import Attack, Found, Subjects
from efficient360.methods.adversarial.ensemble import strike
from efficient360.methods.adversarial.front import Front, after_each, alone, blind_spots, combined, median, worst_case
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Victim

THREATS = [Threat(Norm.LINF, epsilon) for epsilon in (0.01, 0.02, 0.04)]


@dataclass(frozen=True)
class Scripted(Attack):
    """Fells the examples it is told to, at the ε it is told, by moving to a pixel value that the model answers wrongly."""

    name: ClassVar[str] = "scripted"
    title: ClassVar[str] = "Scripted"
    source: ClassVar[str] = ""
    gradients: ClassVar[bool] = True
    norms: ClassVar[frozenset[Norm]] = frozenset({Norm.LINF})
    from_epsilon: tuple[tuple[str, float], ...] = ()
    seen: tuple[list[tuple[float, tuple[str, ...]]], ...] = ([],)
    stray: float = 0.0

    def run(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        self.seen[0].append((threat.epsilon, subjects.ids))
        script = dict(self.from_epsilon)
        fell = torch.tensor([script.get(name, 9.0) <= threat.epsilon for name in subjects.ids])
        moved = subjects.images.clone()
        moved[fell, 0, 0, 0] += threat.epsilon + self.stray
        return Found(moved, fell)


class Liar(torch.nn.Module):
    """Class 1 where the first pixel is above 0.505, else class 0."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        over = (images[:, 0, 0, 0] > 0.505).float()
        return torch.stack([1 - over, over], 1)


def scene(n: int = 4) -> tuple[Victim, Subjects]:
    return Victim(model_of(Liar(), 2), 4), Subjects(torch.full((n, *SIZE), 0.5), torch.zeros(n, dtype=torch.int64), tuple("abcd"[:n]), 0)


def test_each_attack_meets_only_what_stands_and_a_fall_counts_for_every_larger_epsilon() -> None:
    victim, subjects = scene()
    first, second = Scripted((("a", 0.01), ("b", 0.04)), ([],)), Scripted((("c", 0.02),), ([],))
    fallen = strike(victim, THREATS, [first, second], subjects)
    assert fallen.at.tolist() == [0, 2, 1, 3]
    assert fallen.by.tolist() == [0, 0, 1, 2]
    assert first.seen[0] == [(0.01, ("a", "b", "c", "d")), (0.02, ("b", "c", "d")), (0.04, ("b", "d"))]
    assert second.seen[0] == [(0.01, ("b", "c", "d")), (0.02, ("b", "c", "d")), (0.04, ("d",))]
    assert fallen.standing(1, 0).tolist() == [False, True, True, True]
    assert fallen.standing(1, 1).tolist() == [False, True, False, True]


def test_a_fall_that_a_fresh_pass_does_not_confirm_is_none() -> None:
    victim, subjects = scene()
    unmoved = Threat(Norm.LINF, 0.004)  # too little to cross 0.505
    fallen = strike(victim, [unmoved], [Scripted((("a", 0.0),), ([],))], subjects)
    assert fallen.at.tolist() == [1, 1, 1, 1]


def test_an_image_outside_the_ball_is_an_error_that_names_the_attack() -> None:
    victim, subjects = scene()
    with pytest.raises(PluginError, match=r"scripted moved a out of the linf ball of 2.55/255") as caught:
        strike(victim, THREATS, [Scripted((("a", 0.01),), ([],), stray=0.01)], subjects)
    assert caught.value.code == "outside-threat"


def front(at: list[int], by: list[int], clean: list[bool], attacks: list[Attack]) -> Front:
    return Front(THREATS, attacks, np.array(clean), np.array(at), np.array(by))


def values(outcomes: object) -> dict[tuple[str, str], float]:
    assert outcomes is not None
    return {(str(o.conditions["epsilon"]), str(o.conditions["attack"])): o.value for o in outcomes}  # type: ignore[attr-defined]


def test_robust_accuracies_by_hand() -> None:
    from efficient360.methods.adversarial.apgd import ApgdCe, ApgdTargeted
    from efficient360.methods.adversarial.square import Square

    # one wrong when clean, one falls at each ε to another attack, one stands
    one = front([0, 0, 1, 2, 3], [3, 0, 1, 2, 3], [False, True, True, True, True], [ApgdCe(), ApgdTargeted(), Square()])
    worst = values(worst_case(one, ()))
    assert worst == {("2.55/255", "worst case"): 0.6, ("5.1/255", "worst case"): 0.4, ("10.2/255", "worst case"): 0.2}
    steps = values(after_each(one))
    assert steps["2.55/255", "apgd-ce"] == 0.6
    assert steps["5.1/255", "apgd-ce"] == 0.6
    assert steps["5.1/255", "apgd-ce + apgd-t"] == 0.4
    assert steps["10.2/255", "apgd-ce + apgd-t"] == 0.4
    (finding,) = blind_spots(one)
    assert finding.code == "masked-gradients"
    assert "felled 1 of the 2 examples" in finding.message


def test_attacks_apart_are_combined_by_the_smallest_epsilon() -> None:
    from efficient360.methods.adversarial.apgd import ApgdCe
    from efficient360.methods.adversarial.square import Square

    clean = [True] * 4
    fronts = [front([0, 2, 3, 3], [0, 0, 1, 1], clean, [ApgdCe()]), front([1, 1, 3, 2], [0, 0, 1, 0], clean, [Square()])]
    both = combined(fronts)
    assert both.at.tolist() == [0, 1, 3, 2]
    assert both.by.tolist() == [0, 1, 2, 1]
    assert values(alone(fronts[1])) == {("2.55/255", "square"): 1.0, ("5.1/255", "square"): 0.5, ("10.2/255", "square"): 0.25}


def test_the_median_by_hand_and_why_there_is_none() -> None:
    from efficient360.methods.adversarial.apgd import ApgdCe

    # of 4 right ones, 1 has fallen at .01 and 3 at .02: half lies halfway between
    found = median(front([0, 1, 1, 3, 0], [0, 0, 0, 1, 1], [True, True, True, True, False], [ApgdCe()]), 0)
    assert isinstance(found, Measurement)
    assert found.value == pytest.approx(0.015)
    assert found.n == 4
    assert found.interval is not None
    assert found.interval.low <= found.value <= found.interval.high
    beyond = median(front([3, 3, 0], [1, 1, 0], [True, True, True], [ApgdCe()]), 0)
    assert isinstance(beyond, Failure)
    assert beyond.message == "over half of the rightly named images stand at the largest ε, 10.2/255"
    none = median(front([0], [1], [False], [ApgdCe()]), 0)
    assert isinstance(none, Failure)
    assert none.message == "no image is named rightly"


def test_no_gradient_attack_no_blind_spot() -> None:
    from efficient360.methods.adversarial.square import Square

    assert not list(blind_spots(front([0, 3], [0, 1], [True, True], [Square()])))
