"""When the lines of progress tell the time left, and what they tell, on a clock moved by hand."""

import io

import pytest

from efficient360.execution import progress
from efficient360.execution.events import Progress


def lines(monkeypatch: pytest.MonkeyPatch, events: list[tuple[float, int]], total: int, work: str = "latency") -> list[str]:
    """What is printed for ``(seconds, steps done)`` of one work."""
    now, stream = [0.0], io.StringIO()
    monkeypatch.setattr("efficient360.execution.progress.time.monotonic", lambda: now[0])
    with progress.listener(stream) as show:
        for seconds, done in events:
            now[0] = seconds
            show(Progress(work, done, total))
    return stream.getvalue().splitlines()


def test_the_first_step_says_nothing_of_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(monkeypatch, [(0, 0), (11, 1)], 14) == ["latency: 1/14"]


def test_the_pace_is_that_after_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven seconds for the first step and one for each of the others: not two minutes, but seven seconds are left."""
    assert lines(monkeypatch, [(0, 0), (11, 1), *((11 + i, 1 + i) for i in range(1, 11))], 18) == ["latency: 1/18", "latency: 11/18, about 7.0 s left"]


def test_a_twentieth_of_many_steps_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(monkeypatch, [(0, 0), (1, 64), (11, 100), (22, 128)], 1000) == ["latency: 100/1000", "latency: 128/1000, about 4 min 46 s left"]


def test_each_work_has_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now, stream = [0.0], io.StringIO()
    monkeypatch.setattr("efficient360.execution.progress.time.monotonic", lambda: now[0])
    with progress.listener(stream) as show:
        for seconds, work, done in ((0, "a", 0), (1, "a", 1), (12, "a", 6), (13, "b", 0), (30, "b", 1)):
            now[0] = seconds
            show(Progress(work, done, 10))
    assert stream.getvalue().splitlines() == ["a: 6/10, about 8.8 s left", "b: 1/10"]
