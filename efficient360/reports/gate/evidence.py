"""How sure it is that a value, or a change, lies beyond a limit: one-sided p-values, by the tests that ``compare`` uses wherever they apply.

Every p-value here is the chance of a value at least this far beyond the limit if the truth lay on it, so a rule that fails below ``alpha`` raises a false
alarm in at most ``alpha`` of the cases.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.core import formatting
from efficient360.core.measurement import LEVEL, Interval, Measurement
from efficient360.core.statistics import ROUNDING, bootstrap_mean
from efficient360.reports.comparing.example_values import Paired
from efficient360.reports.comparison import untested_reason

RESAMPLES: Final = 1000
_Z: Final = float(stats.norm.ppf((1 + LEVEL) / 2))
_BINOMIAL: Final = ("wilson", "clopper-pearson")
Values = NDArray[np.float64]


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


def value_evidence(m: Measurement, limit: float, below: bool) -> Evidence:
    """Evidence that the true value lies below ``limit`` (above it, unless ``below``).

    Shares of examples get the exact binomial test; any other value the side of its interval that faces the limit.
    """
    if m.exact:
        return Evidence(None, True, "exact value")
    if m.interval is None or untested_reason(m):
        return Evidence(None, False, untested_reason(m), m.interval)
    hits = m.value * m.n
    if m.interval.method in _BINOMIAL and 0 <= limit <= 1 and abs(hits - round(hits)) < 1e-6 * m.n:
        p = stats.binomtest(round(hits), m.n, limit, alternative="less" if below else "greater").pvalue
        return Evidence(float(p), False, f"binomial test over {formatting.count(m.n)} examples", m.interval)
    side = m.interval.high - m.value if m.value < limit else m.value - m.interval.low
    error = max(0.0, side) / _z_of(m.interval)
    if error == 0:
        return Evidence(None, False, "an interval of no width", m.interval)
    return Evidence(_tail((m.value - limit) / error, below), False, "interval of the value", m.interval)


def change_evidence(run: Measurement, baseline: Measurement, factor: float, shift: float, below: bool) -> Evidence:
    """Evidence from two intervals that the truth of ``run - factor * baseline - shift`` lies below 0 (above, unless ``below``).

    The two errors are taken as independent, and the longer side of each interval for its error, as ``compare`` does.
    """
    if run.exact and baseline.exact:
        return Evidence(None, True, "exact values")
    if reason := untested_reason(run) or untested_reason(baseline):
        return Evidence(None, False, reason)
    error = math.hypot(_longer_side(run), factor * _longer_side(baseline))
    if error == 0:
        return Evidence(None, False, "intervals of no width")
    distance = run.value - factor * baseline.value - shift
    spread = math.hypot(_longer_side(run), _own_factor(factor, run.value, baseline.value) * _longer_side(baseline))
    interval = _around(run.value - baseline.value, spread, "two intervals")
    return Evidence(_tail(distance / error, below), False, "intervals of the two values", interval)


def paired_evidence(pair: Paired, factor: float, shift: float, below: bool) -> Evidence:
    """Evidence from values of the same examples that the truth of ``run - factor * baseline - shift`` lies below 0 (above, unless ``below``).

    The baseline is ``pair.first``. Right or wrong against a limit of 0: exact McNemar; against another difference: Tango's score test; other means: paired
    t; statistics that are no mean: the spread of paired resamples.
    """
    basis = f"paired test over {formatting.count(len(pair))} examples"
    if pair.statistic is not None:
        return _resampled(pair, pair.statistic, factor, shift, below, basis)
    first, second = pair.first[:, 0], pair.second[:, 0]
    own = _own_factor(factor, float(second.mean()), float(first.mean()))
    spread = bootstrap_mean(second - own * first, seed=0)
    moved = (own - 1) * float(first.mean())
    interval = Interval(spread.low + moved, spread.high + moved, spread.method)
    binary = factor == 1 and bool(np.isin(np.concatenate([first, second]), (0.0, 1.0)).all())
    if binary:
        gained, lost = int(((first == 0) & (second == 1)).sum()), int(((first == 1) & (second == 0)).sum())
        return Evidence(_binary_p_value(gained, lost, len(pair), shift, below), False, basis, interval)
    differences = second - factor * first - shift
    if len(differences) < 2:
        return Evidence(None, False, "a single pair", interval)
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


def _resampled(pair: Paired, statistic: Callable[[Values], Values], factor: float, shift: float, below: bool, basis: str) -> Evidence:
    n = len(pair)
    rows = np.random.default_rng(0).integers(0, n, (RESAMPLES, n))
    pieces = [slice(i, i + 100) for i in range(0, RESAMPLES, 100)]
    first, second = (np.concatenate([statistic(values[rows[piece]]) for piece in pieces]) for values in (pair.first, pair.second))
    at = [float(statistic(values[None])[0]) for values in (pair.first, pair.second)]
    if not np.isfinite(np.concatenate([first, second])).all():
        return Evidence(None, False, "resamples without a value")
    error = float((second - factor * first).std(ddof=1))
    spread = float((second - _own_factor(factor, at[1], at[0]) * first).std(ddof=1))
    interval = _around(at[1] - at[0], spread, "paired-bootstrap")
    if error == 0:
        return Evidence(None, False, "resamples that do not differ", interval)
    return Evidence(_tail((at[1] - factor * at[0] - shift) / error, below), False, basis, interval)


def _own_factor(factor: float, run: float, baseline: float) -> float:
    """The ratio found, for the interval of a relative change; 1 for that of a difference."""
    return 1.0 if factor == 1 or baseline == 0 else run / baseline


def _around(value: float, error: float, method: str) -> Interval:
    return Interval(value - _Z * error, value + _Z * error, method)


def _longer_side(m: Measurement) -> float:
    """The standard error that the longer side of an interval stands for; 0 for an exact value."""
    return 0.0 if m.interval is None else max(m.interval.high - m.value, m.value - m.interval.low, 0.0) / _z_of(m.interval)


def _z_of(interval: Interval) -> float:
    return float(stats.norm.ppf((1 + (interval.level or LEVEL)) / 2))


def _tail(z: float, below: bool) -> float:
    return float(stats.norm.cdf(z) if below else stats.norm.sf(z))
