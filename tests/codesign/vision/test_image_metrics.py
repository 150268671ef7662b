import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.codesign.vision.metrics import qualities
from efficient360.codesign.vision.on_device import speedup
from efficient360.deployment.devices.device import DeviceReading, TimingBlock

Bools = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def test_accuracy_lost_by_hand() -> None:
    original = np.array([1, 1, 1, 1, 0, 0, 1, 1, 1, 1], bool)
    variant = np.array([1, 1, 0, 0, 1, 0, 1, 1, 1, 1], bool)
    told = qualities(original, variant)
    assert told["top1_drop"].value == pytest.approx(0.1)  # 8 right of 10, then 7
    assert told["top1"].value == pytest.approx(0.7)


def test_agreement_on_every_image_is_narrower_than_as_many_errors_elsewhere() -> None:
    right = np.arange(200) % 10 != 0
    same, elsewhere = qualities(right, right)["top1_drop"], qualities(right, np.roll(right, 1))["top1_drop"]
    assert same.value == elsewhere.value == 0
    assert same.interval is not None
    assert elsewhere.interval is not None
    assert same.interval.high < elsewhere.interval.high / 1.5


@given(Bools)
def test_the_interval_holds_the_drop_and_turns_with_the_pair(pairs: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    drop, rise = qualities(first, second)["top1_drop"], qualities(second, first)["top1_drop"]
    assert drop.interval is not None
    assert rise.interval is not None
    assert drop.interval.low <= drop.value + 1e-12
    assert drop.value - 1e-12 <= drop.interval.high
    assert (drop.interval.low, drop.interval.high) == pytest.approx((-rise.interval.high, -rise.interval.low))


def reading(*medians: float) -> DeviceReading:
    blocks = [TimingBlock([m, m, m], [m, m, m], 3 * m, {}, {}, process) for process, m in enumerate(medians)]
    return DeviceReading(blocks, (), True, 1, "1", None, None, None)


def test_a_drift_that_meets_both_alike_leaves_the_speedup_exact() -> None:
    drifting = speedup(reading(1.0, 2.0, 4.0), reading(3.0, 6.0, 12.0), {"baseline": "b"})
    assert drifting is not None
    assert drifting.value == pytest.approx(3)
    assert drifting.interval is not None
    assert (drifting.interval.low, drifting.interval.high) == pytest.approx((3, 3))


def test_speedup_by_hand() -> None:
    told = speedup(reading(1.0, 1.0), reading(2.0, 8.0), {"baseline": "b"})
    assert told is not None
    assert told.value == pytest.approx(4)  # geometric mean
    assert told.interval is not None
    half = 12.7062 * math.log(2) * math.sqrt(2) / math.sqrt(2)  # t of one degree of freedom times the standard error of log 2 and log 8
    assert told.interval.high == pytest.approx(4 * math.exp(half), rel=1e-3)


def test_one_process_tells_no_speedup() -> None:
    assert speedup(reading(1.0), reading(2.0), {"baseline": "b"}) is None
