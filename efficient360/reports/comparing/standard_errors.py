"""How far a measured value may be off, and a difference of two: the error that an interval stands for, normal or Student's t."""

import math
import re
from dataclasses import dataclass
from typing import Final, final

from scipy import stats

from efficient360.core.measurement import LEVEL, Measurement

REPEATS: Final = "student-t over"
"""How the intervals begin that are made of independent repeats."""


@final
@dataclass(frozen=True)
class Error:
    """How far a value may be off.

    Args:
        normal: Standard error that its interval stands for if it is normal.
        student: The one that it stands for if it is Student's t over few repeats.
        freedom: Their degrees of freedom; infinite where it is not.
    """

    normal: float
    student: float = 0.0
    freedom: float = math.inf


def is_repeated(m: Measurement) -> bool:
    """Whether a value's interval is Student's t over independent repeats."""
    return m.interval is not None and m.interval.method.startswith(REPEATS)


def longer_side(m: Measurement) -> float:
    """How far a value's interval reaches on its longer side; 0 without one."""
    return 0.0 if m.interval is None else max(m.interval.high - m.value, m.value - m.interval.low)


def error_of(m: Measurement, side: float) -> Error:
    """The error that a side of a value's interval stands for; none for an exact value."""
    if m.interval is None:
        return Error(0.0)
    quantile, side = (1 + (m.interval.level or LEVEL)) / 2, max(0.0, side)
    normal = side / float(stats.norm.ppf(quantile))
    if not is_repeated(m):
        return Error(normal, normal)
    counted = re.search(r"over (\d+)", m.interval.method)
    freedom = max(1, (int(counted[1]) if counted else m.n) - 1)
    return Error(normal, side / float(stats.t.ppf(quantile, freedom)), freedom)


def error_of_difference(first: Error, second: Error, factor: float = 1.0) -> Error:
    """The error of ``first - factor * second``, taken as independent, with the degrees of freedom of Welch (1947) and Satterthwaite."""
    student = math.hypot(first.student, factor * second.student)
    weights = first.student**4 / first.freedom + (factor * second.student) ** 4 / second.freedom
    return Error(math.hypot(first.normal, factor * second.normal), student, student**4 / weights if weights else math.inf)
