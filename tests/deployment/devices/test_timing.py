import dataclasses
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from efficient360.deployment.devices.device import DeviceReading, TimingBlock
from efficient360.deployment.devices.timing import analyse, clean, drawn, energy, energy_interval, noisy, quantile_interval, result_of
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Precision


def block(wall: list[float], waits: float = 0.0, seconds: float | None = None, **rises: float) -> TimingBlock:
    whole = sum(wall) if seconds is None else seconds
    return TimingBlock(wall, [w * (1 - waits) for w in wall], whole, dict.fromkeys(rises, 5.0), {name: 5.0 + rise for name, rise in rises.items()})


def reading(*blocks: TimingBlock, threads: int = 1, steady: bool = True, idle: float | None = None, repeated: int = 0) -> DeviceReading:
    return DeviceReading(blocks, (), steady, threads, "1.0", None, None, None, idle, repeated)


def codes(*blocks: TimingBlock, **changes: Any) -> set[str]:
    return {finding.code for finding in analyse(reading(*blocks, **changes)).findings}


def test_a_run_that_waited_more_than_six_percent_is_not_clean() -> None:
    blocks = [TimingBlock([1.0, 1.0, 1.0], [1.0, 0.941, 0.939], 3.0), TimingBlock([2.0], [1.0], 2.0)]
    assert clean(blocks, 1).tolist() == [True, True, False, False]


def test_threads_that_wait_for_each_other_by_nature_are_clean() -> None:
    alike = TimingBlock([1.0] * 8, [1.5] * 8, 8.0)  # two threads, a quarter of whose time is waiting
    one_worse = TimingBlock([1.0] * 8, [1.5] * 7 + [1.2], 8.0)
    assert clean([alike], 2).all()
    assert clean([one_worse], 2).tolist() == [True] * 7 + [False]


def test_noisy_begins_below_half() -> None:
    good, bad = block([1.0] * 2), block([1.0] * 2, waits=0.5)
    assert not noisy([good, bad], 1)
    assert noisy([good, bad, bad], 1)
    assert noisy([], 1)


def test_the_median_is_of_clean_runs_and_the_tail_of_all() -> None:
    timing = analyse(reading(block([0.01] * 30 + [0.02] * 30 + [0.03] * 15), block([0.5] * 25, waits=0.9)))
    assert timing.p50 == 0.02
    assert timing.p90 == 0.5
    assert timing.p99 is None
    assert (timing.clean, timing.runs, len(timing.samples)) == (75, 100, 75)
    assert not timing.noisy


def test_with_under_three_clean_runs_the_median_is_of_all_and_flagged() -> None:
    timing = analyse(reading(TimingBlock([1.0, 3.0, 4.0, 5.0, 9.0], [1.0, 0.1, 0.1, 0.1, 0.1], 22.0), repeated=1))
    assert timing.p50 == 4.0
    assert timing.noisy
    told = {finding.code: finding.message for finding in timing.findings}
    assert told["noisy"] == "only 1 of 5 runs were undisturbed, also after 1 repeat"


@pytest.mark.parametrize(("runs", "tail"), [(49, (False, False)), (50, (True, False)), (999, (True, False)), (1000, (True, True))])
def test_a_tail_wants_runs(runs: int, tail: tuple[bool, bool]) -> None:
    timing = analyse(reading(block([1.0] * runs)))
    assert (timing.p90 is not None, timing.p99 is not None) == tail


QUIET = [1.0] * 40


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (block(QUIET, busy=45.0, own=40.0), "foreign-load"),
        (block(QUIET, steal=0.5), "steal-time"),
        (block(QUIET, involuntary=2001.0), "preempted"),
        (block(QUIET, throttles=2.0), "throttled"),
        (block(QUIET, throttled=4.0), "cpu-quota"),
        (TimingBlock(QUIET, [], 40.0), "no-cpu-times"),
        (block([1.0] * 29), "few-runs"),
        (block(QUIET, waits=0.5), "noisy"),
    ],
)
def test_each_disturbance_is_told(made: TimingBlock, code: str) -> None:
    assert codes(made) == {code}


