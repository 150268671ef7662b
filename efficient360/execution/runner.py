"""From a plan to stored outcomes, in this process. What is stored already is not done again; what fails takes nothing with it."""

import dataclasses
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

from efficient360.core.measurement import Failure, Outcome, Status
from efficient360.core.outcome import Record
from efficient360.errors import DatasetError, Efficient360Error, OutOfTime, PluginError, Unsupported
from efficient360.evaluator import Context, Evaluator, ExampleEvaluator, Examples, Need
from efficient360.execution.cache_key import header_of, key_of
from efficient360.execution.events import Finished, Opened, Progress, Started
from efficient360.execution.plan import Plan, configure
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.execution.session import ARTEFACTS, Emit, Opening, opened
from efficient360.execution.shared_predictions import shared
from efficient360.models.model import TorchModel
from efficient360.plugins.registry import evaluator_class, evaluators
from efficient360.storage.outcomes import Store, is_retried
from efficient360.storage.per_example import write_examples

Split = TypeVar("Split", Examples, Examples | None)


def run(plan: Plan, emit: Emit) -> None:
    """Run a plan and store its outcomes.

    Args:
        plan: What to do.
        emit: Called with every event.

    Raises:
        Efficient360Error: The checkpoint, the data, the settings or the folder are no good. A failing evaluator raises nothing.
    """
    store = Store(plan.out)
    with store.writer(), ExitStack() as stack:
        known = evaluators(plan.plugins)
        planned = [configure(evaluator_class(step.evaluator, known), step.settings) for step in plan.steps]
        opening = opened(plan, store, emit, stack)
        keys = {evaluator.name: key_of(opening, evaluator) for evaluator in planned}
        header = header_of(opening, planned)
        store.require_same(header)
        emit(Opened(header, keys))
        for index, evaluator in enumerate(planned):
            _step(opening, evaluator, keys[evaluator.name], index, len(planned))
        if opening.dataset is not None:
            scored = {name: store.work(group[0].key) for name, group in store.newest(keys).items() if not is_retried(group)}
            write_examples(plan.out, opening.dataset.examples.ids, scored)


def _step(opening: Opening, evaluator: Any, key: str, index: int, total: int) -> None:
    store, emit = opening.store, opening.emit
    emit(Started(evaluator.name, index, total))
    if stored := store.finished(evaluator.name, key):
        emit(Finished(evaluator.name, stored, cached=True))
        return
    began = time.monotonic()
    outcomes = list(_outcomes(opening, evaluator, key))
    seconds = time.monotonic() - began
    settings = dataclasses.asdict(evaluator)
    records = [Record(evaluator.name, o, key, (i, len(outcomes)), settings, seconds) for i, o in enumerate(outcomes)]
    store.append(records)
    emit(Finished(evaluator.name, records, cached=False))


def _outcomes(opening: Opening, evaluator: Any, key: str) -> Iterator[Outcome]:
    """What the evaluator yields, or the one Failure that says why it yields nothing."""
    try:
        _require(opening, evaluator)
        opening.deadline.check()
        yield from checked(evaluator, list(_evaluate(opening, evaluator, key)))
    except Unsupported as error:
        yield Failure.of(Status.UNSUPPORTED, error)
    except OutOfTime as error:
        yield Failure.of(Status.NOT_RUN, error)
    except DatasetError:
        raise
    except Efficient360Error as error:
        yield Failure.of(Status.FAILED, error)
    except Exception as error:  # an evaluator's own code may raise anything; the others go on
        log = opening.store.work(key) / "traceback.txt"
        log.write_text(traceback.format_exc(), encoding="utf-8")
        said = " ".join(str(error).split())[:500]
        yield Failure(Status.FAILED, "crashed", f"{type(error).__name__}: {said}", f"the traceback is in {log}")


