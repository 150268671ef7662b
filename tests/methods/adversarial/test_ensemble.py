"""Attacks run at ascending ε, the verification of what they claim, and the metrics that follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from simple_models import SIZE, model_of

from efficient360.core.measurement import Failure, Measurement
from efficient360.errors import PluginError
from efficient360.methods.adversarial.apgd import ApgdCe, ApgdTargeted
from efficient360.methods.adversarial.attack import Attack, AttackBatch, AttackResult
from efficient360.methods.adversarial.attack_curve import AttackCurve, combined, cumulative, median, per_attack, worst_case
from efficient360.methods.adversarial.ensemble import run_ensemble, run_query_attack
from efficient360.methods.adversarial.gradient_masking import black_box_findings
from efficient360.methods.adversarial.query_attack import QueryAttack, QueryResult
from efficient360.methods.adversarial.square import Square
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim

THREATS = [ThreatModel(Norm.LINF, epsilon) for epsilon in (0.01, 0.02, 0.04)]


@dataclass(frozen=True)
class Scripted(Attack):
    """Fells the examples it is told to, at the ε it is told, by moving to a pixel value that the model results wrongly."""

    name: ClassVar[str] = "scripted"
    title: ClassVar[str] = "Scripted"
    source: ClassVar[str] = ""
    gradients: ClassVar[bool] = True
    norms: ClassVar[frozenset[Norm]] = frozenset({Norm.LINF})
    from_epsilon: tuple[tuple[str, float], ...] = ()
    seen: tuple[list[tuple[float, tuple[str, ...]]], ...] = ([],)
    stray: float = 0.0

    def run(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        self.seen[0].append((threat.epsilon, batch.ids))
        script = dict(self.from_epsilon)
        success = torch.tensor([script.get(name, 9.0) <= threat.epsilon for name in batch.ids])
        perturbed = batch.images.clone()
        perturbed[success, 0, 0, 0] += threat.epsilon + self.stray
        return AttackResult(perturbed, success)


class Threshold(torch.nn.Module):
    """Class 1 where the first pixel is above 0.505, else class 0."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        over = (images[:, 0, 0, 0] > 0.505).float()
        return torch.stack([1 - over, over], 1)


def scene(n: int = 4) -> tuple[Victim, AttackBatch]:
    return Victim(model_of(Threshold(), 2), 4), AttackBatch(torch.full((n, *SIZE), 0.5), torch.zeros(n, dtype=torch.int64), tuple("abcd"[:n]), 0)


def test_each_attack_runs_on_what_is_still_robust_and_a_success_counts_for_every_larger_epsilon() -> None:
    victim, batch = scene()
    first, second = Scripted((("a", 0.01), ("b", 0.04)), ([],)), Scripted((("c", 0.02),), ([],))
    result = run_ensemble(victim, THREATS, [first, second], batch)
    assert result.epsilon_index.tolist() == [0, 2, 1, 3]
    assert result.attack_index.tolist() == [0, 0, 1, 2]
    assert first.seen[0] == [(0.01, ("a", "b", "c", "d")), (0.02, ("b", "c", "d")), (0.04, ("b", "d"))]
    assert second.seen[0] == [(0.01, ("b", "c", "d")), (0.02, ("b", "c", "d")), (0.04, ("d",))]
    assert result.robust(1, 0).tolist() == [False, True, True, True]
    assert result.robust(1, 1).tolist() == [False, True, False, True]


def test_a_success_that_a_fresh_pass_does_not_confirm_does_not_count() -> None:
    victim, batch = scene()
    unmoved = ThreatModel(Norm.LINF, 0.004)  # too little to cross 0.505
    result = run_ensemble(victim, [unmoved], [Scripted((("a", 0.0),), ([],))], batch)
    assert result.epsilon_index.tolist() == [1, 1, 1, 1]


def test_an_image_outside_the_ball_is_an_error_that_names_the_attack() -> None:
    victim, batch = scene()
    with pytest.raises(PluginError, match=r"scripted moved a out of the linf ball of 2.55/255") as caught:
        run_ensemble(victim, THREATS, [Scripted((("a", 0.01),), ([],), stray=0.01)], batch)
    assert caught.value.code == "outside-threat"


def curve(epsilon_index: list[int], attack_index: list[int], correct: list[bool], attacks: list[Attack]) -> AttackCurve:
    return AttackCurve(THREATS, attacks, np.array(correct), np.array(epsilon_index), np.array(attack_index))


def values(outcomes: object) -> dict[tuple[str, str], float]:
    assert outcomes is not None
    return {(str(o.conditions["epsilon"]), str(o.conditions["attack"])): o.value for o in outcomes}  # type: ignore[attr-defined]