def test_what_is_usual_is_not_told() -> None:
    assert codes(block(QUIET, busy=43.0, own=40.0, steal=0.3, involuntary=1999.0, throttles=0.0)) == set()
    assert codes(block(QUIET), steady=False) == {"unsteady"}


def test_a_clock_that_changes_by_a_tenth_is_told() -> None:
    def at(hertz: float) -> TimingBlock:
        return TimingBlock(QUIET, QUIET, 40.0, {}, {"frequency": hertz})

    assert codes(at(2.0e9), at(2.19e9)) == set()
    assert codes(at(2.0e9), at(2.21e9)) == {"clock-changed"}


def counted(before: float, after: float, runs: int, seconds: float, **more: float) -> TimingBlock:
    return TimingBlock([seconds / runs] * runs, [seconds / runs] * runs, seconds, {"energy": before, **more}, {"energy": after, **more})


def test_energy_is_that_of_a_run_above_rest() -> None:
    # 30 J in 2 s with 5 W at rest leave 20 J for 4 runs; the other block 40 J in 4 s for 10 runs
    assert energy(reading(counted(100.0, 130.0, 4, 2.0), counted(200.0, 240.0, 10, 4.0), idle=5.0)) == (5.0, 2.0)


def test_without_a_counter_there_is_no_energy() -> None:
    assert energy(reading(block([1.0]))) == ()
    assert energy(reading(block([1.0]), idle=5.0)) == ()
    assert energy(reading(counted(1.0, 30.0, 4, 2.0))) == ()


def test_a_counter_that_starts_again_is_made_up_for() -> None:
    assert drawn({"energy": 90.0}, {"energy": 5.0, "energy_range": 100.0}) == 15.0
    assert drawn({"energy": 90.0}, {"energy": 5.0}) is None
    assert drawn({}, {"energy": 5.0}) is None
    assert energy(reading(counted(95.0, 5.0, 5, 1.0, energy_range=100.0), idle=5.0)) == (1.0,)


