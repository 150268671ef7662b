"""The search over a problem of arithmetic, whose best candidates are known by trying all."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from toy_problem import DROP, KNOBS, LATENCY, SIZE, TOP1, Toy

from efficient360.codesign.budget import Budget, End
from efficient360.codesign.finish import find, finish
from efficient360.codesign.goal import Goal
from efficient360.codesign.goals import parse_goal
from efficient360.codesign.judging import meets_all
from efficient360.codesign.problem import Effort, Measured
from efficient360.codesign.result_json import to_json
from efficient360.codesign.sampler import Sampler
from efficient360.codesign.search import search
from efficient360.codesign.space import Candidate, Knob, Space
from efficient360.codesign.trial import Origin, State, Trial
from efficient360.codesign.trial_log import TrialLog
from efficient360.codesign.view import Aims, front_of
from efficient360.codesign.warm_start import single_steps
from efficient360.core.measurement import Better, Failure, Measurement, Metric
from efficient360.errors import DeviceError, SettingsError

METRICS: Final = (LATENCY, SIZE, DROP, TOP1)


def goals(*texts: str) -> list[Goal]:
    return [parse_goal(text, METRICS) for text in texts]


EASY: Final = ("latency_p50<6ms", "top1_drop<1pt")
HARD: Final = ("latency_p50<3.5ms", "top1_drop<1.5pt", "artefact_bytes<6MB")
IMPOSSIBLE: Final = ("latency_p50<0.5ms", "top1_drop<0.5pt")


def feasible(problem: Toy, wanted: list[Goal]) -> list[Candidate]:
    """By trying all."""
    found = []
    for candidate in problem.space.all():
        seconds, size, lost = problem.truth(candidate)
        values = {"latency_p50": 1.01 * seconds, "artefact_bytes": size, "top1_drop": (lost + problem.half) / 100}
        if not problem.fails(candidate) and all(values[goal.metric.name] <= goal.limit for goal in wanted):
            found.append(candidate)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_hard_specification_is_met(seed: int, tmp_path: Path) -> None:
    problem = Toy()
    wanted = goals(*HARD)
    possible = feasible(problem, wanted)
    assert 0 < len(possible) < 0.02 * problem.space.size
    result = find(problem, wanted, Budget(trials=60), TrialLog(tmp_path / "trials.jsonl"), seed)
    assert result.end is End.GOALS_MET
    assert result.winner is not None
    assert result.trials[result.winner].candidate in possible
    assert meets_all(wanted, result.confirmed[-1].measured)
    assert result.misses == ()
    assert result.binding is None


@pytest.mark.slow
def test_it_goes_on_to_the_fastest_that_meets_the_goals(tmp_path: Path) -> None:
    problem = Toy()
    wanted = goals(*HARD)
    best = min(feasible(problem, wanted), key=lambda candidate: problem.truth(candidate)[0])
    result = find(problem, wanted, Budget(trials=60, keep_going=True), TrialLog(tmp_path / "trials.jsonl"))
    assert result.winner is not None
    assert problem.truth(result.trials[result.winner].candidate)[0] == pytest.approx(problem.truth(best)[0], rel=0.05)


@pytest.mark.slow
def test_without_a_goal_on_quality_the_best_quality_wins(tmp_path: Path) -> None:
    problem = Toy()
    wanted = goals("latency_p50<6ms")
    least = min(problem.truth(candidate)[2] for candidate in feasible(problem, wanted))
    result = find(problem, wanted, Budget(trials=50, keep_going=True), TrialLog(tmp_path / "trials.jsonl"))
    assert result.winner is not None
    assert problem.truth(result.trials[result.winner].candidate)[2] == pytest.approx(least, abs=0.01)


@pytest.mark.slow
def test_nothing_is_measured_twice_tried_twice_or_tried_against_the_rules(tmp_path: Path) -> None:
    problem = Toy()
    found = search(problem, goals(*IMPOSSIBLE), Budget(trials=70, patience=100), TrialLog(tmp_path / "trials.jsonl"))
    assert max(Counter(problem.asked).values()) == 1
    assert max(Counter(trial.candidate for trial in found.trials).values()) == 1
    assert not any(problem.space.excluded(trial.candidate) for trial in found.trials)
    assert [trial.number for trial in found.trials] == list(range(len(found.trials)))


def test_cost_comes_before_quality_and_few_examples_before_all(tmp_path: Path) -> None:
    problem = Toy()
    found = search(problem, goals(*IMPOSSIBLE), Budget(trials=50), TrialLog(tmp_path / "trials.jsonl"))
    for trial in found.trials:
        order = [kind for kind, candidate in problem.asked if candidate == trial.candidate]
        whole = ["cost", "full"] if trial.origin is Origin.ORIGINAL else ["cost", "quick", "full"]
        assert order == whole[: len(order)]
        assert (trial.state is State.COMPLETE) is (order == whole)
        assert bool(trial.reason) is (trial.state is not State.COMPLETE)
    assert sum(trial.state is State.DROPPED for trial in found.trials) > 10


def test_originals_in_every_runtime_come_first_then_single_steps(tmp_path: Path) -> None:
    found = search(Toy(), goals(*IMPOSSIBLE), Budget(trials=30), TrialLog(tmp_path / "trials.jsonl"))
    assert [trial.candidate["runtime"] for trial in found.trials[:3]] == ["litert", "openvino", "onnxruntime"]
    assert all(trial.origin is Origin.ORIGINAL for trial in found.trials[:3])
    steps = [trial for trial in found.trials if trial.origin is Origin.STEP]
    original = found.trials[0].candidate
    assert [trial.number for trial in steps] == list(range(3, 3 + len(steps)))
    assert all(sum(original[knob.name] != trial.candidate[knob.name] for knob in KNOBS) == 1 for trial in steps)


def test_a_step_that_is_excluded_makes_room_for_the_next_of_its_knob() -> None:
    space = Space(KNOBS, (lambda candidate: "not here" if candidate["precision"] == "int8" else "",))
    steps = single_steps(space, space.original)
    assert [steps[0]["precision"], *(step["precision"] for step in steps[1:])] == ["int4"] + ["fp32"] * (len(steps) - 1)


def test_failed_trials_are_on_no_front_and_in_no_ranking(tmp_path: Path) -> None:
    problem = Toy(fails=lambda candidate: candidate["precision"] == "int8")
    result = finish(problem, search(problem, goals(*EASY), Budget(trials=30), TrialLog(tmp_path / "t.jsonl")), TrialLog(tmp_path / "t.jsonl"))
    failed = {trial.number for trial in result.trials if trial.state is State.FAILED}
    assert failed
    assert not failed & {*result.front, *result.ranking, *result.misses}
    assert all(result.trials[number].failure is not None for number in failed)


@pytest.mark.slow
def test_dominated_trials_are_never_on_the_front(tmp_path: Path) -> None:
    result = find(Toy(noise=0.05), goals(*HARD), Budget(trials=60, keep_going=True), TrialLog(tmp_path / "trials.jsonl"))
    kept = [t for t in result.trials if t.state is State.COMPLETE and t.measured["artefact_bytes"].value <= 6e6]
    points = {t.number: (t.measured["latency_p50"].value, t.measured["top1_drop"].value) for t in kept}
    beaten = {n for n, p in points.items() if any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points.values())}
    assert set(result.front) == set(points) - beaten


@pytest.mark.parametrize(
    ("budget", "end"),
    [(Budget(trials=12), End.TRIALS), (Budget(patience=4), End.PLATEAU), (Budget(seconds=1e-9), End.TIME)],
)
def test_how_a_search_ends(budget: Budget, end: End, tmp_path: Path) -> None:
    found = search(Toy(), goals(*IMPOSSIBLE), budget, TrialLog(tmp_path / "trials.jsonl"))
    assert found.end is end
    assert budget.trials is None or len(found.trials) == budget.trials


class Small(Toy):
    """Six candidates, of which two are excluded."""

    @property
    def space(self) -> Space:
        knobs = (KNOBS[0], Knob("precision", "Precision", ("fp32", "int4")), *(Knob(k.name, k.title, k.values[:1], k.ordered) for k in KNOBS[2:]))
        return Space(knobs, (lambda candidate: "not here" if candidate["precision"] == "int4" and candidate["runtime"] != "openvino" else "",))


@pytest.mark.parametrize("sampler", list(Sampler))
def test_a_small_space_is_tried_out(sampler: Sampler, tmp_path: Path) -> None:
    problem = Small()
    found = search(problem, goals(*IMPOSSIBLE), Budget(), TrialLog(tmp_path / "trials.jsonl"), sampler=sampler)
    assert found.end is End.EXHAUSTED
    assert {trial.candidate for trial in found.trials} == set(problem.space.all())


@pytest.mark.slow
def test_ten_times_stopped_anywhere_it_makes_the_same_trials(tmp_path: Path) -> None:
    """Stopped by an error in the middle of any question, with the last line of the log torn besides."""
    wanted, budget = goals(*HARD), Budget(trials=45, keep_going=True)
    whole = find(Toy(noise=0.02), wanted, budget, TrialLog(tmp_path / "whole.jsonl"), seed=3)
    path = tmp_path / "stopped.jsonl"
    questions = sum(row.count('"kind":"cost"') + row.count('"kind":"quality"') for row in (tmp_path / "whole.jsonl").read_text().splitlines())
    answered = 0
    for stop in range(1, 11):
        problem = Stopping(noise=0.02, left=questions * stop // 11 - answered)
        with pytest.raises(DeviceError):
            find(problem, wanted, budget, TrialLog(path), seed=3)
        answered += len(problem.asked) - 1
        with path.open("ab") as file:
            file.write(path.read_bytes().splitlines()[-1][: 20 + stop])  # half a line, as a kill leaves it
    again = Toy(noise=0.02)
    last = find(again, wanted, budget, TrialLog(path), seed=3)
    assert answered + len(again.asked) == questions
    assert [(t.candidate, t.origin, t.state, t.measured) for t in last.trials] == [(t.candidate, t.origin, t.state, t.measured) for t in whole.trials]
    assert (last.winner, last.front, last.ranking) == (whole.winner, whole.front, whole.ranking)


class Stopping(Toy):
    """Its device is gone after so many questions."""

    def __init__(self, noise: float, left: int) -> None:
        super().__init__(noise=noise)
        self.left = left

    def _ask(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise DeviceError("device-gone", "the device does not answer any more", "connect it, and run the same command again")

    def cost(self, candidate: Candidate) -> Measured | Failure:
        answer = super().cost(candidate)
        self._ask()
        return answer

    def quality(self, candidate: Candidate, effort: Effort) -> Measured | Failure:
        answer = super().quality(candidate, effort)
        self._ask()
        return answer


KILLED = """
import sys, os, signal
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_codesign_search import HARD, Toy, goals
from efficient360.codesign.budget import Budget
from efficient360.codesign.finish import find
from efficient360.codesign.trial_log import TrialLog
left = int(sys.argv[3])
class Dying(Toy):
    def cost(self, candidate):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().cost(candidate)