def test_robust_accuracies_by_hand() -> None:
    # one misclassified when clean, one broken at each ε by another attack, one robust
    example = curve([0, 0, 1, 2, 3], [3, 0, 1, 2, 3], [False, True, True, True, True], [ApgdCe(), ApgdTargeted(), Square()])
    worst = values(worst_case(example, ()))
    assert worst == {("2.55/255", "worst case"): 0.6, ("5.1/255", "worst case"): 0.4, ("10.2/255", "worst case"): 0.2}
    steps = values(cumulative(example))
    assert steps["2.55/255", "apgd-ce"] == 0.6
    assert steps["5.1/255", "apgd-ce"] == 0.6
    assert steps["5.1/255", "apgd-ce + apgd-t"] == 0.4
    assert steps["10.2/255", "apgd-ce + apgd-t"] == 0.4
    (finding,) = black_box_findings(example)
    assert finding.code == "masked-gradients"
    assert "succeeded on 1 of the 2 examples" in finding.message


def test_separate_attacks_are_combined_by_the_smallest_epsilon() -> None:
    clean = [True] * 4
    curves = [curve([0, 2, 3, 3], [0, 0, 1, 1], clean, [ApgdCe()]), curve([1, 1, 3, 2], [0, 0, 1, 0], clean, [Square()])]
    both = combined(curves)
    assert both.epsilon_index.tolist() == [0, 1, 3, 2]
    assert both.attack_index.tolist() == [0, 1, 2, 1]
    assert values(per_attack(curves[1])) == {("2.55/255", "square"): 1.0, ("5.1/255", "square"): 0.5, ("10.2/255", "square"): 0.25}


def test_the_median_by_hand_and_why_there_is_none() -> None:
    # of 4 correct ones, 1 is broken at .01 and 3 at .02: half lies halfway between
    result = median(curve([0, 1, 1, 3, 0], [0, 0, 0, 1, 1], [True, True, True, True, False], [ApgdCe()]), 0)
    assert isinstance(result, Measurement)
    assert result.value == pytest.approx(0.015)
    assert result.n == 4
    assert result.interval is not None
    assert result.interval.low <= result.value <= result.interval.high
    beyond = median(curve([3, 3, 0], [1, 1, 0], [True, True, True], [ApgdCe()]), 0)
    assert isinstance(beyond, Failure)
    assert (beyond.code, beyond.message) == ("median-beyond", "over half of the correctly classified images are robust at the largest ε, 10.2/255")
    none = median(curve([0], [1], [False], [ApgdCe()]), 0)
    assert isinstance(none, Failure)
    assert (none.code, none.message) == ("median-beyond", "no image is classified correctly")


def test_without_a_gradient_attack_there_is_no_masking_finding() -> None:
    assert not list(black_box_findings(curve([0, 3], [0, 1], [True, True], [Square()])))


@dataclass(frozen=True)
class Claiming(QueryAttack):
    """Moves the first value of each image by the given amounts from the given ε on, and claims success."""

    name: ClassVar[str] = "claiming"
    title: ClassVar[str] = "Claiming"
    source: ClassVar[str] = ""
    gradients: ClassVar[bool] = False
    norms: ClassVar[frozenset[Norm]] = frozenset({Norm.LINF})
    moves: tuple[float, ...] = ()
    from_epsilon: tuple[float, ...] = ()

    def run(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        return self.search(victim, (threat,), batch)[0].result

    def search(self, victim: Victim, threats: Sequence[ThreatModel], batch: AttackBatch) -> tuple[QueryResult, ...]:
        results = []
        for threat in threats:
            success = torch.tensor(self.from_epsilon) <= threat.epsilon
            images = batch.images.clone()
            images[success, 0, 0, 0] += torch.tensor(self.moves)[success]
            results.append(QueryResult(AttackResult(images, success), torch.where(success, 1000 * threat.epsilon, 0).round().long()))
        return tuple(results)


def query_scene() -> tuple[Victim, list[ThreatModel], AttackBatch]:
    victim, batch = scene(3)
    return victim, THREATS, batch


def test_the_smallest_epsilon_counts_and_an_image_that_fools_nobody_does_not() -> None:
    search = run_query_attack(Claiming((0.01, 0.03, 0.004), (0.01, 0.04, 0.01)), *query_scene())
    assert search.epsilon_index.tolist() == [0, 2, 3]
    assert search.queries.tolist() == [10, 40, 0]


def test_without_any_claimed_success_every_example_is_robust() -> None:
    search = run_query_attack(Claiming((0.0,) * 3, (1.0,) * 3), *query_scene())
    assert search.epsilon_index.tolist() == [3, 3, 3]
    assert search.queries.tolist() == [0, 0, 0]


def test_an_image_of_a_query_attack_outside_the_ball_is_an_error_that_names_the_attack() -> None:
    with pytest.raises(PluginError, match=r"claiming moved b out of the linf ball of 2.55/255") as caught:
        run_query_attack(Claiming((0.01, 0.02, 0.01), (0.01, 0.01, 0.01)), *query_scene())
    assert caught.value.code == "outside-threat"
