"""Values behind the differences between groups: whether each example was classified correctly, and the group it stands in.

Only groups that examples' own values tell (``brightness`` and the other proxies) are kept example by example; a data set's columns are not.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.groupings import Grouping, quantile_groups
from efficient360.core.measurement import Measurement
from efficient360.core.outcome import Record
from efficient360.reports.comparing.example_values import ExampleTable, ExampleValues, stacked

EVALUATOR: Final = "group_fairness"
CORRECT: Final = (("accuracy", "top1"), ("calibration", "correct"), ("inclusion", "correct"))
"""Who keeps whether an example was classified correctly."""
DRAWS: Final = 2000
"""Permutations behind an expectation under the null."""
NULL_ROUNDING: Final = 0.1
"""How far, as a share of its interval, a stored excess may lie from ours: its null was drawn by chance, and so is ours."""
OUTSIDE: Final = -1.0
"""The group of an example whose own is too small to be compared."""


def group_values(record: Record, m: Measurement, table: ExampleTable) -> Iterator[ExampleValues]:
    """Candidates for the values behind a metric of ``group_fairness``; columns are the correctness or its residual, then the groups of each grouping."""
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
    chosen = groupings if name == "largest_gap_excess" else named
    statistic = _STATISTICS.get(name)
    if statistic is None or scored is None or not chosen:
        return
    codes = [dict(zip(ids, _compared(grouping, minimum), strict=True)) for grouping, ids in chosen]
    values = stacked([scored, *codes], statistic=statistic())
    reach = 0.0 if m.interval is None or not name.endswith("excess") else NULL_ROUNDING * (m.interval.high - m.interval.low)
    yield ExampleValues(values.ids, values.values, values.statistic, reach)


def _residuals(correct: Any, confidence: Any) -> dict[str, float] | None:
    """Confidence minus correctness."""
    return None if confidence is None else {example: confidence[example] - value for example, value in correct.items() if example in confidence}


def _compared(grouping: Grouping, minimum: int) -> list[float]:
    """Group of each example as a number, without those of groups that are too small."""
    large = grouping.sizes >= minimum
    return [float(code) if large[code] else OUTSIDE for code in grouping.codes]


def _by_group(values: Floats) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
    """Sums by group ``(r, G)`` and sizes ``(G,)`` of each grouping of at least two groups."""
    for column in range(1, values.shape[2]):
        codes = values[0, :, column]
        groups = np.unique(codes[codes != OUTSIDE])
        if len(groups) > 1:
            member = (codes[:, None] == groups).astype(np.float64)  # (n, G)
            yield values[:, :, 0] @ member, member.sum(axis=0).astype(np.int64)


def _over_rates(of: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """A statistic of one grouping's rates ``(r, G)``."""

    def statistic(values: Floats) -> Floats:
        return next((of(sums / sizes) for sums, sizes in _by_group(values)), np.full(len(values), np.nan))

    return statistic


def _range(rates: Floats) -> Floats:
    spread: Floats = rates.max(axis=1) - rates.min(axis=1)
    return spread


def _ratio(rates: Floats) -> Floats:
    ratio: Floats = rates.min(axis=1) / np.maximum(rates.max(axis=1), np.finfo(float).tiny)
    return ratio


def _lowest(rates: Floats) -> Floats:
    lowest: Floats = rates.min(axis=1)
    return lowest


def _largest_excess() -> Callable[[Floats], Floats]:
    """The largest range over the groupings, each less its expectation where groups don't matter."""
    expected = _expected_range()

    def statistic(values: Floats) -> Floats:
        excesses = []
        for sums, sizes in _by_group(values):
            totals, index = np.unique(np.rint(sums.sum(axis=1)).astype(np.int64), return_inverse=True)
            null = np.array([expected(tuple(sizes.tolist()), int(total)) for total in totals])
            excesses.append(_range(sums / sizes) - null[index])
        return np.max(excesses, axis=0) if excesses else np.full(len(values), np.nan)

    return statistic


def _expected_range() -> Callable[[tuple[int, ...], int], float]:
    @cache
    def expected(sizes: Sequence[int], hits: int) -> float:
        """Mean range of the rates of groups of these sizes that share so many hits by chance."""
        drawn = np.random.default_rng([hits, *sizes]).multivariate_hypergeometric(sizes, hits, size=DRAWS, method="marginals")
        return float(_range(drawn / np.array(sizes)).mean())

    return expected


_STATISTICS: Final[dict[str, Callable[[], Callable[[Floats], Floats]]]] = {
    "accuracy_difference": lambda: _over_rates(_range),
    "accuracy_difference_excess": _largest_excess,
    "accuracy_ratio": lambda: _over_rates(_ratio),
    "worst_group_accuracy": lambda: _over_rates(_lowest),
    "calibration_difference": lambda: _over_rates(_range),
    "largest_gap_excess": _largest_excess,
}
"""How each metric follows from correctness and groups."""
