"""Running an ExampleEvaluator: batch by batch into a log of scores, then each metric's mean with its interval."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from efficient360.core.measurement import Conditions, Measurement, Metric, Outcome
from efficient360.core.statistics import mean_interval, within
from efficient360.core.text import reason
from efficient360.errors import PluginError
from efficient360.evaluator import Context, ExampleEvaluator, Examples, Scores, ScoreTable
from efficient360.execution.contract import conditions_of
from efficient360.models.model import Model
from efficient360.storage.per_example import ScoreLog

Column = tuple[str, frozenset[tuple[str, object]]]


def score_all(evaluator: ExampleEvaluator, model: Model, examples: Examples, context: Context[Examples], report: Callable[[int, int], None]) -> ScoreTable:
    """Score every example, going on where an interrupted evaluation left off.

    Raises:
        PluginError: The evaluator broke its contract.
        OutOfTime: From the deadline; what is done is kept.
    """
    kept = ScoreLog(context.scratch)
    log = kept.rows()
    done, size = 0, min(context.batch_size, evaluator.batch_limit() or context.batch_size)
    if log is not None:
        done = len(log) if len(log) >= len(examples) else len(log) // size * size
        log.truncate(done)
    if evaluator.sample_size() is not None:
        kept.note(examples.ids)
    for batch in examples.batches(size, done):
        context.deadline.check()
        scores = list(evaluator.score(model, batch))
        columns, values = _checked(evaluator, scores, len(batch))
        if log is None or columns != kept.columns():
            if done:
                message = f"{evaluator.name} yields other scores for {batch.ids[0]} than before"
                raise PluginError("uneven-scores", message, "yield the same ones for every batch")
            log = kept.open(columns)
        log.append(values)
        done += len(batch)
        report(done, len(examples))
    return _table(kept, model, examples)


def _checked(evaluator: ExampleEvaluator, scores: Sequence[Scores], size: int) -> tuple[list[tuple[str, Conditions]], Any]:
    declared = {m.name for m in (*evaluator.metrics, *evaluator.columns)}
    names: list[tuple[str, Conditions]] = []
    columns: list[Any] = []
    for score in scores:
        if not isinstance(score, Scores) or not isinstance(score.metric, Metric) or not isinstance(score.values, torch.Tensor | np.ndarray):
            raise PluginError("bad-score", f"{evaluator.name} yields {_kind(score)}", "yield Scores of a Metric and a tensor of values")
        if score.metric.name not in declared:
            raise PluginError("undeclared-metric", f"{evaluator.name} yields {score.metric.name}, which it does not declare", "add it to metrics or columns")
        if tuple(score.values.shape) != (size,):
            raise PluginError(
                "wrong-shape", f"{evaluator.name} yields {score.metric.name} of shape {tuple(score.values.shape)} for {size} examples", "yield one for each"
            )
        values = torch.as_tensor(score.values).detach().cpu()
        if values.is_complex():
            raise PluginError("bad-score", f"{evaluator.name} yields complex values of {score.metric.name}", "yield real numbers")
        if not bool(torch.isfinite(values.double()).all()):
            raise PluginError("non-finite-score", f"{evaluator.name} yields NaN or infinite values of {score.metric.name}", "what can't be scored is a Failure")
        try:
            names.append((score.metric.name, conditions_of(score.conditions)))
        except (AttributeError, TypeError, ValueError) as error:
            message = f"{evaluator.name} yields {score.metric.name}, whose conditions can't be stored: {reason(error)}"
            raise PluginError("bad-outcome", message, "yield plain finite numbers and texts") from error
        columns.append(values.double().numpy())
    if len({(name, frozenset(conditions.items())) for name, conditions in names}) != len(names) or not names:
        raise PluginError("repeated-score", f"{evaluator.name} yields no score, or one twice under the same conditions", "yield each once a batch")
    return names, np.stack(columns, axis=1)


def _kind(score: Any) -> str:
    if not isinstance(score, Scores):
        return f"{type(score).__name__}, which is no Scores"
    if not isinstance(score.metric, Metric):
        return f"Scores whose metric is {type(score.metric).__name__}"
    return f"{score.metric.name} with values of {type(score.values).__name__}"


def _table(kept: ScoreLog, model: Model, examples: Examples) -> ScoreTable:
    log = kept.rows()
    values = np.empty((0, 0)) if log is None else log.read(0, len(examples))
    columns: dict[Column, Any] = {
        (name, frozenset(conditions.items())): np.ascontiguousarray(values[:, i]) for i, (name, conditions) in enumerate(kept.columns())
    }
    return ScoreTable(examples.ids, examples.labels, examples.groups, model.num_classes, columns)


def outcomes_of(evaluator: ExampleEvaluator, model: Model, table: ScoreTable, context: Context[Examples]) -> list[Outcome]:
    """The evaluator's own outcomes, and the plain mean of each published metric that it did not measure itself, in the order it declares them."""
    own = list(evaluator.examine(model, table, context))
    taken = {_identity(o.metric, o.conditions) for o in own if o.metric is not None}
    published: Mapping[str, Metric] = {m.name: m for m in evaluator.metrics}
    means: list[Outcome] = []
    for (name, conditions), values in table.columns.items():
        if name in published and (name, conditions) not in taken:
            fixed: Any = dict(conditions)
            metric = published[name]
            means.append(Measurement(metric, float(values.mean()), len(values), within(mean_interval(values, context.seed), metric), fixed))
    order = {name: i for i, name in enumerate(published)}
    return sorted([*means, *own], key=lambda o: order.get(o.metric.name, len(order)) if o.metric is not None else -1)


def _identity(metric: Metric, conditions: Conditions) -> Column:
    return metric.name, frozenset(conditions.items())
