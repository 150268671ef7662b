"""Values of a metric example by example, the table of a run that they come from, and two runs' values paired by the ids of the examples."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Conditions
from efficient360.storage.per_example import read_examples

ROUNDING: Final = 1e-9
"""Relative difference to the stored number that a sum in another order may leave."""


@final
@dataclass(frozen=True)
class OfMeans:
    """A metric that follows from the means of columns, such as a ratio of two.

    Args:
        value: From means ``(r, q)`` and the number of examples behind each to the metric, ``(r,)``.
    """

    value: Callable[[Floats, int], Floats]

    def __call__(self, values: Floats) -> Floats:
        """The metric of values ``(r, n, q)``, ``(r,)``."""
        return self.value(values.mean(axis=1), values.shape[1])


@final
@dataclass(frozen=True)
class OfExamples:
    """A metric for which examples must be put in order anew, such as a calibration error.

    Args:
        value: From values ``(r, n, q)`` to the metric, ``(r,)``.
    """

    value: Callable[[Floats], Floats]

    def __call__(self, values: Floats) -> Floats:
        """The metric of values ``(r, n, q)``, ``(r,)``."""
        return self.value(values)


Statistic = OfMeans | OfExamples | None
"""How a metric follows from its values; ``None`` is the mean of the only column."""


@final
@dataclass(frozen=True)
class ExampleValues:
    """What a metric's value is made of, example by example.

    Args:
        ids: Ids of the examples.
        values: One row an example, float64 ``(n, q)``.
        statistic: How the metric follows.
        tolerance: How far it may lie from the stored number where that was drawn by chance.
    """

    ids: Sequence[str]
    values: Floats
    statistic: Statistic = None
    tolerance: float = 0.0

    def value(self) -> float:
        """The metric of these examples."""
        return float(self.values.mean()) if self.statistic is None else float(self.statistic(self.values[None])[0])

    def gives(self, value: float) -> bool:
        """Whether these values give the stored number again."""
        return abs(self.value() - value) <= max(self.tolerance, ROUNDING * max(1.0, abs(value)))


@final
@dataclass(frozen=True)
class Paired:
    """Values of the same examples in two runs.

    Args:
        first: Of the first run, ``(n, q)``.
        second: Of the second run, ``(n, q)``.
        statistic: How the metric follows from either.
    """

    first: Floats
    second: Floats
    statistic: Statistic = None

    def __len__(self) -> int:
        return len(self.first)


def pair(first: ExampleValues | None, second: ExampleValues | None) -> Paired | None:
    """The examples that both have; ``None`` where one has no values, or they share none."""
    if first is None or second is None or first.values.shape[1] != second.values.shape[1]:
        return None
    if list(first.ids) == list(second.ids):
        return Paired(first.values, second.values, first.statistic)
    rows = {example: row for row, example in enumerate(second.ids)}
    shared = [(row, rows[example]) for row, example in enumerate(first.ids) if example in rows]
    if not shared:
        return None
    here, there = map(list, zip(*shared, strict=True))
    return Paired(first.values[here], second.values[there], first.statistic)


@final
class ExampleTable:
    """The per-example values of one run by evaluator, name and conditions.

    Args:
        values: Value by example id, by (evaluator, name, conditions as JSON).
    """

    def __init__(self, values: Mapping[tuple[str, str, str], Mapping[str, float]]) -> None:
        self._values = values
        self._named: dict[tuple[str, str], list[tuple[Conditions, Mapping[str, float]]]] = {}
        for (evaluator, name, conditions), column in values.items():
            self._named.setdefault((evaluator, name), []).append((json.loads(conditions), column))

    @classmethod
    def of(cls, folder: Path) -> "ExampleTable":
        """The table of a run's folder; empty where it has none.

        Raises:
            RunError: The table can't be read.
        """
        return cls(read_examples(folder))

    def column(self, evaluator: str, name: str, conditions: Conditions | None = None) -> Mapping[str, float] | None:
        """One column, ``None`` if there is none."""
        return self._values.get((evaluator, name, json.dumps(dict(conditions or {}), sort_keys=True)))

    def columns(self, evaluator: str, name: str) -> Sequence[tuple[Conditions, Mapping[str, float]]]:
        """Every column of a name with its conditions."""
        return self._named.get((evaluator, name), ())


def stacked(columns: Sequence[Mapping[str, float]], of: Callable[[Floats], Floats] | None = None, statistic: Statistic = None) -> ExampleValues:
    """Columns side by side, over the examples that all of them have.

    Args:
        columns: At least one.
        of: From the columns ``(n, c)`` to the values ``(n,)`` or ``(n, q)``; as they are by default.
        statistic: As :class:`ExampleValues` has it.
    """
    ids = [example for example in columns[0] if all(example in column for column in columns[1:])]
    table = np.array([[column[example] for column in columns] for example in ids], dtype=np.float64).reshape(len(ids), len(columns))
    values = table if of is None else of(table)
    return ExampleValues(ids, values.reshape(len(ids), -1), statistic)


def row_mean(table: Floats) -> Floats:
    """Mean of each example's columns ``(n, c)``, ``(n,)``."""
    mean: Floats = table.mean(axis=1)
    return mean
