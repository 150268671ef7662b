"""Values behind the differences between groups: whether each example was classified correctly, and the group it stands in.

Only groups that examples' own values tell (``brightness`` and the other proxies) are kept example by example; a data set's columns are not.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.groupings import Grouping, quantile_groups
from efficient360.core.measurement import Measurement
from efficient360.core.outcome import Record
from efficient360.reports.comparing.example_values import ExampleTable, ExampleValues, OfMeans, stacked

EVALUATOR: Final = "group_fairness"
CORRECT: Final = (("accuracy", "top1"), ("calibration", "correct"), ("inclusion", "correct"))
"""Who keeps whether an example was classified correctly."""
DRAWS: Final = 2000
"""Permutations behind an expectation under the null."""
NULL_ROUNDING: Final = 0.1
"""How far, as a share of its interval, a stored excess may lie from ours: its null was drawn by chance, and so is ours."""


def group_values(record: Record, m: Measurement, table: ExampleTable) -> Iterator[ExampleValues]:
    """Candidates for the values behind a metric of ``group_fairness``; columns are scores within each group, then who stands in it."""
    correct = next((column for evaluator, name in CORRECT if (column := table.column(evaluator, name)) is not None), None)
    traits = [(str(trait), table.column(EVALUATOR, str(trait))) for trait in record.settings.get("derived", ())]
    if correct is None:
        return
    levels, minimum = int(record.settings.get("levels", 3)), int(record.settings.get("minimum", 1))
    wanted, name = m.conditions.get("groups"), m.metric.name
    groupings = [
        (quantile_groups(f"{trait.replace('_', ' ')} (proxy)", np.array(list(column.values())), levels), list(column)) for trait, column in traits if column
    ]
    named = [(grouping, ids) for grouping, ids in groupings if grouping.name == wanted]
    if name == "group_accuracy":
        for grouping, ids in named:
            inside = {example for example, code in zip(ids, grouping.codes, strict=True) if grouping.names[code] == m.conditions.get("group")}
            yield stacked([{example: value for example, value in correct.items() if example in inside}])
        return
    scored = _residuals(correct, table.column(EVALUATOR, "confidence")) if name == "calibration_difference" else correct
    compared = [_members(grouping, ids, minimum) for grouping, ids in (groupings if name == "largest_gap_excess" else named)]
    compared = [members for members in compared if len(members) > 1]
    if name not in _STATISTICS or scored is None or not compared:
        return
    sizes = [[int(sum(member.values())) for member in members] for members in compared]
    columns = [scored, *(member for members in compared for member in members)]
    values = stacked(columns, lambda t: np.concatenate([t[:, :1] * t[:, 1:], t[:, 1:]], axis=1), OfMeans(_STATISTICS[name](sizes)))
    reach = 0.0 if m.interval is None or not name.endswith("excess") else NULL_ROUNDING * (m.interval.high - m.interval.low)
    yield ExampleValues(values.ids, values.values, values.statistic, reach)


def _residuals(correct: Any, confidence: Any) -> dict[str, float] | None:
    """Confidence minus correctness."""
    return None if confidence is None else {example: confidence[example] - value for example, value in correct.items() if example in confidence}


def _members(grouping: Grouping, ids: Sequence[str], minimum: int) -> list[dict[str, float]]:
    """Whether each example stands in each of the groups that are large enough."""
    large = np.flatnonzero(grouping.sizes >= minimum)
    return [{example: float(code == group) for example, code in zip(ids, grouping.codes, strict=True)} for group in large]


Sizes = Sequence[Sequence[int]]
"""Sizes of the compared groups of each grouping."""


def _rates(means: Floats, sizes: Sequence[Sequence[int]]) -> list[Floats]:
    """Rates by group ``(r, G)`` of each grouping, from means of the scores in each group and of who stands in it."""
    width = means.shape[1] // 2
    rates = means[:, :width] / np.maximum(means[:, width:], np.finfo(float).tiny)
    return np.split(rates, np.cumsum([len(groups) for groups in sizes])[:-1], axis=1)


def _over_rates(of: Callable[[Floats], Floats]) -> Callable[[Sizes], Callable[[Floats, int], Floats]]:
    """A statistic of one grouping's rates ``(r, G)``."""
    return lambda sizes: lambda means, _: of(_rates(means, sizes)[0])


def _range(rates: Floats) -> Floats:
    spread: Floats = rates.max(axis=1) - rates.min(axis=1)
    return spread


def _ratio(rates: Floats) -> Floats:
    ratio: Floats = rates.min(axis=1) / np.maximum(rates.max(axis=1), np.finfo(float).tiny)
    return ratio


def _lowest(rates: Floats) -> Floats:
    lowest: Floats = rates.min(axis=1)
    return lowest


def _largest_excess(sizes: Sizes) -> Callable[[Floats, int], Floats]:
    """The largest range over the groupings, each less its expectation where groups don't matter."""

    @cache
    def expected(grouping: int, hits: int) -> float:
        """Mean range of the rates of groups that share so many hits by chance."""
        groups = np.array(sizes[grouping])
        drawn = np.random.default_rng([hits, *groups]).multivariate_hypergeometric(groups, hits, size=DRAWS, method="marginals")
        return float(_range(drawn / groups).mean())

    def statistic(means: Floats, _: int) -> Floats:
        excesses = []
        for grouping, rates in enumerate(_rates(means, sizes)):
            hits, index = np.unique(np.rint(rates @ np.array(sizes[grouping], dtype=np.float64)).astype(np.int64), return_inverse=True)
            excesses.append(_range(rates) - np.array([expected(grouping, int(count)) for count in hits])[index])
        largest: Floats = np.max(excesses, axis=0)
        return largest

    return statistic


_STATISTICS: Final[dict[str, Callable[[Sizes], Callable[[Floats, int], Floats]]]] = {
    "accuracy_difference": _over_rates(_range),
    "accuracy_difference_excess": _largest_excess,
    "accuracy_ratio": _over_rates(_ratio),
    "worst_group_accuracy": _over_rates(_lowest),
    "calibration_difference": _over_rates(_range),
    "largest_gap_excess": _largest_excess,
}
"""How each metric follows from the rates of groups."""
