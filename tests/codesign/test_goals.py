import pytest
from toy_problem import DROP, LATENCY, SIZE, TOP1

from efficient360.codesign.goal import Goal
from efficient360.codesign.goals import merge_goals, parse_goal
from efficient360.codesign.words import goal_text
from efficient360.errors import SettingsError

METRICS = (LATENCY, SIZE, DROP, TOP1)


@pytest.mark.parametrize(
    ("text", "goal", "shown"),
    [
        ("latency_p50<10ms", Goal(LATENCY, 0.01), "Median latency ≤ 10 ms"),
        ("latency_p50 <= 10 ms", Goal(LATENCY, 0.01), "Median latency ≤ 10 ms"),
        ("latency-p50≤2.50ms", Goal(LATENCY, 0.0025), "Median latency ≤ 2.5 ms"),
        ("top1>=97%", Goal(TOP1, 0.97), "Top-1 accuracy ≥ 97 %"),
        ("top1_drop<1pt", Goal(DROP, 0.01), "Top-1 drop ≤ 1 pt"),
        ("top1_drop<-0.25pt", Goal(DROP, -0.0025), "Top-1 drop ≤ −0.25 pt"),
        ("artefact_bytes<2MB", Goal(SIZE, 2e6), "Artefact size ≤ 2 MB"),
    ],
)
def test_goals(text: str, goal: Goal, shown: str) -> None:
    assert parse_goal(text, METRICS) == goal
    assert goal_text(goal) == shown


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("latncy_p50<10ms", "unknown-metric", "latency_p50"),
        ("latency<10ms", "unknown-metric", "latency_p50"),
        ("latency_p50>10ms", "bad-goal", "latency_p50<=10ms"),
        ("top1<97%", "bad-goal", "top1>=97%"),
        ("top1=97%", "bad-goal", "top1>=97%"),
        ("fast", "bad-goal", "latency_p50<10ms"),
        ("latency_p50<", "bad-goal", "latency_p50<10ms"),
        ("<5ms", "bad-goal", "latency_p50<10ms"),
        ("latency_p50<10", "bad-quantity", "10ms"),
    ],
)
def test_what_is_no_goal(text: str, code: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_goal(text, METRICS)
    assert caught.value.code == code
    assert hint in caught.value.hint


def test_the_strictest_limit_of_a_metric_counts() -> None:
    goals = [Goal(LATENCY, 0.01), Goal(TOP1, 0.9), Goal(LATENCY, 0.005), Goal(TOP1, 0.97), Goal(TOP1, 0.95)]
    assert merge_goals(goals) == (Goal(LATENCY, 0.005), Goal(TOP1, 0.97))
