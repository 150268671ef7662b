"""From a plan to stored outcomes, in this process. What is stored already is not done again; what fails takes nothing with it."""

import dataclasses
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from efficient360.core import canonical
from efficient360.core.measurement import Failure, Metric, Outcome, Status
from efficient360.core.outcome import Record
from efficient360.errors import DatasetError, Efficient360Error, OutOfTime, PluginError, Unsupported
from efficient360.evaluator import Context, Evaluator, ExampleEvaluator, Examples, Need
from efficient360.execution.cache_key import header_of, key_of
from efficient360.execution.comparable import measured_with
from efficient360.execution.events import Finished, Opened, Progress, Started
from efficient360.execution.plan import Plan, configure
from efficient360.execution.predictions import shared
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.execution.session import ARTEFACTS, Emit, InMemory, Session, open_session
from efficient360.models.model import TorchModel
from efficient360.plugins.registry import evaluator_class, evaluators
from efficient360.storage.outcomes import Store, is_retried
from efficient360.storage.per_example import write_examples

Split = TypeVar("Split", Examples, Examples | None)


def run(plan: Plan, emit: Emit, given: InMemory | None = None) -> None:
    """Run a plan and store its outcomes.

    Args:
        plan: What to do.
        emit: Called with every event.
        given: What a program hands over in place of what the plan's references name.

    Raises:
        Efficient360Error: The checkpoint, the data, the settings or the folder are no good. A failing evaluator raises nothing.
    """
    store, given = Store(plan.out), given or InMemory()
    with store.writer(), ExitStack() as stack:
        known = evaluators(plan.plugins)
        planned = [given.evaluators.get(step.evaluator) or configure(evaluator_class(step.evaluator, known), step.settings) for step in plan.steps]
        session = open_session(plan, store, emit, stack, given)
        identified = {evaluator.name: _identified(session, evaluator) for evaluator in planned}
        keys = {name: key for name, (key, _) in identified.items()}
        header = header_of(session, planned)
        store.require_same(header)
        emit(Opened(header, keys, store.corrupt_lines()))
        for index, evaluator in enumerate(planned):
            _step(session, evaluator, identified[evaluator.name], index, len(planned))
        if session.dataset is not None:
            scored = {name: store.work(group[0].key) for name, group in store.newest(keys).items() if not is_retried(group)}
            write_examples(plan.out, session.dataset.examples.ids, scored)


def _identified(session: Session, evaluator: Evaluator | ExampleEvaluator) -> tuple[str, Failure | None]:
    """An evaluator's key; or a key of no stored result, and the failure of an evaluator whose results can't be told apart."""
    try:
        return key_of(session, evaluator), None
    except PluginError as error:
        failure = Failure.of(Status.FAILED, error)
    except Efficient360Error:  # a setting names data that are not there
        raise
    except Exception as error:  # a plug-in's own code may raise anything
        failure = Failure(Status.FAILED, "crashed", f"what its numbers depend on can't be told: {type(error).__name__}: {' '.join(str(error).split())[:500]}")
    return f"{evaluator.name}-unknown", failure


def _step(session: Session, evaluator: Evaluator | ExampleEvaluator, identified: tuple[str, Failure | None], place: int, total: int) -> None:
    store, emit = session.store, session.emit
    key, failure = identified
    emit(Started(evaluator.name, place, total))
    if stored := store.finished(evaluator.name, key):
        emit(Finished(evaluator.name, stored, cached=True))
        return
    began = time.monotonic()
    outcomes = [failure] if failure is not None else list(_outcomes(session, evaluator, key))
    seconds = time.monotonic() - began
    settings = canonical.plain(dataclasses.asdict(evaluator), evaluator.name) if failure is None else {}
    records = []
    for index, outcome in enumerate(outcomes):
        facts = measured_with(session, evaluator, outcome.metric) if failure is None else {}
        records.append(Record(evaluator.name, outcome, key, (index, len(outcomes)), settings, seconds, facts))
    store.append(records)
    emit(Finished(evaluator.name, records, cached=False))


def _outcomes(session: Session, evaluator: Evaluator | ExampleEvaluator, key: str) -> Iterator[Outcome]:
    """What the evaluator yields, and where it stops short, the one Failure that says why."""
    try:
        _require(session, evaluator)
        session.deadline.check()
        yield from checked(evaluator, _evaluate(session, evaluator, key))
    except Unsupported as error:
        yield Failure.of(Status.UNSUPPORTED, error)
    except OutOfTime as error:
        yield Failure.of(Status.NOT_RUN, error)
    except DatasetError:
        raise
    except Efficient360Error as error:
        yield Failure.of(Status.FAILED, error)
    except Exception as error:  # an evaluator's own code may raise anything; the others go on
        log = session.store.work(key) / "traceback.txt"
        log.write_text(traceback.format_exc(), encoding="utf-8")
        reason = " ".join(str(error).split())[:500]
        yield Failure(Status.FAILED, "crashed", f"{type(error).__name__}: {reason}", f"the traceback is in {log}")


