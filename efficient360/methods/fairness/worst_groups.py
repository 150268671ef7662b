"""Worst-class and worst-group accuracy: the k lowest, beside what chance alone would show if all were equally hard."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Curve, Series, Table
from efficient360.core.formatting import count, number
from efficient360.core.formatting import interval as format_interval
from efficient360.core.measurement import Interval
from efficient360.core.statistics import percentiles, wilson
from efficient360.methods.fairness.group_accuracy import GroupCounts, bootstrap_errors, lowest_interval, null_rates
from efficient360.methods.fairness.metrics import GROUP
from efficient360.methods.fairness.resampling import SIMULTANEOUS

TABLE_ROWS = 5
"""Classes that the table lists."""


@final
@dataclass(frozen=True)
class WorstK:
    """Mean rate of the ``k`` lowest groups.

    Args:
        value: Their mean rate.
        interval: Of the value.
        n: Examples behind it.
        null_mean: Mean under the permutation null of the same statistic.
        null_interval: Holds 95 % of the draws of the null.
    """

    value: float
    interval: Interval
    n: int
    null_mean: float
    null_interval: Interval


def worst_k(counts: GroupCounts, k: int, draws: int, seed: list[int]) -> WorstK:
    """Mean rate of the ``k`` lowest groups, ``k`` at least 1.

    The interval is that of the lowest true rates, whichever groups they are: :func:`~efficient360.methods.fairness.group_accuracy.lowest_interval` for a
    single group; else the value minus the 97.5 % quantile of the selected groups' bootstrapped errors, which the truly lowest ones share, and plus that of
    the ``k`` most negative errors of any groups, since the selected ones are those that were unlucky. The null shows how far selection alone lowers the value.
    """
    selected = np.argsort(counts.rates, kind="stable")[:k]
    value, n = float(counts.rates[selected].mean()), int(counts.sizes[selected].sum())
    null = np.sort(null_rates(counts, draws, np.random.default_rng([*seed, 0])), axis=1)[:, :k].mean(axis=1)
    if k == 1:
        interval = lowest_interval(counts)
    else:
        errors = bootstrap_errors(counts, draws, np.random.default_rng([*seed, 1]))
        above = float(np.quantile(errors[:, selected].mean(axis=1), 0.975))
        below = float(np.quantile(-np.sort(errors, axis=1)[:, :k].mean(axis=1), 0.975))
        interval = Interval(max(0.0, min(value, value - above)), min(1.0, max(value, value + below)), SIMULTANEOUS)
    return WorstK(value, interval, n, float(null.mean()), percentiles(null, "permutations"))


def sorted_accuracy_curve(counts: GroupCounts, draws: int, seed: list[int], noun: str) -> Curve:
    """Accuracies in ascending order with Wilson intervals, over the 95 % band of the null at each rank."""
    order = np.argsort(counts.rates, kind="stable")
    null = np.sort(null_rates(counts, draws, np.random.default_rng([*seed, 0])), axis=1)
    ranks = tuple(float(i + 1) for i in range(len(order)))
    intervals = [wilson(int(counts.hits[i]), int(counts.sizes[i])) for i in order]
    band = np.quantile(null, (0.025, 0.975), axis=0)
    return Curve(
        f"Accuracy by {noun}, lowest first",
        f"rank of the {noun}, lowest accuracy first",
        "accuracy",
        (
            Series(f"if every {noun} were equally hard", ranks, _floats(null.mean(axis=0)), _floats(band[0]), _floats(band[1])),
            Series("measured", ranks, _floats(counts.rates[order]), tuple(i.low for i in intervals), tuple(i.high for i in intervals), "points"),
        ),
    )


def worst_table(counts: GroupCounts, names: Sequence[str], noun: str) -> Table:
    """The classes or groups of lowest accuracy with their Wilson intervals, the first of equal ones first.

    Args:
        counts: Correct predictions by class.
        names: Of the classes, in the same order.
        noun: ``class`` or ``group``.
    """
    order = np.argsort(counts.rates, kind="stable")[:TABLE_ROWS].tolist()
    rows = tuple((names[i], count(int(counts.sizes[i])), number(float(counts.rates[i]), GROUP), format_interval(counts.interval(i), GROUP)) for i in order)
    return Table(f"Lowest accuracy by {noun}: {len(order)} of {count(len(names))}", (noun, "examples", "accuracy", "95 % interval"), rows)


def _floats(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
