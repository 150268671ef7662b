import itertools
import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.deployment.devices.device import DeviceReading, TimingBlock
from efficient360.deployment.devices.timing import analyse, clean, drawn, energy, noisy, quantile_interval


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


def test_drift_between_blocks_widens_the_interval() -> None:
    generator = np.random.default_rng(3)
    still = [1.0 + 0.01 * generator.random(20) for _ in range(6)]
    drifting = [still[i] + 0.1 * i for i in range(6)]
    narrow, wide = quantile_interval(still, 50), quantile_interval(drifting, 50)
    assert narrow.high - narrow.low < 0.01
    assert wide.high - wide.low > 0.1


def test_the_interval_is_that_of_all_resamples_of_whole_blocks() -> None:
    blocks = [np.array(values) for values in ([1.0, 1.2, 5.0], [1.1, 1.3, 1.4], [2.0, 2.2, 2.1], [1.6, 9.0, 1.7], [3.0, 1.9, 2.5])]
    medians = [np.median(np.concatenate(drawn_blocks)) for drawn_blocks in itertools.product(blocks, repeat=len(blocks))]
    low, high = np.percentile(medians, [2.5, 97.5])
    interval = quantile_interval(blocks, 50)
    # a thousand draws in place of all 3125 resamples: between the quantiles a percent of probability to either side
    assert np.percentile(medians, 1.5) <= interval.low <= np.percentile(medians, 3.5)
    assert np.percentile(medians, 96.5) <= interval.high <= np.percentile(medians, 98.5)
    assert np.percentile(medians, 3.5) < np.percentile(medians, 96.5)
    assert (low, high) != (min(medians), max(medians))  # the whole range would not pass for it


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