def _evaluate(session: Session, evaluator: Evaluator | ExampleEvaluator, key: str) -> Iterator[Outcome]:
    split = None if session.dataset is None else session.dataset.examples
    if isinstance(evaluator, ExampleEvaluator):
        if split is None:
            raise Unsupported("no-dataset", "no data set was given", "add --dataset")
        examples = shared(session, split)
        if (size := evaluator.sample_size()) is not None:
            examples = examples.subset(size, session.plan.seed)
        context = _context(session, evaluator, key, examples)
        table = score_all(evaluator, session.model, examples, context, context.progress)
        yield from outcomes_of(evaluator, session.model, table, context)
    elif isinstance(evaluator, Evaluator):
        yield from evaluator.evaluate(session.model, _context(session, evaluator, key, split))
    else:
        raise PluginError("no-evaluator", f"{type(evaluator).__name__} is neither an Evaluator nor an ExampleEvaluator", "inherit from one of them")


def _context(session: Session, evaluator: Evaluator | ExampleEvaluator, key: str, examples: Split) -> Context[Split]:
    plan, emit = session.plan, session.emit
    return Context(
        checkpoint=session.checkpoint,
        examples=examples,
        training=session.training() if Need.TRAINING_SPLIT in evaluator.needs | evaluator.uses else None,
        seed=plan.seed,
        batch_size=plan.batch_size,
        deadline=session.deadline,
        scratch=session.store.work(key),
        progress=lambda done, total: emit(Progress(evaluator.name, done, total)),
        artefacts=session.store.work(ARTEFACTS),
        shifts=() if session.dataset is None else session.dataset.shifts,
        others=session.others(evaluator.others()),
        predicted=partial(shared, session),
    )


def _require(session: Session, evaluator: Evaluator | ExampleEvaluator) -> None:
    needs: frozenset[Need] = evaluator.needs
    dataset = session.dataset
    if Need.TRAINED in needs and not session.checkpoint.trained:
        raise Unsupported("random-weights", "random weights: a quality metric would mean nothing", "evaluate a trained checkpoint")
    if (Need.EXAMPLES in needs or isinstance(evaluator, ExampleEvaluator)) and dataset is None:
        raise Unsupported("no-dataset", "no data set was given", "add --dataset")
    if Need.GROUPS in needs and (dataset is None or not dataset.examples.groups):
        raise Unsupported("no-groups", "the data set names no groups", "choose a column with --group-column")
    if Need.TRAINING_SPLIT in needs and (dataset is None or dataset.training is None):
        raise Unsupported("no-training-split", "the data set has no training split beside the evaluated one", "give a data set with one")
    if needs & {Need.GRADIENTS, Need.FEATURES} and not isinstance(session.model, TorchModel):
        wanted = "gradients" if Need.GRADIENTS in needs else "features"
        raise Unsupported("deployed", f"an artefact gives logits only, and this wants {wanted}", "evaluate the checkpoint itself, without --as")
    if Need.FEATURES in needs and isinstance(session.model, TorchModel):
        session.model.require_features()


def checked(evaluator: Evaluator | ExampleEvaluator, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """The outcomes as they come, as long as they keep the contract.

    Raises:
        PluginError: None at all, an undeclared metric or one in another unit than declared, or the same metric twice under the same conditions.
    """
    declared = {metric.name: metric for metric in evaluator.metrics}
    yielded: set[tuple[str, frozenset[tuple[str, object]]]] = set()
    empty = True
    for outcome in outcomes:
        empty = False
        if outcome.metric is not None:
            _require_declared(evaluator, declared, outcome.metric)
            identity = outcome.metric.name, frozenset(outcome.conditions.items())
            if identity in yielded:
                message = f"{evaluator.name} yields {outcome.metric.name} twice under the same conditions"
                raise PluginError("repeated-metric", message, "tell them apart by conditions")
            yielded.add(identity)
        yield outcome
    if empty:
        raise PluginError("no-outcome", f"{evaluator.name} yields nothing", "yield a Measurement or a Failure")


def _require_declared(evaluator: Evaluator | ExampleEvaluator, declared: Mapping[str, Metric], metric: Metric) -> None:
    own = declared.get(metric.name)
    if own is None:
        raise PluginError("undeclared-metric", f"{evaluator.name} yields {metric.name}, which it does not declare", "add it to metrics")
    if (own.unit, own.better) != (metric.unit, metric.better):
        message = f"{evaluator.name} yields {metric.name} in {metric.unit} ({metric.better} is better) and declares it in {own.unit} ({own.better})"
        raise PluginError("wrong-unit", message, "yield the metric that is declared")