def taken(rows: list[Any], processes: int) -> list[tuple[int, np.ndarray]]:
    return [(i * processes // len(rows), np.asarray(row)) for i, row in enumerate(rows)]


def test_drift_between_blocks_widens_the_interval() -> None:
    generator = np.random.default_rng(3)
    still = [1.0 + 0.01 * generator.random(20) for _ in range(6)]
    drifting = [still[i] + 0.1 * i for i in range(6)]
    narrow, wide = quantile_interval(1.0, taken(still, 3), 50), quantile_interval(1.25, taken(drifting, 3), 50)
    assert narrow.high / narrow.low < 1.12
    assert wide.high - wide.low > 0.4


def test_the_interval_is_students_over_processes_and_what_differs_between_runs() -> None:
    rows = [[1.0, 1.1, 1.2], [1.1, 1.0, 1.2], [1.3, 1.4, 1.5], [1.4, 1.5, 1.6], [1.0, 1.2, 1.2], [0.9, 1.0, 1.1]]
    interval = quantile_interval(1.15, taken(rows, 3), 50)
    logs = np.log([1.1, 1.45, 1.05])
    half = math.hypot(stats.t.ppf(0.975, 2) * logs.std(ddof=1) / math.sqrt(3), 0.05)
    assert (interval.low, interval.high) == pytest.approx((1.15 / math.exp(half), 1.15 * math.exp(half)))
    assert (interval.level, interval.method) == (0.95, "student-t over 3 processes, 5% between runs")


def test_a_single_process_tells_what_it_cannot_see() -> None:
    alone = quantile_interval(1.0, taken([[1.0] * 9] * 6, 1), 50)
    assert alone.high == pytest.approx(math.exp(math.hypot(0.1, 0.05)))
    assert "one process" in alone.method
    assert quantile_interval(1.0, taken([[1.0] * 9] * 6, 3), 50).high == pytest.approx(math.exp(0.05))


@given(st.lists(st.floats(1e-4, 10.0), min_size=1, max_size=6), st.integers(1, 3))
def test_no_interval_is_a_point_by_accident(medians: list[float], processes: int) -> None:
    interval = quantile_interval(medians[0], taken([[m] for m in medians], processes), 50)
    assert interval.low <= medians[0] / 1.05 < medians[0] * 1.05 <= interval.high


def covered(rng: np.random.Generator, drift: float, process: float, run: float) -> bool:
    """Whether a run of six blocks of ten calls, two a process, covers the median of many runs; drift lasts about a block."""
    level, logs = rng.normal(), []
    shift, starts = rng.normal(0, run), rng.normal(0, process, 3)
    for call in range(60):
        level = 0.9 * level + math.sqrt(1 - 0.9**2) * rng.normal()
        logs.append(shift + starts[call // 20] + drift * level + 0.01 * rng.normal())
    rows = np.exp(np.array(logs)).reshape(6, 10)
    interval = quantile_interval(float(np.median(rows)), taken(list(rows), 3), 50)
    return interval.low <= 1.0 <= interval.high


@pytest.mark.parametrize(("drift", "process", "run"), [(0.05, 0.0, 0.0), (0.0, 0.05, 0.0), (0.03, 0.03, 0.025)])
def test_the_median_of_many_runs_lies_within_the_interval_as_often_as_promised(drift: float, process: float, run: float) -> None:
    share = np.mean([covered(np.random.default_rng([i, 7]), drift, process, run) for i in range(600)])
    assert 0.925 <= share <= 0.995


def test_energy_is_as_uncertain_as_its_processes() -> None:
    blocks = [dataclasses.replace(counted(0.0, 10.0 + shift, 5, 1.0), process=p) for p, shift in ((0, 0.0), (0, 1.0), (1, 5.0), (1, 6.0))]
    interval = energy_interval(reading(*blocks, idle=0.0))
    assert interval is not None
    half = stats.t.ppf(0.975, 1) * np.std([2.1, 3.1], ddof=1) / math.sqrt(2)
    assert (interval.low, interval.high) == pytest.approx((2.6 - half, 2.6 + half))
    assert energy_interval(reading(blocks[0], idle=0.0)) is None
    alone = energy_interval(reading(*blocks[:2], idle=0.0))
    assert alone is not None
    assert alone.conditional_on == "one process"


def test_a_latency_whose_answers_nobody_saw_does_not_count() -> None:
    artefact = Artefact("litert", Precision.FP32, 1, (3, 4, 4), Path("nowhere"), "d", 1, {}, 0.0, Converted({}, {}))
    result = result_of(artefact, reading(block([1.0] * 40)), np.zeros((1, 3), np.float32))
    assert (result.rankable, result.exclusion_reason) == (False, "the device returns no logits to check")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.tuples(st.floats(1e-4, 10.0), st.booleans()), min_size=1, max_size=12), min_size=1, max_size=6))
def test_the_median_rests_on_the_undisturbed_runs(runs: list[list[tuple[float, bool]]]) -> None:
    timing = analyse(reading(*(TimingBlock([t for t, _ in rows], [t / 2 if waited else t for t, waited in rows], sum(t for t, _ in rows)) for rows in runs)))
    every = [t for rows in runs for t, _ in rows]
    clean_runs = [t for rows in runs for t, waited in rows if not waited]
    used = clean_runs if len(clean_runs) >= 3 else every
    assert (timing.clean, timing.runs) == (len(clean_runs), len(every))
    assert sorted(timing.samples) == sorted(used)
    assert timing.p50 == pytest.approx(statistics.median(used))
    assert timing.noisy == (len(clean_runs) < len(every) / 2)


TIMES = st.lists(st.lists(st.floats(1e-4, 10.0), min_size=3, max_size=12), min_size=1, max_size=6)


@settings(max_examples=20, deadline=None)
@given(TIMES, st.floats(0.01, 100.0))
def test_units_and_the_order_of_runs_within_blocks_do_not_matter(times: list[list[float]], unit: float) -> None:
    timing = analyse(reading(*(block(wall) for wall in times)))
    assert sorted(timing.samples) == sorted(t for wall in times for t in wall)
    scaled = analyse(reading(*(block([unit * t for t in wall]) for wall in times)))
    assert math.isclose(scaled.p50, unit * timing.p50, rel_tol=1e-9)
    assert math.isclose(scaled.interval.high, unit * timing.interval.high, rel_tol=1e-9)
    turned = analyse(reading(*(block(wall[::-1]) for wall in times)))
    assert turned.p50 == timing.p50
    assert turned.interval == timing.interval
