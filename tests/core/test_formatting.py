import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.core.formatting import (
    class_name,
    count,
    counted,
    duration,
    interval,
    interval_note,
    is_fraction,
    listed,
    number,
    scaled,
    significant,
    trimmed,
    uncertainty,
    unitless,
)
from efficient360.core.measurement import BYTE, JOULE, MAC, NAT, ONE, SECOND, Better, Interval, Measurement, Metric, Unit

TOP1 = Metric("top1", ONE, Better.HIGHER, "", low=0, high=1)
CHANGE = Metric("change", ONE, Better.HIGHER, "", low=-1, high=1)
PARAMETERS = Metric("parameters", ONE, Better.LOWER, "", low=0)
BYTES = Metric("bytes", BYTE, Better.LOWER, "", low=0)
MACS = Metric("macs", MAC, Better.LOWER, "", low=0)
TIME = Metric("time", SECOND, Better.LOWER, "", low=0)
ENERGY = Metric("energy", JOULE, Better.LOWER, "", low=0)
NLL = Metric("nll", NAT, Better.LOWER, "", low=0)
RATE = Metric("rate", Unit("images/s"), Better.HIGHER, "", low=0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0123, "0.0123"),
        (4.514, "4.51"),
        (897, "897"),
        (-2.5, "−2.50"),
        (123456, "123000"),
        (9.996, "10.0"),
        (0.09996, "0.100"),
        (999.7, "1000"),
        (1.5e-9, "1.50e−09"),
        (-1.5e-9, "−1.50e−09"),
        (2e15, "2.00e+15"),
        (-2e15, "−2.00e+15"),
        (1e300, "1.00e+300"),
        (5e-324, "4.94e−324"),
    ],
)
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(
    ("value", "symbol", "text"),
    [
        (5_717_416, "", "5.72 M"),
        (1.258e9, "MAC", "1.26 GMAC"),
        (22.9e6, "B", "22.9 MB"),
        (0, "B", "0 B"),
        (999_400, "B", "999 kB"),
        (999_700, "B", "1.00 MB"),
        (0.0123, "s", "12.3 ms"),
        (4.2e-7, "s", "420 ns"),
        (-1500, "B", "−1.50 kB"),
        (3e15, "MAC", "3000 TMAC"),
        (2e-12, "s", "0.00200 ns"),
    ],
)
def test_prefixes(value: float, symbol: str, text: str) -> None:
    assert scaled(value, symbol) == text


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.893, TOP1, "89.3 %"),
        (1, TOP1, "100.0 %"),
        (0, TOP1, "0.0 %"),
        (-0.034, CHANGE, "−3.4 %"),
        (-0.0004, CHANGE, "−0.04 %"),
        (0.0013, TOP1, "0.13 %"),
        (-0.00001, CHANGE, "0.00 %"),
        (5_717_416, PARAMETERS, "5.72 M"),
        (42, PARAMETERS, "42.0"),
        (1.258e9, MACS, "1.26 GMAC"),
        (84_000_000, BYTES, "84.0 MB"),
        (0.0123, TIME, "12.3 ms"),
        (0.5, ENERGY, "500 mJ"),
        (0.412, NLL, "0.412 nat"),
        (0, NLL, "0 nat"),
        (512.3, RATE, "512 images/s"),
        (15_230, RATE, "15,230 images/s"),
    ],
)
def test_numbers_in_their_units(value: float, metric: Metric, text: str) -> None:
    assert number(value, metric) == text


def test_only_dimensionless_quantities_bounded_by_one_are_percentages() -> None:
    assert is_fraction(TOP1)
    assert is_fraction(CHANGE)
    assert not is_fraction(PARAMETERS)
    assert not is_fraction(Metric("brier", ONE, Better.LOWER, "", low=0, high=2))
    assert not is_fraction(Metric("odd", NAT, Better.LOWER, "", low=0, high=1))