find(Dying(noise=0.02), goals(*HARD), Budget(trials=45, keep_going=True), TrialLog(Path(sys.argv[2])), seed=3)
"""


@pytest.mark.exhaustive
def test_ten_times_killed_it_makes_the_same_trials(tmp_path: Path) -> None:
    wanted, budget = goals(*HARD), Budget(trials=45, keep_going=True)
    whole = find(Toy(noise=0.02), wanted, budget, TrialLog(tmp_path / "whole.jsonl"), seed=3)
    path = tmp_path / "killed.jsonl"
    for _ in range(10):
        command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(path), "3"]
        done = subprocess.run(command, env=os.environ, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    last = find(Toy(noise=0.02), wanted, budget, TrialLog(path), seed=3)
    assert [(t.candidate, t.state, t.measured) for t in last.trials] == [(t.candidate, t.state, t.measured) for t in whole.trials]
    assert last.winner == whole.winner


@pytest.mark.slow
def test_other_goals_take_up_what_is_known(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "trials.jsonl")
    find(Toy(), goals(*HARD), Budget(trials=40, keep_going=True), log)
    problem = Toy()
    result = find(problem, goals("latency_p50<4.5ms", "top1_drop<1.5pt"), Budget(trials=40), log)
    assert result.winner is not None
    assert problem.asked == []  # answered by what the first search measured
    assert all(trial.origin is Origin.EARLIER for trial in result.trials)


def test_another_problem_takes_up_nothing(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "trials.jsonl")
    search(Toy(), goals(*IMPOSSIBLE), Budget(trials=8), log)
    other = Toy(salt="other weights")
    found = search(other, goals(*IMPOSSIBLE), Budget(trials=8), log)
    assert len({candidate for kind, candidate in other.asked if kind == "cost"}) == len(found.trials) == 8


def test_a_damaged_log_costs_what_it_held_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    first = search(Toy(), goals(*IMPOSSIBLE), Budget(trials=12), TrialLog(path))
    lines = path.read_text().splitlines()
    costs = [i for i, line in enumerate(lines) if json.loads(line)["kind"] == "cost"]
    lines[costs[2]] = lines[costs[2]].replace('"value":', '"value":"x",')
    lines[costs[4]] = lines[costs[4]][:40]
    lines.insert(0, '{"kind": 3}')
    path.write_text("\n".join(lines) + "\n")
    problem = Toy()
    again = search(problem, goals(*IMPOSSIBLE), Budget(trials=12), TrialLog(path))
    assert len(problem.asked) == 2
    assert [(t.candidate, t.state, t.measured) for t in again.trials] == [(t.candidate, t.state, t.measured) for t in first.trials]


@pytest.mark.slow
def test_the_seed_decides(tmp_path: Path) -> None:
    runs = [
        [t.candidate for t in search(Toy(), goals(*IMPOSSIBLE), Budget(trials=25), TrialLog(tmp_path / f"{i}.jsonl"), seed).trials]
        for i, seed in enumerate((1, 1, 2))
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize(("wanted", "code"), [([], "no-goals"), ([Goal(Metric("ece", LATENCY.unit, Better.LOWER, ""), 1.0)], "unknown-metric")])
def test_goals_that_can_not_be(wanted: list[Goal], code: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        search(Toy(), wanted, Budget(trials=5), TrialLog(tmp_path / "trials.jsonl"))
    assert caught.value.code == code
    assert not (tmp_path / "trials.jsonl").exists()


@pytest.mark.parametrize("settings", [{"seconds": 0.0}, {"trials": 0}, {"patience": 0}])
def test_budgets_that_can_not_be(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        Budget(**settings)
    assert caught.value.code == "bad-budget"


def test_a_front_keeps_the_goals_on_other_metrics() -> None:
    def trial(number: int, ms: float, lost: float, size: int) -> Trial:
        values = {LATENCY.name: Measurement(LATENCY, ms / 1e3), SIZE.name: Measurement(SIZE, size), DROP.name: Measurement(DROP, lost / 100)}
        return Trial(number, Candidate({"a": number}), Origin.MODEL, State.COMPLETE, values)

    trials = [trial(0, 1, 5, 100), trial(1, 2, 2, 10), trial(2, 3, 1, 10), trial(3, 4, 1.5, 10)]
    aims = Aims((Goal(SIZE, 50),), LATENCY, DROP)
    assert [t.number for t in front_of(trials, LATENCY, DROP, aims.side)] == [1, 2]
    assert [t.number for t in front_of(trials, LATENCY, DROP)] == [0, 1, 2]
    assert [t.number for t in front_of(trials, LATENCY, DROP, [Goal(SIZE, 5)])] == [0, 1, 2]  # where none keeps them, of all


def test_a_result_is_plain_data(tmp_path: Path) -> None:
    result = find(Toy(), goals(*EASY), Budget(trials=20), TrialLog(tmp_path / "trials.jsonl"))
    assert json.loads(json.dumps(to_json(result), allow_nan=False))["winner"] == result.winner
