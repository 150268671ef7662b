"""What is told of the time left, on a clock moved by hand and a table of two costs."""

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import synthetic
from efficient360.core import formatting
from efficient360.core.outcome import Record
from efficient360.core.terminal import Terminal
from efficient360.execution.costs import Circumstances, Cost, expected_seconds, recorded
from efficient360.execution.events import Event, Finished, Opened, Progress, Started
from efficient360.execution.forecast import Forecast
from efficient360.execution.plan import protocol_names, read_protocol
from efficient360.execution.progress import _Lines, beginning, times
from efficient360.plugins.registry import evaluators

COSTS = {"quick": Cost(1.0, 0), "slow": Cost(0, 10_000, {"examples": 100}), "costly": Cost(100.0, 0)}


class Run:
    """A forecast with its clock, and what its lines print."""

    def __init__(self) -> None:
        self.now, self.stream = 0.0, io.StringIO()
        self.forecast = Forecast(clock=lambda: self.now, costs=lambda: COSTS, runtimes=lambda: 1)
        self._show = _Lines(Terminal(self.stream), self.forecast).show

    def at(self, now: float, event: Event) -> None:
        self.now = now
        self._show(event)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def opened(*names: str, pace: float | None = 0.01, stored: tuple[str, ...] = (), minutes: float | None = None, **settings: dict[str, object]) -> Opened:
    planned = {name: {"settings": settings.get(name, {})} for name in names}
    header = {
        "checkpoint": {"name": "net", "architecture": "vit", "digest": "0" * 20},
        "dataset": {"name": "digits", "split": "test", "examples": 400},
        "protocol": {"evaluators": planned, "max_minutes": minutes},
    }
    return Opened(header, {name: name for name in names}, stored=stored, seconds_per_image=pace)


def finished(name: str, seconds: float) -> Finished:
    record = synthetic.report().records[0]
    return Finished(name, [Record(name, record.outcome, "key", (0, 1), {}, seconds)], cached=False)


def test_before_it_starts_the_table_is_told_at_the_models_speed() -> None:
    run = Run()
    run.at(0, opened("quick", "slow"))
    assert run.forecast.left() == pytest.approx(101)
    assert run.lines[-1] == "2 evaluators to run: about 2 min"


def test_settings_scale_it() -> None:
    """Twice the recorded 100 examples; never more than the 400 there are."""
    around = Circumstances(400, 0.01, runtimes=9)
    assert expected_seconds(COSTS["slow"], {"examples": 200}, around) == pytest.approx(200)
    assert expected_seconds(COSTS["slow"], {"examples": 10_000}, around) == pytest.approx(400)
    assert expected_seconds(COSTS["slow"], {"examples": None}, around) == pytest.approx(400)
    assert expected_seconds(Cost(2.0, 0, {"runtimes": 2}), {"runtimes": ["installed"]}, around) == pytest.approx(9)
    assert expected_seconds(Cost(2.0, 0, {"split": 1000}), {}, around) == pytest.approx(0.8)


def test_what_the_run_took_scales_the_rest() -> None:
    run = Run()
    run.at(0, opened("costly", "slow"))
    run.at(0, Started("costly", 0, 2))
    run.at(200, finished("costly", 200))
    assert run.forecast.left() == pytest.approx(100 * (200 + 200 / 6) / (100 + 200 / 6))


def test_one_quick_evaluator_scales_little() -> None:
    run = Run()
    run.at(0, opened("quick", "costly"))
    run.at(0, Started("quick", 0, 2))
    run.at(4, finished("quick", 4))
    assert run.forecast.left() == pytest.approx(100 * (4 + 101 / 6) / (1 + 101 / 6))


def test_the_first_step_says_nothing() -> None:
    """Eleven seconds for the first of its steps: that the others take as long is not told."""
    run = Run()
    run.at(0, opened("quick"))
    for now, done in ((0, 0), (11, 1)):
        run.at(now, Progress("quick", done, 14))
    assert run.forecast.left() == pytest.approx(1)


def test_an_evaluators_own_pace_counts_the_more_it_has_done() -> None:
    run = Run()
    run.at(0, opened("costly"))
    run.at(0, Started("costly", 0, 1))
    for done in range(6):
        run.at(4 * done, Progress("costly", done, 10))
    assert run.forecast.left() == pytest.approx(0.5 * 20 + 0.5 * 80)


