import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_problem import DROP, LATENCY, SIZE, TOP1

from efficient360.codesign.quantity import parse_duration, parse_limit
from efficient360.core.measurement import JOULE, ONE, Better, Metric, Unit
from efficient360.errors import SettingsError

RATE = Metric("throughput", Unit("img/s"), Better.HIGHER, "", low=0)
COUNT = Metric("parameters", ONE, Better.LOWER, "", low=0)
ENERGY = Metric("energy_per_image", JOULE, Better.LOWER, "", low=0)


@pytest.mark.parametrize(
    ("text", "metric", "value"),
    [
        ("5ms", LATENCY, 0.005),
        (" 5 ms ", LATENCY, 0.005),
        ("0.2s", LATENCY, 0.2),
        (".5ms", LATENCY, 0.0005),
        ("800us", LATENCY, 0.0008),
        ("800µs", LATENCY, 0.0008),
        ("5e-3s", LATENCY, 0.005),
        ("2MB", SIZE, 2_000_000),
        ("64MiB", SIZE, 64 * 2**20),
        ("64 kB", SIZE, 64_000),
        ("1pt", DROP, 0.01),
        ("0.3%", DROP, 0.003),
        ("-0.5pt", DROP, -0.005),
        ("0.01", DROP, 0.01),
        ("97%", TOP1, 0.97),
        ("0.97", TOP1, 0.97),
        ("100 img/s", RATE, 100),
        ("100", RATE, 100),
        ("5e6", COUNT, 5_000_000),
        ("3mJ", ENERGY, 0.003),
    ],
)
def test_limits(text: str, metric: Metric, value: float) -> None:
    assert parse_limit(text, metric) == value


@pytest.mark.parametrize(
    ("text", "metric", "hint"),
    [
        ("5", LATENCY, "5ms"),  # seconds or milliseconds?
        ("5 MS", LATENCY, "5ms"),
        ("5MB", LATENCY, "ms"),
        ("fast", LATENCY, "5ms"),
        ("1,5ms", LATENCY, "point"),
        ("0ms", LATENCY, "above 0"),
        ("-1ms", LATENCY, "between"),
        ("97", TOP1, "97%"),
        ("120%", TOP1, "between"),
        ("nan", DROP, "pt"),
        ("2mb", SIZE, "2MB"),
        ("1e999", COUNT, "bare"),
        ("5 parsecs", RATE, "img/s"),
    ],
)
def test_what_is_no_limit(text: str, metric: Metric, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_limit(text, metric)
    assert caught.value.code == "bad-quantity"
    assert hint in caught.value.hint


@pytest.mark.parametrize(("text", "seconds"), [("30min", 1800), ("90s", 90), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["30", "0min", "-5s", "soon", "5MB"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_duration(text)
    assert caught.value.code == "bad-quantity"


@given(st.floats(1e-3, 1e6), st.sampled_from([("ms", 1e3), ("us", 1e6), ("s", 1.0), ("ns", 1e9)]))
def test_a_limit_is_the_same_in_every_unit(value: float, unit: tuple[str, float]) -> None:
    name, divisor = unit
    assert math.isclose(parse_limit(f"{value!r}{name}", LATENCY), value / divisor, rel_tol=1e-12)
