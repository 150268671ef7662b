import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from toy_problem import KNOBS, Toy

from efficient360.codesign.failing import AVOIDED, log_success
from efficient360.codesign.goal import Goal
from efficient360.codesign.optuna_model import modelled
from efficient360.codesign.space import Candidate, Knob, Space
from efficient360.codesign.surrogate import Grid, fit
from efficient360.codesign.surrogate_model import expected_best
from efficient360.codesign.trial import Origin, State, Trial
from efficient360.codesign.view import Aims, View, aims
from efficient360.core.measurement import Failure

GRID = Grid(KNOBS)


def candidates(n: int, seed: int) -> list[Candidate]:
    rng = np.random.default_rng(seed)
    return [Candidate({knob.name: knob.values[int(rng.integers(len(knob.values)))] for knob in KNOBS}) for _ in range(n)]


def alike(knob: Knob, a: Candidate, b: Candidate) -> float:
    i, j = knob.values.index(a[knob.name]), knob.values.index(b[knob.name])
    return math.exp(-abs(i - j) / (len(knob.values) - 1)) if knob.ordered else float(i == j)


def test_likeness_counts_knobs_and_pairs_of_knobs() -> None:
    some = candidates(6, 0)
    at = GRID.indices(some)
    singles, pairs = GRID.likeness(at, at)
    for (i, a), (j, b) in itertools.product(enumerate(some), repeat=2):
        each = [alike(knob, a, b) for knob in KNOBS]
        assert singles[i, j] == pytest.approx(sum(each) / len(each))
        both = [x * y for x, y in itertools.combinations(each, 2)]
        assert pairs[i, j] == pytest.approx(sum(both) / len(both))
    assert np.linalg.eigvalsh(singles + pairs).min() > -1e-9


def test_predictions_are_those_of_the_normal_equations() -> None:
    some, other = candidates(20, 1), candidates(5, 2)
    at, elsewhere = GRID.indices(some), GRID.indices(other)
    values = np.random.default_rng(3).standard_normal(20)
    process = fit(GRID, at, values)
    kernel = lambda a, b: 1 + process.single * GRID.likeness(a, b)[0] + (1 - process.single) * GRID.likeness(a, b)[1]  # noqa: E731
    covariance = process.factor @ process.factor.T
    noise = float((covariance - kernel(at, at))[0, 0])
    assert np.allclose(covariance, kernel(at, at) + noise * np.eye(20))
    cross = kernel(elsewhere, at)
    mean, deviation = process.predict(elsewhere)
    assert np.allclose(mean, values.mean() + values.std() * cross @ np.linalg.solve(covariance, (values - values.mean()) / values.std()))
    variance = 2 - np.einsum("ij,ji->i", cross, np.linalg.solve(covariance, cross.T))
    assert np.allclose(deviation, values.std() * np.sqrt(variance))


def test_effects_that_add_up_are_learnt_from_few() -> None:
    effects = [np.random.default_rng(index).standard_normal(len(knob.values)) for index, knob in enumerate(KNOBS)]

    def value(at: np.ndarray) -> np.ndarray:
        return np.sum([effect[at[:, column]] for column, effect in enumerate(effects)], axis=0)

    at, elsewhere = GRID.indices(candidates(60, 4)), GRID.indices(candidates(60, 5))
    mean, _ = fit(GRID, at, value(at)).predict(elsewhere)
    assert np.corrcoef(mean, value(elsewhere))[0, 1] > 0.97


def trial(settings: dict[str, str], state: State) -> Trial:
    return Trial(0, Candidate(settings), Origin.MODEL, state)


def test_what_failed_together_three_times_is_avoided() -> None:
    failed = [trial({"runtime": "a", "precision": "w4", "other": other}, State.FAILED) for other in "xyz"]
    fine = [trial({"runtime": "a", "precision": "w8", "other": "x"}, State.COMPLETE), trial({"runtime": "b", "precision": "w4", "other": "x"}, State.COMPLETE)]
    asked = [Candidate({"runtime": r, "precision": p, "other": "v"}) for r, p in (("a", "w4"), ("a", "w8"), ("b", "w4"))]
    assert log_success(asked, [*failed, *fine]) == [AVOIDED, 0.0, 0.0]
    assert log_success(asked, failed[:1]) == [math.log(0.5), 0.0, 0.0]
    assert log_success(asked, [*failed, trial({"runtime": "a", "precision": "w4", "other": "u"}, State.COMPLETE)])[0] == pytest.approx(math.log(1 - 2.5 / 4))


def view_of(problem: Toy, tried: list[Candidate], seed: int) -> View:
    what: Aims = aims(problem, [Goal(problem.cost_metrics[0], 0.004), Goal(problem.quality_metrics[0], 0.015)])
    trials = []
    for number, candidate in enumerate(tried):
        cost = problem.cost(candidate)
        if isinstance(cost, Failure):
            trials.append(Trial(number, candidate, Origin.RANDOM, State.FAILED, reason="x", failure=cost))
        else:
            trials.append(Trial(number, candidate, Origin.RANDOM, State.COMPLETE, cost, problem._quality(candidate, 0.1, 0.0)))
    return View(Space(KNOBS, problem.rules), what, tuple(trials), seed)


@pytest.mark.parametrize("proposer", [expected_best, modelled])
def test_proposals_are_new_allowed_and_the_same_for_the_same_seed(proposer: Callable[[View], Candidate | None]) -> None:
    problem = Toy()
    tried = list(dict.fromkeys(candidate for candidate in candidates(25, 6) if not problem.space.excluded(candidate)))
    proposals = [proposer(view_of(problem, tried, seed)) for seed in (1, 1, 2)]
    assert proposals[0] == proposals[1]
    for proposal in proposals:
        assert proposal is not None
        assert proposal not in tried
        assert problem.space.excluded(proposal) == ""


def test_the_process_proposes_what_meets_the_goals() -> None:
    problem = Toy()
    tried = list(dict.fromkeys(candidate for candidate in candidates(60, 7) if not problem.space.excluded(candidate)))
    proposal = expected_best(view_of(problem, tried, 1))
    assert proposal is not None
    seconds, _, lost = problem.truth(proposal)
    assert seconds < 0.006
    assert lost < 2.5
