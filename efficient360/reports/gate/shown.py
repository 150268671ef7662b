"""Whether a rule that its value keeps is kept by the whole interval, too, and how large a change would have to be to be found."""

from typing import Final

from scipy import stats

from efficient360.core.measurement import LEVEL, Interval
from efficient360.reports.gate.evidence import LOGARITHMS
from efficient360.reports.gate.results import RuleResult, State
from efficient360.reports.gate.rule import Quantity
from efficient360.reports.gate.words import signed

_ONE_SIDED: Final = (1 - LEVEL) / 2


def is_shown(result: RuleResult) -> bool:
    """Whether a rule is kept by an exact value, or by the end of the 95 % interval that faces the limit; never where it has no confidence interval."""
    if result.state is not State.PASSED or result.value is None or result.limit is None:
        return False
    if result.value.exact and (result.baseline is None or result.baseline.exact):
        return True
    if result.p_value is None or result.interval is None:  # it can't be tested: measured once, a range, too few
        return False
    end = result.interval.low if result.rule.worse_below else result.interval.high
    return not result.rule.breaks(end - result.limit.amount, abs(end) + abs(result.limit.amount))


def caution(result: RuleResult, alpha: float | None) -> str:
    """What to say of a rule that its value keeps and its interval does not; ``""`` of any other.

    Args:
        result: What became of it.
        alpha: Chance of a false alarm of the whole check; ``None`` where values decide by themselves.
    """
    if result.state is not State.PASSED or result.p_value is None or result.interval is None or is_shown(result):
        return ""
    if result.limit is None or result.metric is None or result.limit.quantity is Quantity.VALUE:
        return "the value keeps it, its interval does not (not shown)"
    told = "the change keeps it, its interval does not (not shown)"
    if alpha is None:
        return told
    least = _least_change(result, result.interval, alpha)
    return f"{told}; finds no change" + ("" if least is None else f" smaller than about {signed(least, result, result.metric)}")


def _least_change(result: RuleResult, interval: Interval, alpha: float) -> float | None:
    """The least change that a lone rule would call beyond chance: as far beyond the limit as the interval reaches in that direction; ``None`` for none.

    With other rules beside it, Holm's correction asks for more.
    """
    if result.change is None or result.limit is None or result.metric is None or result.baseline is None:
        return None
    below, limit, change = result.rule.worse_below, result.limit.amount, result.change
    share = float(stats.norm.isf(alpha) / stats.norm.isf(_ONE_SIDED))
    if interval.method == LOGARITHMS:
        ratio = (1 + (interval.low if below else interval.high)) / (1 + change)
        return float((1 + limit) * ratio**share - 1)
    least = limit + share * (interval.low - change if below else interval.high - change)
    reached = result.baseline.value * (1 + least) if result.limit.quantity is Quantity.RELATIVE else result.baseline.value + least
    low, high = result.metric.low, result.metric.high
    return None if (low is not None and reached < low) or (high is not None and reached > high) else least
