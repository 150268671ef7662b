"""The classes or groups that fare worst: their accuracy, and what chance alone would show if all were equally hard."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Curve, Series, Table
from efficient360.core.formatting import count, number
from efficient360.core.formatting import interval as spelled
from efficient360.core.measurement import Interval
from efficient360.core.statistics import percentiles, wilson
from efficient360.methods.fairness import tally
from efficient360.methods.fairness.metrics import GROUP
from efficient360.methods.fairness.tally import Tally

FEW = 5
"""Classes that a table names."""


@final
@dataclass(frozen=True)
class Lowest:
    """Mean accuracy of the few lowest of many.

    Args:
        value: Their mean accuracy.
        interval: Of the value.
        n: Examples that it rests on.
        chance: What chance alone would give as many of them.
        chance_interval: Holds 95 % of the draws behind ``chance``.
    """

    value: float
    interval: Interval
    n: int
    chance: float
    chance_interval: Interval


def lowest(of: Tally, few: int, draws: int, seed: list[int]) -> Lowest:
    """Mean accuracy of the ``few`` lowest, at least one.

    The interval is Wilson's for a single one, else percentiles of :func:`efficient360.methods.fairness.tally.errors` around the mean. Either takes the
    chosen as given: being picked for their low value lowers it further, which is what ``chance`` is for.
    """
    chosen = np.argsort(of.values, kind="stable")[:few]
    value, n = float(of.values[chosen].mean()), int(of.sizes[chosen].sum())
    null = np.sort(tally.chance(of, draws, np.random.default_rng([*seed, 0])), axis=1)[:, :few].mean(axis=1)
    if few == 1:
        interval = of.interval(int(chosen[0]))
    else:
        strayed = tally.errors(of, draws, np.random.default_rng([*seed, 1]))[:, chosen].mean(axis=1)
        off = percentiles(strayed, "parametric-bootstrap")
        interval = Interval(max(0.0, min(value, value + off.low)), min(1.0, max(value, value + off.high)), off.method)
    return Lowest(value, interval, n, float(null.mean()), percentiles(null, "permutations"))


def sorted_classes(of: Tally, draws: int, seed: list[int], what: str) -> Curve:
    """Accuracies in ascending order with Wilson intervals, over the band that holds 95 % of what chance alone gives at each place."""
    order = np.argsort(of.values, kind="stable")
    null = np.sort(tally.chance(of, draws, np.random.default_rng([*seed, 0])), axis=1)
    places = tuple(float(i + 1) for i in range(len(order)))
    intervals = [wilson(int(of.hits[i]), int(of.sizes[i])) for i in order]
    band = np.quantile(null, (0.025, 0.975), axis=0)
    return Curve(
        f"Accuracy by {what}, lowest first",
        f"place of the {what}, lowest accuracy first",
        "accuracy",
        (
            Series(f"if every {what} were equally hard", places, _plain(null.mean(axis=0)), _plain(band[0]), _plain(band[1])),
            Series("measured", places, _plain(of.values[order]), tuple(i.low for i in intervals), tuple(i.high for i in intervals), "points"),
        ),
    )


def lowest_table(of: Tally, names: Sequence[str], what: str) -> Table:
    """Which classes those are: the few that fare worst, with their Wilson intervals; of equal ones the first.

    Args:
        of: Right answers by class.
        names: Of the classes, in the tally's order.
        what: A class, a group.
    """
    order = np.argsort(of.values, kind="stable")[:FEW].tolist()
    rows = tuple((names[i], count(int(of.sizes[i])), number(float(of.values[i]), GROUP), spelled(of.interval(i), GROUP)) for i in order)
    return Table(f"Which {what} fares worst: the lowest {len(order)} of {count(len(names))}", (what, "examples", "accuracy", "95 % interval"), rows)


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