@pytest.mark.parametrize(
    ("of", "metric", "text"),
    [
        (None, PARAMETERS, "exact"),
        (Interval(0.871, 0.911, "wilson"), TOP1, "87.1 – 91.1 %"),
        (Interval(-0.02, 0.01, "bootstrap"), CHANGE, "−2.0 to 1.0 %"),
        (Interval(-0.02, -0.01, "bootstrap"), CHANGE, "−2.0 to −1.0 %"),
        (Interval(0.0009, 0.0012, "bootstrap"), TIME, "900 µs – 1.20 ms"),
        (Interval(1.0e6, 1.2e6, "range"), BYTES, "1.00 – 1.20 MB"),
        (Interval(0.37, 0.46, "bootstrap"), NLL, "0.370 – 0.460 nat"),
        (Interval(12.0, 15.0, "bootstrap"), PARAMETERS, "12.0 – 15.0"),
        (Interval(12.0, 15.0, "range", None), PARAMETERS, "range 12.0 – 15.0"),
    ],
)
def test_intervals(of: Interval | None, metric: Metric, text: str) -> None:
    assert interval(of, metric) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (12.4, "12 s"), (59.7, "1 min 00 s"), (200, "3 min 20 s"), (3599.6, "1 h 00 min"), (3900, "1 h 05 min"), (90_000, "25 h 00 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts() -> None:
    assert [count(n) for n in (0, 999, 10_000)] == ["0", "999", "10,000"]


def parsed(text: str) -> float:
    return float(text.replace("−", "-"))


values = st.floats(-1e300, 1e300).filter(lambda v: v != 0)


@given(values, st.integers(1, 6))
def test_a_printed_number_is_the_value_rounded(value: float, digits: int) -> None:
    # Half a unit of the last digit is at most 5 / 10^digits of the value; doubles below 1e-300 are themselves coarse.
    assert parsed(significant(value, digits)) == pytest.approx(value, rel=5.001 * 10.0**-digits, abs=1e-322)


@given(st.floats(1e-9, 1e15) | st.floats(-1e15, -1e-9))
def test_a_prefix_is_the_power_it_stands_for(value: float) -> None:
    text, _, prefix = scaled(value, "B").partition(" ")
    power = {"T": 12, "G": 9, "M": 6, "k": 3, "": 0, "m": -3, "µ": -6, "n": -9}[prefix.removesuffix("B")]
    assert parsed(text) * 10.0**power == pytest.approx(value, rel=5.001e-3)
    assert abs(parsed(text)) < 1000 or prefix == "TB"


@given(st.floats(-1, 1))
def test_a_percentage_is_within_half_its_last_digit_and_never_minus_nothing(value: float) -> None:
    text = number(value, CHANGE).removesuffix(" %")
    assert parsed(text) == pytest.approx(100 * value, abs=0.0501)
    assert not text.startswith("−") or parsed(text) != 0


def test_a_class_without_a_name_goes_by_its_number() -> None:
    assert [class_name(i, ("cat", "dog")) for i in (0, 1, 2)] == ["cat", "dog", "2"]


def test_what_stands_in_the_place_of_an_interval() -> None:
    assert uncertainty(Measurement(PARAMETERS, 12)) == "exact"
    assert uncertainty(Measurement(PARAMETERS, 12, repeatable=False)) == "no interval"
    assert uncertainty(Measurement(PARAMETERS, 12, 3, Interval(11, 13, "range", None))) == "range 11.0 – 13.0"


def test_an_intervals_note_tells_level_method_and_what_it_holds_fixed() -> None:
    shuffled = Interval(11, 13, "bootstrap-t", conditional_on="one shuffle of the weights")
    assert interval_note(Measurement(PARAMETERS, 12, 30, shuffled)) == "95 %, bootstrap-t; holds fixed one shuffle of the weights"
    assert interval_note(Measurement(PARAMETERS, 12, 3, Interval(11, 13, "range", None))) == "no confidence level, range"
    assert interval_note(Measurement(PARAMETERS, 12)) == ""


@pytest.mark.parametrize(("value", "text"), [(0.5, "0.5"), (1 / 30, "0.03333"), (12.0, "12"), (-0.25, "−0.25"), (1e-12, "1.000e-12".replace("-", "−"))])
def test_digits_that_say_nothing_are_left_out(value: float, text: str) -> None:
    assert trimmed(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.4123, "0.412"), (897, "897"), (-57241, "−57.2 k")])
def test_a_value_without_a_unit_takes_a_prefix_only_where_it_is_large(value: float, text: str) -> None:
    assert unitless(value) == text


@pytest.mark.parametrize(("n", "text"), [(0, "0 alerts"), (1, "1 alert"), (1200, "1,200 alerts")])
def test_what_is_counted_is_one_or_several(n: int, text: str) -> None:
    assert counted(n, "alert") == text


@pytest.mark.parametrize(("items", "text"), [([], ""), (["Memory"], "Memory"), (["Memory", "Latency"], "Memory and Latency"), (["A", "B", "C"], "A, B and C")])
def test_items_stand_in_a_sentence(items: list[str], text: str) -> None:
    assert listed(items) == text