def _evaluate(opening: Opening, evaluator: Evaluator | ExampleEvaluator, key: str) -> Iterator[Outcome]:
    split = None if opening.dataset is None else opening.dataset.examples
    if isinstance(evaluator, ExampleEvaluator):
        if split is None:
            raise Unsupported("no-dataset", "no data set was given", "add --dataset")
        examples = shared(opening, split)
        if (size := evaluator.sample_size()) is not None:
            examples = examples.subset(size, opening.plan.seed)
        context = _context(opening, evaluator, key, examples)
        table = score_all(evaluator, opening.model, examples, context, context.progress)
        yield from outcomes_of(evaluator, opening.model, table, context)
    elif isinstance(evaluator, Evaluator):
        yield from evaluator.evaluate(opening.model, _context(opening, evaluator, key, split))
    else:
        raise PluginError("no-evaluator", f"{type(evaluator).__name__} is neither an Evaluator nor an ExampleEvaluator", "inherit from one of them")


def _context(opening: Opening, evaluator: Evaluator | ExampleEvaluator, key: str, examples: Split) -> Context[Split]:
    plan, emit = opening.plan, opening.emit
    return Context(
        checkpoint=opening.checkpoint,
        examples=examples,
        training=opening.training() if Need.TRAINING_SPLIT in evaluator.needs | evaluator.uses else None,
        seed=plan.seed,
        batch_size=plan.batch_size,
        deadline=opening.deadline,
        scratch=opening.store.work(key),
        progress=lambda done, total: emit(Progress(evaluator.name, done, total)),
        artefacts=opening.store.work(ARTEFACTS),
        shifts=() if opening.dataset is None else opening.dataset.shifts,
        others=opening.others(evaluator.others()),
        predicted=partial(shared, opening),
    )


def _require(opening: Opening, evaluator: Any) -> None:
    needs: frozenset[Need] = evaluator.needs
    dataset = opening.dataset
    if Need.TRAINED in needs and not opening.checkpoint.trained:
        raise Unsupported("random-weights", "random weights: a quality metric would mean nothing", "evaluate a trained checkpoint")
    if (Need.EXAMPLES in needs or isinstance(evaluator, ExampleEvaluator)) and dataset is None:
        raise Unsupported("no-dataset", "no data set was given", "add --dataset")
    if Need.GROUPS in needs and (dataset is None or not dataset.examples.groups):
        raise Unsupported("no-groups", "the data set names no groups", "choose a column with --group-column")
    if Need.TRAINING_SPLIT in needs and (dataset is None or not dataset.has_training):
        raise Unsupported("no-training-split", "the data set has no training split beside the evaluated one", "give a data set with one")
    if needs & {Need.GRADIENTS, Need.FEATURES} and not isinstance(opening.model, TorchModel):
        wanted = "gradients" if Need.GRADIENTS in needs else "features"
        raise Unsupported("deployed", f"an artefact gives logits only, and this wants {wanted}", "evaluate the checkpoint itself, without --as")
    if Need.FEATURES in needs and isinstance(opening.model, TorchModel):
        opening.model.require_features()


def checked(evaluator: Any, outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes, if they keep the contract.

    Raises:
        PluginError: None at all, an undeclared metric, or the same metric twice under the same conditions.
    """
    declared = {metric.name for metric in evaluator.metrics}
    seen: set[tuple[str, frozenset[tuple[str, object]]]] = set()
    for outcome in outcomes:
        if outcome.metric is None:
            continue
        identity = outcome.metric.name, frozenset(outcome.conditions.items())
        if outcome.metric.name not in declared:
            raise PluginError("undeclared-metric", f"{evaluator.name} yields {outcome.metric.name}, which it does not declare", "add it to metrics")
        if identity in seen:
            message = f"{evaluator.name} yields {outcome.metric.name} twice under the same conditions"
            raise PluginError("repeated-metric", message, "tell them apart by conditions")
        seen.add(identity)
    if not outcomes:
        raise PluginError("no-outcome", f"{evaluator.name} yields nothing", "yield a Measurement or a Failure")
    return outcomes
