"""How sure it is that a value, or a change, lies beyond a limit: one-sided p-values, by the tests that ``compare`` uses wherever they apply.

Every p-value here is the chance of a value at least this far beyond the limit if the truth lay on it, so a rule that fails below ``alpha`` raises a false
alarm in at most ``alpha`` of the cases.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy import stats

from efficient360.core import formatting
from efficient360.core.arrays import Floats
from efficient360.core.measurement import LEVEL, Interval, Measurement
from efficient360.core.statistics import ROUNDING, bootstrap_mean, newcombe_paired
from efficient360.reports.comparing.evidence import REPEATS, difference_interval, swap_p_value, untested_reason
from efficient360.reports.comparing.example_values import Paired

RESAMPLES: Final = 1000
LOGARITHMS: Final = "mover of logarithms"
"""Method of an interval of a ratio."""
_CELLS: Final = 2_000_000
"""Values of resamples held at a time."""
_Z: Final = float(stats.norm.ppf((1 + LEVEL) / 2))
_BINOMIAL: Final = ("wilson", "clopper-pearson")


@final
@dataclass(frozen=True)
class Evidence:
    """What says that something lies beyond a limit.

    Args:
        p_value: One-sided, ``None`` where nothing was tested.
        exact: Whether there is no uncertainty, and so nothing to test.
        basis: What was tested, or why nothing was.
        interval: 95 % interval of the value or the change, in its unit; ``None`` where there is none.
    """

    p_value: float | None
    exact: bool
    basis: str
    interval: Interval | None = None


@final
@dataclass(frozen=True)
class _Error:
    """How far a value may be off.

    Args:
        normal: Standard error that its interval stands for if it is normal.
        student: The one that it stands for if it is Student's t over few repeats.
        freedom: Their degrees of freedom; infinite where it is not.
    """

    normal: float
    student: float = 0.0
    freedom: float = math.inf


def value_evidence(m: Measurement, limit: float, below: bool) -> Evidence:
    """Evidence that the true value lies below ``limit`` (above it, unless ``below``).

    Shares of examples get the exact binomial test; any other value the side of its interval that faces the limit, as Student's t where it is of few repeats.
    """
    if m.exact:
        return Evidence(None, True, "exact value")
    if m.interval is None or untested_reason(m):
        return Evidence(None, False, untested_reason(m), m.interval)
    hits = m.value * m.n
    if m.interval.method in _BINOMIAL and 0 <= limit <= 1 and abs(hits - round(hits)) < 1e-6 * m.n:
        p = stats.binomtest(round(hits), m.n, limit, alternative="less" if below else "greater").pvalue
        return Evidence(float(p), False, f"binomial test over {formatting.count(m.n)} examples", m.interval)
    error = _error(m, m.interval.high - m.value if m.value < limit else m.value - m.interval.low)
    if error.normal == 0:
        return Evidence(None, False, "an interval of no width", m.interval)
    return Evidence(_p_value(m.value - limit, error, below), False, "interval of the value", m.interval)


def change_evidence(run: Measurement, baseline: Measurement, factor: float, shift: float, below: bool) -> Evidence:
    """Evidence from two intervals that the truth of ``run - factor * baseline - shift`` lies below 0 (above, unless ``below``).

    The two errors are taken as independent, and the longer side of each interval for its error, as ``compare`` does.
    """
    if run.exact and baseline.exact:
        return Evidence(None, True, "exact values")
    if reason := untested_reason(run) or untested_reason(baseline):
        return Evidence(None, False, reason)
    ours, theirs = _error(run, _longer_side(run)), _error(baseline, _longer_side(baseline))
    error = _difference(ours, theirs, factor)
    if error.normal == 0:
        return Evidence(None, False, "intervals of no width")
    own = _own_factor(factor, run.value, baseline.value)
    interval = difference_interval(baseline, run) if own == 1 else _around(run.value - baseline.value, _difference(ours, theirs, own), "two intervals")
    basis = "repeats of the two values" if math.isfinite(error.freedom) else "intervals of the two values"
    return Evidence(_p_value(run.value - factor * baseline.value - shift, error, below), False, basis, interval)


def ratio_evidence(run: Measurement, baseline: Measurement, factor: float, below: bool) -> Evidence:
    """As :func:`change_evidence` of ``run - factor * baseline``, on the log scale: for values that are positive, whose ratio it is that matters.

    Both values and the ends of their intervals are above 0, see :func:`is_positive`.
    """
    if run.exact and baseline.exact:
        return Evidence(None, True, "exact values")
    if reason := untested_reason(run) or untested_reason(baseline):
        return Evidence(None, False, reason)
    (low, high), (base_low, base_high) = _log_sides(run), _log_sides(baseline)
    error = _difference(_error(run, max(low, high)), _error(baseline, max(base_low, base_high)), 1.0)
    if error.normal == 0:
        return Evidence(None, False, "intervals of no width")
    ratio = run.value / baseline.value
    ends = ratio * math.exp(-math.hypot(low, base_high)), ratio * math.exp(math.hypot(high, base_low))  # MOVER, Zou & Donner 2008
    interval = Interval(baseline.value * (ends[0] - 1), baseline.value * (ends[1] - 1), LOGARITHMS)
    basis = "repeats of the two values" if math.isfinite(error.freedom) else "intervals of the two values"
    return Evidence(_p_value(math.log(ratio / factor), error, below), False, basis, interval)


def is_positive(m: Measurement) -> bool:
    """Whether a value and its interval lie above 0."""
    return m.value > 0 and (m.interval is None or m.interval.low > 0)


def _log_sides(m: Measurement) -> tuple[float, float]:
    """How far an interval reaches below and above its value on the log scale."""
    return (0.0, 0.0) if m.interval is None else (math.log(m.value / m.interval.low), math.log(m.interval.high / m.value))


def paired_evidence(pair: Paired, factor: float, shift: float, below: bool) -> Evidence:
    """Evidence from values of the same examples that the truth of ``run - factor * baseline - shift`` lies below 0 (above, unless ``below``).

    The baseline is ``pair.first``. Right or wrong against a limit of 0: exact McNemar; against another difference: Tango's score test; other means: paired
    t; statistics that are no mean: swaps of the examples' values against a limit of 0, else the spread of paired resamples.
    """
    basis = f"paired test over {formatting.count(len(pair))} examples"
    if len(pair) < 2:
        return Evidence(None, False, "a single pair")
    if pair.statistic is not None:
        return _of_statistic(pair, pair.statistic, factor, shift, below, basis)
    first, second = pair.first[:, 0], pair.second[:, 0]
    if factor == 1 and bool(np.isin(np.concatenate([first, second]), (0.0, 1.0)).all()):
        both, gained, lost = (int(mask.sum()) for mask in (first * second == 1, second > first, first > second))
        interval = newcombe_paired(both, gained, lost, len(pair) - both - gained - lost)
        return Evidence(_binary_p_value(gained, lost, len(pair), shift, below), False, basis, interval)
    own = _own_factor(factor, float(second.mean()), float(first.mean()))
    spread, moved = bootstrap_mean(second - own * first, seed=0), (own - 1) * float(first.mean())
    interval = Interval(spread.low + moved, spread.high + moved, spread.method)
    differences = second - factor * first - shift
    if np.ptp(differences) <= ROUNDING * max(1.0, float(np.abs(differences).max())):
        beyond = differences[0] < 0 if below else differences[0] > 0
        return Evidence(0.0 if beyond else 1.0, False, basis, interval)
    return Evidence(float(stats.ttest_1samp(differences, 0.0, alternative="less" if below else "greater").pvalue), False, basis, interval)


def _binary_p_value(gained: int, lost: int, n: int, shift: float, below: bool) -> float:
    """One-sided p-value of "the accuracy changed by ``shift``" against a lower (higher) change, from the numbers of discordant pairs."""
    if abs(shift) < ROUNDING:
        return float(stats.binomtest(gained, gained + lost, 0.5, alternative="less" if below else "greater").pvalue) if gained + lost else 1.0
    return _tail(tango(gained, lost, n, shift), below)


def tango(gained: int, lost: int, n: int, difference: float) -> float:
    """Score statistic of "two paired proportions differ by ``difference``", standard normal where they do.

    Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design", Statistics in Medicine 17,
    891-908: the difference found, less ``difference``, over its standard error where the most likely proportions with that difference hold.

    Args:
        gained: Pairs that are right the second time only.
        lost: Pairs that are right the first time only.
        n: All pairs.
        difference: Second proportion minus the first, in (-1, 1).
    """
    # The likelihood of the share q of lost pairs, with q + difference of gained ones, is largest at the larger root of 2n q² − b q − lost·d·(1 − d).
    b = (gained + lost) * (1 - difference) - 2 * difference * (n - gained)
    q = (b + math.sqrt(b * b + 8 * n * lost * difference * (1 - difference))) / (4 * n)
    q = max(q, 0.0, -difference)
    variance = (2 * q + difference - difference**2) / n
    found = (gained - lost) / n - difference
    return math.copysign(math.inf, found) if variance <= 0 and found else found / math.sqrt(variance) if found else 0.0


def _of_statistic(pair: Paired, statistic: Callable[[Floats], Floats], factor: float, shift: float, below: bool, basis: str) -> Evidence:
    n, rng = len(pair), np.random.default_rng(0)
    pieces: list[tuple[Floats, Floats]] = []
    for start in range(0, RESAMPLES, step := max(1, _CELLS // pair.first.size)):
        rows = rng.integers(0, n, (min(step, RESAMPLES - start), n))
        pieces.append((statistic(pair.first[rows]), statistic(pair.second[rows])))
    first, second = (np.concatenate(side) for side in zip(*pieces, strict=True))
    ours, theirs = (float(statistic(values[None])[0]) for values in (pair.second, pair.first))
    if not np.isfinite(np.concatenate([first, second, [ours, theirs]])).all():
        return Evidence(None, False, "a statistic that some resamples lack")
    error = float((second - factor * first).std(ddof=1))
    interval = _around(ours - theirs, _Error(float((second - _own_factor(factor, ours, theirs) * first).std(ddof=1))), "paired-bootstrap")
    if factor == 1 and abs(shift) < ROUNDING:
        two_sided = swap_p_value(pair)
        return Evidence(two_sided / 2 if (ours < theirs if below else ours > theirs) else 1 - two_sided / 2, False, basis, interval)
    if error == 0:
        return Evidence(None, False, "resamples that do not differ", interval)
    return Evidence(_tail((ours - factor * theirs - shift) / error, below), False, basis, interval)


def _own_factor(factor: float, run: float, baseline: float) -> float:
    """The ratio found, for the interval of a relative change; 1 for that of a difference."""
    return 1.0 if factor == 1 or baseline == 0 else run / baseline


def _around(value: float, error: _Error, method: str) -> Interval:
    return Interval(value - _Z * error.normal, value + _Z * error.normal, method)


def _longer_side(m: Measurement) -> float:
    return 0.0 if m.interval is None else max(m.interval.high - m.value, m.value - m.interval.low)


def _error(m: Measurement, side: float) -> _Error:
    """The error that a side of an interval stands for; none for an exact value."""
    if m.interval is None:
        return _Error(0.0)
    quantile, side = (1 + (m.interval.level or LEVEL)) / 2, max(0.0, side)
    normal = side / float(stats.norm.ppf(quantile))
    if not m.interval.method.startswith(REPEATS):
        return _Error(normal, normal)
    counted = re.search(r"over (\d+)", m.interval.method)
    freedom = max(1, (int(counted[1]) if counted else m.n) - 1)
    return _Error(normal, side / float(stats.t.ppf(quantile, freedom)), freedom)


def _difference(first: _Error, second: _Error, factor: float) -> _Error:
    """The error of ``first - factor * second``, with the degrees of freedom of Welch (1947) and Satterthwaite."""
    student = math.hypot(first.student, factor * second.student)
    weights = first.student**4 / first.freedom + (factor * second.student) ** 4 / second.freedom
    return _Error(math.hypot(first.normal, factor * second.normal), student, student**4 / weights if weights else math.inf)


def _p_value(distance: float, error: _Error, below: bool) -> float:
    """Of few repeats the larger of two: Student's t, whose tails are long, and the normal's, as their intervals also hold what no repeat within a run shows."""
    p = _tail(distance / error.normal, below)
    if not math.isfinite(error.freedom) or error.student == 0:
        return p
    t = distance / error.student
    return max(p, float(stats.t.cdf(t, error.freedom) if below else stats.t.sf(t, error.freedom)))


def _tail(z: float, below: bool) -> float:
    return float(stats.norm.cdf(z) if below else stats.norm.sf(z))
