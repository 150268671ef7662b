"""Goals as people type them: ``latency_p50<10ms``, ``top1>=97%``, ``top1_drop<1pt``."""

import re
from collections.abc import Sequence
from typing import Final

from efficient360.codesign.goal import Goal
from efficient360.codesign.quantity import parse_limit
from efficient360.core.close_names import did_you_mean
from efficient360.core.measurement import Better, Metric
from efficient360.errors import SettingsError

_GOAL: Final = re.compile(r"\s*([A-Za-z_][\w-]*)\s*(<=|>=|<|>|≤|≥|==|=|:)\s*(.+?)\s*", re.DOTALL)
_LOWER: Final = ("<", "<=", "≤")
_HIGHER: Final = (">", ">=", "≥")


def parse_goal(text: str, metrics: Sequence[Metric]) -> Goal:
    """A goal; ``<`` and ``<=`` mean the same, as do ``>`` and ``>=``: nothing that is measured is known to be exactly its limit.

    Args:
        text: Name of a metric, a comparison and a limit with its unit.
        metrics: What can be asked for.

    Raises:
        SettingsError: ``bad-goal``: it is no such text, or bounds the metric on the side where it is better; ``unknown-metric``; ``bad-quantity``: its limit.
    """
    match = _GOAL.fullmatch(text)
    if match is None:
        raise SettingsError("bad-goal", f"{text.strip()!r} is no goal", f"write it like {_example(metrics)}")
    name, comparison, limit = match[1].replace("-", "_"), match[2], match[3]
    known = {metric.name: metric for metric in metrics if metric.better is not Better.NEITHER}
    if name not in known:
        raise SettingsError("unknown-metric", f"{match[1]} is nothing that a goal can bound here", did_you_mean(name, list(known)))
    metric = known[name]
    sign = "<=" if metric.better is Better.LOWER else ">="
    if comparison not in _LOWER + _HIGHER:
        raise SettingsError("bad-goal", f"a goal is a bound, and {text.strip()!r} is none", f"write {name}{sign}{limit}")
    if (comparison in _LOWER) != (metric.better is Better.LOWER):
        raise SettingsError("bad-goal", f"{text.strip()!r} asks for a worse {name}: {metric.better.value} is better", f"write {name}{sign}{limit}")
    return Goal(metric, parse_limit(limit, metric))


def merge_goals(goals: Sequence[Goal]) -> tuple[Goal, ...]:
    """The goals with the strictest limit of each metric, in the order in which the metrics were first named."""
    strictest: dict[str, Goal] = {}
    for goal in goals:
        before = strictest.get(goal.metric.name)
        if before is None or goal.violation(before.limit) > 0:
            strictest[goal.metric.name] = goal
    return tuple(strictest.values())


def _example(metrics: Sequence[Metric]) -> str:
    limits = {"s": "10ms", "B": "2MB", "J": "5mJ"}
    lower = next((metric for metric in metrics if metric.better is Better.LOWER), None)
    return "latency_p50<10ms" if lower is None else f"{lower.name}<{limits.get(lower.unit, '1pt')}"