def test_a_slow_evaluator_scales_the_others_while_it_runs() -> None:
    """Half of its steps in the time of all: the others are told to take longer at once, not when it ends."""
    run = Run()
    run.at(0, opened("costly", "slow"))
    run.at(0, Started("costly", 0, 2))
    told = []
    for done in range(6):
        run.at(20 * done, Progress("costly", done, 10))
        told.append(run.forecast.left() or 0.0)
    assert told[-1] == pytest.approx(0.5 * 100 + 0.5 * 10 + 100 * (100 + 200 / 6) / (50 + 200 / 6))
    assert told[0] == pytest.approx(200)
    assert told[-1] > told[0]


def test_it_is_estimating_where_it_has_nothing_to_say() -> None:
    run = Run()
    assert times(run.forecast) == "elapsed 0:00 · estimating the time left"
    assert beginning(run.forecast) == ""
    run.at(0, opened("quick"))
    run.at(0, Started("quick", 0, 1))
    run.now = 400  # four hundred times what it is known to cost, and no word of its own
    assert times(run.forecast) == "elapsed 6:40 · estimating the time left"


def test_what_has_no_known_cost_is_told() -> None:
    run = Run()
    run.at(0, opened("costly", "brightness"))
    assert times(run.forecast) == "elapsed 0:00 · about 2 min left, and 1 evaluator of unknown cost"
    run.at(0, Started("costly", 0, 4))  # two more that are only opened later
    assert run.forecast.unknown == 3


def test_what_is_stored_costs_nothing() -> None:
    run = Run()
    run.at(0, opened("quick", "costly", stored=("costly",)))
    assert run.forecast.left() == pytest.approx(1)


def test_the_time_budget_bounds_it() -> None:
    run = Run()
    run.at(0, opened("costly", minutes=0.5))
    assert run.forecast.left() == pytest.approx(30)


def test_a_sign_of_life_tells_elapsed_and_left() -> None:
    run = Run()
    run.at(0, opened("costly"))
    run.at(2, Started("costly", 0, 1))
    for now, done in ((2, 0), (3, 1), (58, 6)):
        run.at(now, Progress("costly", done, 10))
    assert run.lines[-1] == "costly: 6/10 · elapsed 0:58 · about 40 s left"


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(0, 20), st.integers(1, 20)), max_size=20))
def test_whatever_happens_it_is_a_sane_number_or_none(steps: list[tuple[float, int, int]]) -> None:
    run = Run()
    run.at(0, opened("slow", "costly"))
    run.at(0, Started("slow", 0, 2))
    for seconds, done, total in steps:
        run.at(run.now + seconds, Progress("slow", min(done, total), total))
        left = run.forecast.left()
        assert left is None or 0 <= left < 1e5
        assert 0 <= run.forecast.share_done <= 1


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "a few seconds"),
        (38, "about 40 s"),
        (70, "about 1 min"),
        (130, "about 2 min"),
        (1130, "about 20 min"),
        (3500, "about 1 h"),
        (5500, "about 1 h 30 min"),
    ],
)
def test_rough_durations(seconds: float, told: str) -> None:
    assert formatting.rough_duration(seconds) == told


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_rough_duration_is_near_and_grows(a: float, b: float) -> None:
    def seconds(text: str) -> float:
        words = text.removeprefix("about ").split()
        if text == "a few seconds":
            return 5
        return sum(float(n) * {"s": 1, "min": 60, "h": 3600}[unit] for n, unit in zip(words[::2], words[1::2], strict=True))

    near = seconds(formatting.rough_duration(a))
    assert a < 7.5 or near == pytest.approx(a, rel=0.34)
    assert (a <= b) <= (near <= seconds(formatting.rough_duration(b)))


def test_every_evaluator_has_a_cost() -> None:
    """The package's own, in every protocol; the table names no other."""
    known = evaluators()
    assert set(recorded()) <= set(known)
    planned = {step.evaluator for name in protocol_names() for step in read_protocol(name, known).steps}
    assert planned <= set(recorded())


def test_the_table_scales_by_settings_that_exist(evaluator_settings: Callable[[str], set[str]]) -> None:
    for name, cost in recorded().items():
        assert set(cost.times) - {"split"} <= evaluator_settings(name), name


@pytest.fixture
def evaluator_settings() -> Callable[[str], set[str]]:
    import dataclasses

    known = evaluators()
    return lambda name: {field.name for field in dataclasses.fields(known[name].load())}
