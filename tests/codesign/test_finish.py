"""The end of a search: what is measured again, in which order, and what is told where nothing meets the goals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from toy_problem import DROP, KNOBS, LATENCY, SIZE, TOP1, Toy

from efficient360.codesign import telling
from efficient360.codesign.budget import Budget, End
from efficient360.codesign.finish import MISSES, find
from efficient360.codesign.goals import parse_goal
from efficient360.codesign.judging import distance, meets_all
from efficient360.codesign.problem import Confirmation, Confirmed
from efficient360.codesign.relaxing import binding, relaxations
from efficient360.codesign.space import Candidate
from efficient360.codesign.trial_log import TrialLog
from efficient360.core.measurement import Failure, Interval, Measurement, Status

METRICS: Final = (LATENCY, SIZE, DROP, TOP1)
HARD = [parse_goal(text, METRICS) for text in ("latency_p50<4ms", "top1_drop<1.5pt")]
IMPOSSIBLE = [parse_goal(text, METRICS) for text in ("latency_p50<0.5ms", "top1_drop<0.5pt")]


@pytest.mark.slow
def test_what_is_not_confirmed_is_no_winner_and_the_search_goes_on(tmp_path: Path) -> None:
    """On the final examples everything loses half a point more: what only just met the goals does not."""
    problem = Toy(final_shift=0.5)
    result = find(problem, HARD, Budget(trials=60), TrialLog(tmp_path / "trials.jsonl"))
    sure = [meets_all(HARD, confirmed.measured) for confirmed in result.confirmed]
    if result.winner is not None:
        assert sure == [False] * (len(sure) - 1) + [True]
        assert problem.truth(result.trials[result.winner].candidate)[2] + 0.5 < 1.5
    else:
        assert not any(sure)
        assert result.end is not End.GOALS_MET


@pytest.mark.slow
def test_a_winner_is_confirmed_alone_and_misses_together(tmp_path: Path) -> None:
    met, missed = Toy(), Toy()
    assert find(met, HARD, Budget(trials=60), TrialLog(tmp_path / "met.jsonl")).winner is not None
    assert [len(together) for together in met.confirmed] == [1]
    result = find(missed, IMPOSSIBLE, Budget(trials=30), TrialLog(tmp_path / "missed.jsonl"))
    assert [len(together) for together in missed.confirmed] == [MISSES]
    assert result.winner is None
    assert len(result.misses) == MISSES
    distances = [distance(IMPOSSIBLE, telling.best_known(result, number)) for number in result.misses]
    assert distances == sorted(distances)
    assert min(distances) > 0


def test_the_end_is_not_measured_twice(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "trials.jsonl")
    first = find(Toy(), IMPOSSIBLE, Budget(trials=20), log)
    problem = Toy()
    assert find(problem, IMPOSSIBLE, Budget(trials=20), log) == first
    assert problem.confirmed == []
    assert problem.asked == []


class Unconfirmed(Toy):
    """What it found can't be measured again."""

    def confirm(self, candidates: Sequence[Candidate]) -> Confirmation:
        failure = Failure(Status.FAILED, "worker-died", "the runtime crashed")
        return Confirmation(tuple(Confirmed(candidate, {}, failure) for candidate in candidates))


def test_what_can_not_be_measured_again_wins_nothing(tmp_path: Path) -> None:
    result = find(Unconfirmed(), HARD, Budget(trials=25), TrialLog(tmp_path / "trials.jsonl"))
    assert result.winner is None
    assert result.misses == ()
    assert result.binding is None
    assert "no candidate could be measured" in telling.headline(result)


def of(ms: float, lost: float) -> dict[str, Measurement]:
    drop = Measurement(DROP, lost / 100, 100, Interval((lost - 0.25) / 100, (lost + 0.25) / 100, "newcombe"))
    return {LATENCY.name: Measurement(LATENCY, ms / 1e3), DROP.name: drop}


def test_what_giving_way_buys_by_hand() -> None:
    goals = [parse_goal("latency_p50<5ms", METRICS), parse_goal("top1_drop<1pt", METRICS)]
    trials = [(0, of(12, 0.0)), (1, of(6.2, 0.5)), (2, of(4, 3.0)), (3, of(4.5, 2.5)), (4, of(5.5, 0.9))]  # of the last, the interval reaches over 1 point
    latency, drop = relaxations(goals, trials)
    assert (latency.limit, latency.trial) == (0.0062, 1)
    assert (drop.limit, drop.trial) == (pytest.approx(0.0275), 3)
    assert binding(goals, of(6.2, 0.5)) is goals[0]
    assert binding(goals, of(5.5, 2.0)) is goals[1]
    assert relaxations([parse_goal("latency_p50<5ms", METRICS), parse_goal("artefact_bytes<1MB", METRICS)], trials)[0].limit is None


@pytest.mark.slow
def test_the_relaxation_is_told_with_the_limit_and_the_candidate(tmp_path: Path) -> None:
    wanted = [parse_goal(text, METRICS) for text in ("latency_p50<2ms", "top1_drop<1.5pt")]
    result = find(Toy(), wanted, Budget(trials=50), TrialLog(tmp_path / "trials.jsonl"))
    latency = next(relaxation for relaxation in result.relaxations if relaxation.goal.metric == LATENCY)
    assert latency.trial is not None
    assert latency.limit is not None
    told = telling.relaxation_text(result, latency)
    assert told.startswith(f"Median latency at {1e3 * latency.limit:.3g}"[:25])
    assert "instead of 2 ms" in told
    assert f"(trial {latency.trial + 1})" in told
    met = [t for t in result.trials if t.quality and distance(wanted[1:], telling.best_known(result, t.number)) <= 0]
    assert latency.limit == min(telling.best_known(result, t.number)["latency_p50"].interval.high for t in met)


def test_names_of_candidates() -> None:
    from efficient360.codesign.words import candidate_text

    original = {knob.name: knob.values[0] for knob in KNOBS}
    assert candidate_text(Candidate(original), KNOBS) == "litert fp32"
    assert candidate_text(Candidate({**original, "dropped_blocks": 2, "mlp_kept": "50 %"}), KNOBS) == "litert fp32, blocks dropped 2, MLP width kept 50 %"
    assert candidate_text(Candidate({"depth": 4}), [KNOBS[3].__class__("depth", "Depth", (4, 2))]) == "as it came"


@pytest.mark.slow
def test_a_search_whose_winners_are_never_confirmed_comes_to_an_end(tmp_path: Path) -> None:
    problem = Toy(final_shift=5.0)
    told: list[Candidate] = []
    result = find(problem, HARD, Budget(trials=40), TrialLog(tmp_path / "trials.jsonl"), on_confirmed=lambda confirmed: told.append(confirmed.candidate))
    assert result.winner is None
    assert result.end is not End.GOALS_MET
    assert len(told) == len(set(told)) == len(result.confirmed)
    assert len(result.misses) == MISSES
