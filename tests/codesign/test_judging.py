import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_problem import DROP, LATENCY, TOP1

from efficient360.codesign.goal import Goal, Verdict
from efficient360.codesign.judging import bar, distance, excess, hopeless, meets_all, shortfall
from efficient360.core.measurement import Interval, Measurement

FAST, GOOD = Goal(LATENCY, 0.005), Goal(DROP, 0.01)


def measured(latency: float | None = None, drop: float | None = None, half: float = 0.0) -> dict[str, Measurement]:
    found = {}
    for metric, value in ((LATENCY, latency), (DROP, drop)):
        if value is not None:
            found[metric.name] = Measurement(metric, value, 10, Interval(value - half, value + half, "wilson"))
    return found


@pytest.mark.parametrize(
    ("goal", "value", "share"),
    [
        (FAST, 0.010, 1.0),
        (FAST, 0.005, 0.0),
        (FAST, 0.0025, -0.5),
        (GOOD, 0.02, 1.0),
        (Goal(DROP, 0.0), 0.01, 1.0),
        (Goal(TOP1, 0.9), 0.8, 1.0),
        (Goal(TOP1, 1.0), 0.99, 1.0),
    ],
)
def test_excess_is_a_share_of_what_is_allowed(goal: Goal, value: float, share: float) -> None:
    assert excess(goal, value) == pytest.approx(share)


@pytest.mark.parametrize(("drop", "half", "verdict"), [(0.005, 0.004, Verdict.MET), (0.02, 0.004, Verdict.MISSED), (0.009, 0.004, Verdict.UNDECIDED)])
def test_a_goal_is_met_or_missed_only_by_the_whole_interval(drop: float, half: float, verdict: Verdict) -> None:
    assert shortfall(GOOD, measured(drop=drop, half=half)).verdict is verdict
    assert GOOD.verdict(measured(drop=drop, half=half)["top1_drop"]) is verdict


def test_what_was_not_measured_or_is_void_meets_nothing() -> None:
    void = {"top1_drop": Measurement(DROP, 0.0, 10, void="one class only")}
    assert not meets_all([GOOD], {})
    assert not meets_all([GOOD], void)
    assert distance([GOOD], void) == math.inf


def test_hopeless_is_what_comes_no_nearer_than_another() -> None:
    goals = [FAST, GOOD]
    before = bar(goals, [measured(0.012, 0.0), measured(0.007, 0.013)])  # 1.4 too slow; 0.4 too slow and 0.3 too lossy
    assert before.nearest == pytest.approx(0.4)
    assert before.at == 1
    assert before.alone == (pytest.approx(1.4), math.inf)
    assert hopeless(goals, measured(0.0125), before) is FAST
    assert hopeless(goals, measured(0.0119), before) is None  # a perfect one would let latency alone give way less
    assert hopeless(goals, measured(0.0119, 0.02), before) is FAST
    assert hopeless(goals, measured(0.004, 0.02), before) is None  # the drop alone would give way: nobody did that yet
    assert hopeless(goals, measured(0.0065), before) is None
    met = bar(goals, [measured(0.0045, 0.002)])
    assert hopeless(goals, measured(0.0051), met) is FAST
    assert hopeless(goals, measured(0.0049), met) is None


@given(st.floats(0.001, 0.1), st.floats(-0.1, 0.1), st.floats(0, 0.02), st.floats(0.001, 0.1), st.floats(0, 0.05), st.floats(0, 0.05))
def test_a_stricter_limit_is_never_met_more(latency: float, drop: float, half: float, limit: float, loss: float, less: float) -> None:
    values = measured(latency, drop, half)
    loose, strict = [Goal(LATENCY, limit), Goal(DROP, loss)], [Goal(LATENCY, limit), Goal(DROP, loss - less)]
    assert meets_all(loose, values) or not meets_all(strict, values)
