"""Quantities as people type them: ``5ms``, ``2 MB``, ``64MiB``, ``1pt``, ``97%``, ``30min``."""

import math
import re
from collections.abc import Mapping
from typing import Final

from efficient360.core.close_names import did_you_mean
from efficient360.core.formatting import is_fraction
from efficient360.core.measurement import BYTE, JOULE, ONE, SECOND, Metric, Unit
from efficient360.errors import SettingsError

_QUANTITY: Final = re.compile(r"\s*([-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\W\d_%][^\W\d_]*|%|)\s*", re.UNICODE)
_SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}
_BYTES: Final = {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_JOULES: Final = {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "µJ": 1e-6, "μJ": 1e-6}
_FRACTION: Final = {"%": 0.01, "pt": 0.01, "pts": 0.01, "": 1.0}
_UNITS: Final[Mapping[Unit, Mapping[str, float]]] = {SECOND: _SECONDS, BYTE: _BYTES, JOULE: _JOULES}
_LIKELY: Final[Mapping[Unit, tuple[str, ...]]] = {SECOND: ("ms", "s"), BYTE: ("MB", "MiB", "kB"), JOULE: ("mJ", "J")}
_CODE: Final = "bad-quantity"


def parse_limit(text: str, metric: Metric) -> float:
    """A limit of a metric, in the metric's unit.

    Args:
        text: A number with a unit: ``s``, ``ms``, ``us``; ``B``, ``kB``, ``MB`` (powers of ten), ``KiB``, ``MiB`` (powers of two); ``J``, ``mJ``; of a
            fraction ``%``, ``pt`` (percentage points) or nothing. Other metrics take bare numbers, or their own unit.
        metric: What is limited.

    Raises:
        SettingsError: ``bad-quantity``: no number, no unit or another one, or nothing that the metric can be.
    """
    value = _parse(text, _units(metric), f"a limit of {metric.name}", _likely(metric))
    low, high = (-math.inf if metric.low is None else metric.low), (math.inf if metric.high is None else metric.high)
    if not low <= value <= high:
        bare = is_fraction(metric) and "%" not in text and "pt" not in text
        hint = f"write {text.strip()}%" if bare and low <= value / 100 <= high else f"it lies between {low:g} and {high:g}"
        raise SettingsError(_CODE, f"{metric.name} can't be {text.strip()}", hint)
    if metric.unit in _UNITS and value <= 0:
        raise SettingsError(_CODE, f"{metric.name} can't be {text.strip()}", "give a limit above 0")
    return value


def parse_duration(text: str) -> float:
    """A time span in seconds: ``30min``, ``90s``, ``1.5h``.

    Raises:
        SettingsError: ``bad-quantity``: no number, no unit of time, or not above 0.
    """
    seconds = _parse(text, _SECONDS, "a time span", ("min", "s", "h"))
    if seconds <= 0:
        raise SettingsError(_CODE, f"{text.strip()} leaves no time", "give a time span above 0, such as 30min")
    return seconds


def _units(metric: Metric) -> Mapping[str, float]:
    if metric.unit in _UNITS:
        return _UNITS[metric.unit]
    if is_fraction(metric):
        return _FRACTION
    return {"": 1.0} if metric.unit == ONE else {"": 1.0, str(metric.unit): 1.0}


def _likely(metric: Metric) -> tuple[str, ...]:
    return _LIKELY.get(metric.unit, ("%", "pt") if is_fraction(metric) else ())


def _parse(text: str, units: Mapping[str, float], what: str, likely: tuple[str, ...]) -> float:
    example = f"write it like {' or '.join(f'5{unit}' for unit in likely)}" if likely else "write a bare number"
    own = next((unit for unit in units if unit and text.rstrip().endswith(unit) and not unit.isalpha() and unit != "%"), "")  # a unit such as img/s
    match = _QUANTITY.fullmatch(text.rstrip().removesuffix(own))
    if match is None:
        hint = f"{example}; a decimal point is a point" if "," in text else example
        raise SettingsError(_CODE, f"{text.strip()!r} is no quantity, where {what} is wanted", hint)
    number, unit = float(match[1].replace("−", "-")), match[2] or own
    if not math.isfinite(number):
        raise SettingsError(_CODE, f"{text.strip()!r} is too large for {what}", example)
    if unit in units:
        # Through the decimal text, so that 97% is the float 0.97 and not 0.9700000000000001.
        return float(f"{number * units[unit]:.15g}")
    if not unit:
        raise SettingsError(_CODE, f"{text.strip()!r} has no unit, where {what} is wanted", f"write {' or '.join(f'{text.strip()}{u}' for u in likely)}")
    same = [known for known in units if known.lower() == unit.lower()]
    hint = f"did you mean {' or '.join(f'{match[1]}{u}' for u in same)}?" if same else did_you_mean(unit, [u for u in units if u and u.isascii()] or ["none"])
    raise SettingsError(_CODE, f"{unit!r} is no unit of {what}", hint)
