"""Which per-example values lie behind a metric, under whatever names its evaluator keeps them in ``examples.parquet``.

A rule says how an evaluator's metric follows from what it keeps (``corruption_accuracy`` from ``correct`` under every corruption and severity). Its word
is not taken: values count only if they give the stored number again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Measurement
from efficient360.core.outcome import Record
from efficient360.reports.comparing.calibration_values import calibration_values
from efficient360.reports.comparing.example_values import ExampleTable, ExampleValues, OfMeans, row_mean, stacked
from efficient360.reports.comparing.group_values import group_values

Rule = Callable[[Record, Measurement, ExampleTable], Iterator[ExampleValues]]
"""Candidates for the values behind a measurement."""


def values_behind(record: Record, table: ExampleTable) -> ExampleValues | None:
    """The values behind a stored measurement, ``None`` where the run kept none that give its number."""
    m = record.outcome
    if not isinstance(m, Measurement):
        return None
    for rule in (_own, _RULES.get(record.evaluator), _twin):
        for values in rule(record, m, table) if rule is not None else ():
            if len(values.ids) and values.gives(m.value):
                return values
    return None


def _own(record: Record, m: Measurement, table: ExampleTable) -> Iterator[ExampleValues]:
    """Values under the metric's own name and conditions."""
    if (column := table.column(record.evaluator, m.metric.name, m.conditions)) is not None:
        yield stacked([column])


def _twin(record: Record, m: Measurement, table: ExampleTable) -> Iterator[ExampleValues]:
    """Values of the calibration evaluator, whose metrics of the same predictions ``uncertainty`` repeats."""
    if m.conditions.get("method") != "point":
        return
    if (column := table.column("calibration", m.metric.name)) is not None:
        yield stacked([column])
    yield from calibration_values(record, m, table)


def _corruption(_: Record, m: Measurement, table: ExampleTable) -> Iterator[ExampleValues]:
    clean = [column for conditions, column in table.columns("corruption", "correct") if "corruption" not in conditions]
    chosen = [
        column
        for conditions, column in table.columns("corruption", "correct")
        if "corruption" in conditions and all(m.conditions.get(key, conditions[key]) == conditions[key] for key in ("corruption", "severity"))
    ]
    if m.metric.name == "corruption_accuracy" and m.conditions.get("severity") == 0 and clean:
        yield stacked(clean)
    elif not chosen:
        return
    elif m.metric.name == "corruption_accuracy":
        yield stacked(chosen, row_mean)
    elif m.metric.name == "mean_corruption_error":
        yield stacked(chosen, lambda correct: 1 - row_mean(correct))
    elif m.metric.name == "relative_corruption_error" and clean:
        yield stacked([clean[0], *chosen], lambda correct: correct[:, 0] - row_mean(correct[:, 1:]))


def _adversarial(record: Record, m: Measurement, table: ExampleTable) -> Iterator[ExampleValues]:
    """Robust accuracy: classified correctly when clean, and broken by no attack up to ε, or at ε by none of the attacks named."""
    right = table.column(record.evaluator, "right")
    if m.metric.name != "robust_accuracy" or right is None:
        return
    norm, attacks = m.conditions.get("norm"), str(m.conditions.get("attack", ""))
    grid = _epsilons(record.settings, str(norm))
    epsilon = str(m.conditions.get("epsilon", "")).partition("/")[0]
    if epsilon not in grid:
        return
    index = grid.index(epsilon)
    series = {str(c.get("attack")): column for c, column in table.columns(record.evaluator, "fell_at") if c.get("norm") == norm}
    alone = [series[attacks]] if attacks in series else list(series.values()) if attacks == "worst case" else []
    if alone:
        yield stacked([right, *alone], lambda t: t[:, 0] * (t[:, 1:] > index).all(axis=1))
    together, broken_by = series.get("worst case"), table.column(record.evaluator, "fell_to", {"norm": str(norm), "attack": "worst case"})
    if together is not None and broken_by is not None:
        last = attacks.count(" + ")
        yield stacked([right, together, broken_by], lambda t: t[:, 0] * ((t[:, 1] > index) | ((t[:, 1] == index) & (t[:, 2] > last))))


def _epsilons(settings: Mapping[str, object], norm: str) -> list[str]:
    """The grid of ε in print, ascending: of ``adversarial``, or of ``black_box``."""
    chosen = settings.get("epsilons") or [*_list(settings.get(f"scout_{norm}")), *_list(settings.get(norm))]
    return [f"{float(str(epsilon)):.4g}" for epsilon in _list(chosen)]


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _last_block(_: Record, m: Measurement, table: ExampleTable) -> Iterator[ExampleValues]:
    """What is followed through the blocks is reported of the last one, at the highest frequency where it has several."""
    name = {"relative_log_amplitude": "block_log_amplitude"}.get(m.metric.name, f"block_{m.metric.name}")
    if followed := table.columns("feature_spectrum", name):
        yield stacked([max(followed, key=lambda entry: (float(entry[0].get("block", 0)), float(entry[0].get("frequency", 0))))[1]])


def _capture(_: Record, m: Measurement, table: ExampleTable) -> Iterator[ExampleValues]:
    """Relative accuracy: a ratio of two means, or the mean of such ratios."""
    clean = table.column("capture_conditions", "clean_correct")
    wanted = m.conditions.get("capture")
    degraded = [column for c, column in table.columns("capture_conditions", "capture_accuracy") if wanted in (None, c.get("capture"))]
    if clean is not None and degraded and m.metric.name in ("capture_ratio", "mean_capture_ratio"):
        yield stacked([clean, *degraded], statistic=OfMeans(_relative))


def _relative(means: Floats, n: int) -> Floats:
    ratios: Floats = (means[:, 1:] / np.maximum(means[:, :1], 1 / n)).mean(axis=1)
    return ratios


def _faithfulness(_: Record, m: Measurement, table: ExampleTable) -> Iterator[ExampleValues]:
    """The best explainer, chosen on every other example and evaluated on the rest, both ways round."""
    columns = [column for c, column in table.columns("faithfulness", "faithfulness") if c.get("explainer") != "random"]
    if m.metric.name == "best_faithfulness" and columns:
        yield stacked(columns, _cross_fitted)


def _cross_fitted(table: Floats) -> Floats:
    even = np.arange(len(table)) % 2 == 0
    first = int(table[even].mean(axis=0).argmax())
    second = int(table[~even].mean(axis=0).argmax()) if len(table) > 1 else first
    best: Floats = np.where(even, table[:, second], table[:, first])
    return best


_RULES: Final[Mapping[str, Rule]] = {
    "corruption": _corruption,
    "adversarial": _adversarial,
    "black_box": _adversarial,
    "feature_spectrum": _last_block,
    "calibration": calibration_values,
    "capture_conditions": _capture,
    "faithfulness": _faithfulness,
    "group_fairness": group_values,
}
"""How an evaluator's metrics follow from what it keeps of each example."""
