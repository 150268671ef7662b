"""How sure it is that a value, or a change, lies beyond a limit: one-sided p-values, by the tests that ``compare`` uses wherever they apply.

Every p-value here is the chance of a value at least this far beyond the limit if the truth lay on it, so a rule that fails below ``alpha`` raises a false
alarm in at most ``alpha`` of the cases.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy import stats

from efficient360.core import formatting
from efficient360.core.arrays import Floats
from efficient360.core.measurement import LEVEL, Interval, Measurement
from efficient360.core.statistics import ROUNDING, bootstrap_mean, is_binary, paired_interval
from efficient360.reports.comparing.evidence import difference_interval, swap_p_value, untested_reason
from efficient360.reports.comparing.example_values import Paired
from efficient360.reports.comparing.standard_errors import Error, error_of, error_of_difference, longer_side

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
    error = error_of(m, m.interval.high - m.value if m.value < limit else m.value - m.interval.low)
    if error.normal == 0:
        return Evidence(None, False, "an interval of no width", m.interval)
    return Evidence(_p_value(m.value - limit, error, below), False, "interval of the value", m.interval)


def change_evidence(run: Measurement, baseline: Measurement, factor: float, shift: float, below: bool) -> Evidence:
    """Evidence from two intervals that the truth of ``run - factor * baseline - shift`` lies below 0 (above, unless ``below``).

    The two errors are taken as independent, and the longer side of each interval for its error, as ``compare`` does.
    """
    if (untested := _no_test(run, baseline)) is not None:
        return untested
    ours, theirs = error_of(run, longer_side(run)), error_of(baseline, longer_side(baseline))
    own = _own_factor(factor, run.value, baseline.value)
    interval = difference_interval(baseline, run)
    if own != 1:
        interval = _around(run.value - baseline.value, error_of_difference(ours, theirs, own), "two intervals")
    return _tested(run.value - factor * baseline.value - shift, error_of_difference(ours, theirs, factor), below, interval)


def ratio_evidence(run: Measurement, baseline: Measurement, factor: float, below: bool) -> Evidence:
    """As :func:`change_evidence` of ``run - factor * baseline``, on the log scale: for values that are positive, whose ratio it is that matters.

    Both values and the ends of their intervals are above 0, see :func:`is_positive`.
    """
    if (untested := _no_test(run, baseline)) is not None:
        return untested
    (low, high), (base_low, base_high) = _log_sides(run), _log_sides(baseline)
    ratio = run.value / baseline.value
    ends = ratio * math.exp(-math.hypot(low, base_high)), ratio * math.exp(math.hypot(high, base_low))  # MOVER, Zou & Donner 2008
    interval = Interval(baseline.value * (ends[0] - 1), baseline.value * (ends[1] - 1), LOGARITHMS)
    error = error_of_difference(error_of(run, max(low, high)), error_of(baseline, max(base_low, base_high)))
    return _tested(math.log(ratio / factor), error, below, interval)


def _no_test(run: Measurement, baseline: Measurement) -> Evidence | None:
    """Why two values need no test, or can't have one; ``None`` where their intervals make one."""
    if run.exact and baseline.exact:
        return Evidence(None, True, "exact values")
    reason = untested_reason(run) or untested_reason(baseline)
    return Evidence(None, False, reason) if reason else None


def _tested(distance: float, error: Error, below: bool, interval: Interval | None) -> Evidence:
    """Evidence from the distance of two values to the limit, and the error of their difference."""
    if error.normal == 0:
        return Evidence(None, False, "intervals of no width")
    basis = "repeats of the two values" if math.isfinite(error.freedom) else "intervals of the two values"
    return Evidence(_p_value(distance, error, below), False, basis, interval)


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
    if factor == 1 and is_binary(first, second):
        p = _binary_p_value(int((second > first).sum()), int((first > second).sum()), len(pair), shift, below)
        return Evidence(p, False, basis, paired_interval(first, second, seed=0))
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
    interval = _around(ours - theirs, Error(float((second - _own_factor(factor, ours, theirs) * first).std(ddof=1))), "paired-bootstrap")
    if factor == 1 and abs(shift) < ROUNDING:
        two_sided = swap_p_value(pair)
        return Evidence(two_sided / 2 if (ours < theirs if below else ours > theirs) else 1 - two_sided / 2, False, basis, interval)
    if error == 0:
        return Evidence(None, False, "resamples that do not differ", interval)
    return Evidence(_tail((ours - factor * theirs - shift) / error, below), False, basis, interval)


def _own_factor(factor: float, run: float, baseline: float) -> float:
    """The ratio found, for the interval of a relative change; 1 for that of a difference."""
    return 1.0 if factor == 1 or baseline == 0 else run / baseline


def _around(value: float, error: Error, method: str) -> Interval:
    return Interval(value - _Z * error.normal, value + _Z * error.normal, method)


def _p_value(distance: float, error: Error, below: bool) -> float:
    """Of few repeats the larger of two: Student's t, whose tails are long, and the normal's, as their intervals also hold what no repeat within a run shows."""
    p = _tail(distance / error.normal, below)
    if not math.isfinite(error.freedom) or error.student == 0:
        return p
    t = distance / error.student
    return max(p, float(stats.t.cdf(t, error.freedom) if below else stats.t.sf(t, error.freedom)))


def _tail(z: float, below: bool) -> float:
    return float(stats.norm.cdf(z) if below else stats.norm.sf(z))
