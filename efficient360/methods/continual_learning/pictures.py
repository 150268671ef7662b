"""What a report shows of continual learning: every task's accuracy through time, and the methods side by side."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from efficient360.core import formatting
from efficient360.core.figures import Curve, Series, Table
from efficient360.core.measurement import Metric
from efficient360.methods.continual_learning.metrics import AVERAGE, FORGETTING, FORWARD, INTRANSIGENCE, JOINT, ORIGINAL, PLASTICITY, SHARE
from efficient360.methods.continual_learning.plain_methods import Joint
from efficient360.methods.continual_learning.results import Results
from efficient360.methods.continual_learning.seeds import t_interval

MOST: Final = 6
"""Tasks drawn one by one; of more, only the first, the middle and the last."""


def shown_methods(results: Results) -> list[str]:
    """The first method, and the best of the others by average accuracy."""
    first, *rest = results.others
    return [first] if not rest else [first, max(rest, key=lambda name: float(np.mean(results.of(name, AVERAGE))))]


def through_time(results: Results, method: str, title: str) -> Curve:
    """Accuracy of each task, mean over seeds, after each number of tasks; new classes from when they are learned on.

    Args:
        results: Of one stream and scenario.
        method: One of its methods.
        title: Of the stream.
    """
    mean, last = results.runs[method].mean(axis=0), results.tasks
    drawn = range(1, last + 1) if last <= MOST else sorted({1, (last + 1) // 2, last})
    series = [_series("original test set", mean[:, 0], 0)]
    series += [_series(f"task {task}", mean[:, task], task if results.scenario.brings_classes else 0) for task in drawn]
    if Joint.name in results.runs:
        level = float(np.mean(results.of(Joint.name, AVERAGE)))
        series.append(Series("all tasks, learned together", (0.0, float(last)), (level, level), style="reference"))
    return Curve(f"{method}: {title}, {results.scenario.value}", "tasks learned", "accuracy", tuple(series))


def methods_table(results: Results, title: str) -> Table:
    """A row a method, means over seeds with their 95 % interval.

    Args:
        results: Of one stream and scenario.
        title: Of the stream.
    """
    columns: list[tuple[Metric, Callable[[str], Sequence[float] | None]]] = [
        (AVERAGE, lambda name: results.of(name, AVERAGE)),
        (PLASTICITY, lambda name: results.of(name, PLASTICITY)),
        (FORGETTING, lambda name: results.of(name, FORGETTING)),
    ]
    if not results.scenario.brings_classes:
        columns.append((FORWARD, results.forward))
    if Joint.name in results.runs:
        columns += [(SHARE, results.share), (INTRANSIGENCE, results.intransigence)]
    columns.append((ORIGINAL, lambda name: [float(v) for v in results.runs[name][:, -1, 0]]))
    rows = [(name, *(_cell(metric, value(name)) for metric, value in columns)) for name in results.others]
    if Joint.name in results.runs:
        ceiling = {AVERAGE: results.of(Joint.name, AVERAGE), ORIGINAL: [float(v) for v in results.runs[Joint.name][:, -1, 0]]}
        rows.append((Joint.name, *(_cell(JOINT if metric is AVERAGE else metric, ceiling.get(metric)) for metric, _ in columns)))
    heads = {AVERAGE: "average accuracy", SHARE: "of joint", FORWARD: "forward transfer", ORIGINAL: "original test set"}
    before = formatting.number(float(next(iter(results.runs.values()))[0, 0, 0]), ORIGINAL)
    seeds = len(next(iter(results.runs.values())))
    return Table(
        f"{title}, {results.scenario.value}: {results.tasks} tasks, {seeds} seeds; original test set before: {before}",
        ("method", *(heads.get(metric, metric.name) for metric, _ in columns)),
        tuple(rows),
    )


def _cell(metric: Metric, values: Sequence[float] | None) -> str:
    if values is None:
        return ""
    return f"{formatting.number(float(np.mean(values)), metric)} ({formatting.interval(t_interval(values, metric), metric)})"


def _series(name: str, values: Sequence[float], start: int) -> Series:
    return Series(name, tuple(float(x) for x in range(start, len(values))), tuple(float(y) for y in values[start:]))
