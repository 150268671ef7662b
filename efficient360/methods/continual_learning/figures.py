"""Figures and validity warnings of continual learning: accuracy on every task over time, methods side by side, and what makes the results doubtful."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from efficient360.core import formatting
from efficient360.core.figures import Curve, Series, Table
from efficient360.core.findings import Finding
from efficient360.core.measurement import Metric
from efficient360.methods.continual_learning.forgetting_and_transfer import AVERAGE, FORGETTING, FORWARD, INTRANSIGENCE, JOINT, ORIGINAL, PLASTICITY, SHARE
from efficient360.methods.continual_learning.naive_frozen_joint import Joint
from efficient360.methods.continual_learning.results import StreamResults, t_interval

MAX_TASKS: Final = 6
"""Tasks with a curve each; of more, only the first, the middle and the last."""


def shown_methods(results: StreamResults) -> list[str]:
    """The first method, and the best of the others by average accuracy."""
    first, *rest = results.sequential_methods
    return [first] if not rest else [first, max(rest, key=lambda name: float(np.mean(results.values(name, AVERAGE))))]


def accuracy_over_time(results: StreamResults, method: str, title: str) -> Curve:
    """Accuracy on each task after each number of tasks, mean over seeds; new classes from when they are learned.

    Args:
        results: Of one stream and scenario.
        method: One of its methods.
        title: Display name of the stream.
    """
    mean, last = results.runs[method].mean(axis=0), results.tasks
    shown = range(1, last + 1) if last <= MAX_TASKS else sorted({1, (last + 1) // 2, last})
    series = [_series("original test set", mean[:, 0], 0)]
    series += [_series(f"task {task}", mean[:, task], task if results.scenario.has_new_classes else 0) for task in shown]
    if Joint.name in results.runs:
        level = float(np.mean(results.values(Joint.name, AVERAGE)))
        series.append(Series("joint training", (0.0, float(last)), (level, level), style="reference"))
    return Curve(f"{method}: {title}, {results.scenario.value}", "tasks learned", "accuracy", tuple(series))


def methods_table(results: StreamResults, title: str) -> Table:
    """A row per method: means over seeds with 95 % intervals.

    Args:
        results: Of one stream and scenario.
        title: Display name of the stream.
    """
    columns: list[tuple[Metric, Callable[[str], Sequence[float] | None]]] = [
        (AVERAGE, lambda name: results.values(name, AVERAGE)),
        (PLASTICITY, lambda name: results.values(name, PLASTICITY)),
        (FORGETTING, lambda name: results.values(name, FORGETTING)),
    ]
    if not results.scenario.has_new_classes:
        columns.append((FORWARD, results.forward_transfer))
    if Joint.name in results.runs:
        columns += [(SHARE, results.share_of_joint), (INTRANSIGENCE, results.intransigence)]
    columns.append((ORIGINAL, lambda name: [float(v) for v in results.runs[name][:, -1, 0]]))
    rows = [(name, *(_cell(metric, value(name)) for metric, value in columns)) for name in results.sequential_methods]
    if Joint.name in results.runs:
        upper_bound = {AVERAGE: results.values(Joint.name, AVERAGE), ORIGINAL: [float(v) for v in results.runs[Joint.name][:, -1, 0]]}
        rows.append((Joint.name, *(_cell(JOINT if metric is AVERAGE else metric, upper_bound.get(metric)) for metric, _ in columns)))
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


def validity_warnings(results: StreamResults) -> Iterator[Finding]:
    """Reasons to doubt the results of one stream and scenario."""
    if Joint.name not in results.runs:
        return
    joint = results.runs[Joint.name]
    stream = f"{results.stream}, {results.scenario.value}"
    gained = float(np.mean([np.diag(run)[1:].mean() - run[0, 1:].mean() for run in joint]))
    if gained < 0.02:
        yield Finding(
            "little-learned",
            f"{stream}: even joint training gained only {100 * gained:.1f} points on its tasks",
            "raise steps or images: tasks that were not learned can't be forgotten",
        )
    upper_bound = float(np.mean(results.values(Joint.name, AVERAGE)))
    for name in results.sequential_methods:
        mean = float(np.mean(results.values(name, AVERAGE)))
        if mean > upper_bound + 0.01:
            yield Finding(
                "above-the-ceiling",
                f"{stream}: {name} ends at {100 * mean:.1f} %, joint training at {100 * upper_bound:.1f} %",
                "joint training saw as many images per task at the same learning rate; more steps or another rate would raise it",
            )


def known_groups_warning(groups: str) -> Finding:
    """The groups are conditions that the checkpoint was trained on."""
    return Finding(
        "known-groups",
        f"the checkpoint was trained on {groups} already: this stream shows the cost of narrow fine-tuning, not learning of something new",
        "also run the corruptions stream or a data set with other classes",
    )
