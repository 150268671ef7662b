"""Number formatting for every report: significant digits, SI prefixes, percent, intervals, durations."""

from collections.abc import Sequence
from dataclasses import replace

from efficient360.core.measurement import LEVEL, ONE, Interval, Measurement, Metric

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
MINUS = "−"
NO_INTERVAL = "no interval"


def significant(value: float, digits: int = 3) -> str:
    """``value`` to ``digits`` significant digits without an exponent where it reads well: 0.0123, 4.51, 897."""
    if value == 0:
        return "0"
    # The exponent of the rounded value: 9.996 is 10.0, not 10.00.
    decimals = digits - 1 - int(f"{value:.{digits - 1}e}".partition("e")[2])
    if decimals > 8 or abs(value) >= 1e15:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    rounded = round(value, decimals)
    return f"{rounded:.{max(0, decimals)}f}".replace("-", MINUS)


def scaled(value: float, symbol: str, digits: int = 3) -> str:
    """``value`` with an SI prefix before ``symbol``: 5.72 M, 1.26 GMAC, 22.9 MB."""
    factor, prefix = next(((f, p) for f, p in PREFIXES if abs(value) >= f * (1 - 5e-4)), PREFIXES[-1] if value else (1.0, ""))
    return f"{significant(value / factor, digits)} {prefix}{symbol}".rstrip()


def is_fraction(metric: Metric) -> bool:
    """Whether the metric reads best in percent: dimensionless and bounded by −1 or 0 below and 1 above."""
    return metric.unit == ONE and metric.high == 1 and metric.low in (-1, 0)


def number(value: float, metric: Metric, digits: int = 3) -> str:
    """A value in its metric's unit: ``89.3 %``, ``0.13 %``, ``1.26 GMAC``, ``0.412 nat``."""
    if is_fraction(metric):
        decimals = 1 if value == 0 or abs(value) >= 0.01 else 2
        return f"{round(100 * value, decimals) + 0.0:.{decimals}f} %".replace("-", MINUS)  # + 0.0 turns −0.0 into 0.0
    if metric.unit == ONE:
        return scaled(value, "", digits) if abs(value) >= 1e4 else significant(value, digits)
    if "/" in metric.unit and abs(value) < 1e6:
        return f"{round(value):,} {metric.unit}" if abs(value) >= 1e3 else f"{significant(value, digits)} {metric.unit}"
    if abs(value) < 1e3 and metric.unit not in ("s", "B", "J", "MAC"):
        return f"{significant(value, digits)} {metric.unit}"
    return scaled(value, metric.unit, digits)


def interval(ends: Interval | None, metric: Metric) -> str:
    """An interval as ``87.1 – 91.1 %``, or ``−2.2 to 2.3 %`` with a negative end; a range without a level says so; ``exact`` where there is none."""
    if ends is None:
        return "exact"
    if ends.level is None:
        return f"range {interval(replace(ends, level=LEVEL), metric)}"
    low, high = both_ends(ends, metric)
    return f"{low}{' to ' if low.startswith(MINUS) else ' – '}{high}"


def both_ends(ends: Interval, metric: Metric) -> tuple[str, str]:
    """The ends of an interval as text, with as many digits as they need to differ; the unit stands behind the lower one only where it is another."""
    printed = [(number(ends.low, metric, digits), number(ends.high, metric, digits)) for digits in (3, 4, 5, 6)]
    low, high = next(((a, b) for a, b in printed if a != b), printed[0])
    low_number, _, low_unit = low.partition(" ")
    return (low_number if low_unit == high.partition(" ")[2] else low), high


def uncertainty(m: Measurement) -> str:
    """The interval of a measurement, ``exact``, or ``no interval`` where a rerun would change a value that has none."""
    return NO_INTERVAL if m.interval is None and not m.exact else interval(m.interval, m.metric)


def interval_note(m: Measurement) -> str:
    """Level and method of a measurement's interval, and what it holds fixed: ``95 %, wilson``; empty where there is none."""
    if m.interval is None:
        return ""
    level = "no confidence level" if m.interval.level is None else f"{100 * m.interval.level:g} %"
    return f"{level}, {m.interval.method}" + (f"; holds fixed {m.interval.conditional_on}" if m.interval.conditional_on else "")


def duration(seconds: float) -> str:
    """A time span: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``1 h 05 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"


def class_name(label: int, names: Sequence[str]) -> str:
    """Display name of a class: its index where it has no name."""
    return names[label] if label < len(names) else str(label)


def listed(parts: Sequence[str]) -> str:
    """``Memory, Latency and Privacy``."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def count(n: int) -> str:
    """An integer with thousands separators: ``10,000``."""
    return f"{n:,}"


def clock(seconds: float) -> str:
    """A time span as a clock shows it: ``0:58``, ``12:05``, ``1:02:05``."""
    total = int(seconds)
    hours, minutes = total // 3600, total % 3600 // 60
    return f"{hours}:{minutes:02d}:{total % 60:02d}" if hours else f"{minutes}:{total % 60:02d}"


def rough_duration(seconds: float) -> str:
    """A time span that is only estimated: ``a few seconds``, ``about 40 s``, ``about 2 min``, ``about 1 h 30 min``."""
    if seconds < 7.5:
        return "a few seconds"
    if seconds < 55:
        return f"about {max(1, round(seconds / 10)) * 10} s"
    minutes = seconds / 60
    if minutes < 9.5:
        return f"about {max(1, round(minutes))} min"
    if minutes < 57.5:
        return f"about {round(minutes / 5) * 5} min"
    quarters = round(minutes / (15 if minutes < 300 else 60)) * (1 if minutes < 300 else 4)
    return f"about {quarters // 4} h" + (f" {quarters % 4 * 15} min" if quarters % 4 else "")
