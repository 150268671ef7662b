"""From a plan to stored outcomes, in this process. What is stored already is not done again; what fails takes nothing with it."""

import contextlib
import dataclasses
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from efficient360.core.findings import findings_from_json
from efficient360.core.measurement import Failure, Outcome, Status
from efficient360.core.outcome import Record
from efficient360.core.plain import plain
from efficient360.errors import DatasetError, Efficient360Error, OutOfTime, PluginError, TrainingDataError, Unsupported
from efficient360.evaluator import Context, Evaluator, ExampleEvaluator, Examples, Need
from efficient360.execution import preparation
from efficient360.execution.cache_key import header_of
from efficient360.execution.comparable import measured_with
from efficient360.execution.contract import checked, failure_of
from efficient360.execution.events import Finished, Found, Importing, Opened, Progress, Started
from efficient360.execution.guard import Baseline, changed_model, guarded, spoiled
from efficient360.execution.origins import groups_of, source_digest
from efficient360.execution.pace import seconds_per_image
from efficient360.execution.plan import Plan, configure
from efficient360.execution.prediction_checks import findings_of_predictions
from efficient360.execution.predictions import shared
from efficient360.execution.preparation import Prepared
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.execution.session import ARTEFACTS, Emit, InMemory, Session, open_session
from efficient360.models.model import TorchModel
from efficient360.plugins.registry import evaluator_class, evaluators
from efficient360.storage.outcomes import Store, is_retried
from efficient360.storage.per_example import write_examples

Split = TypeVar("Split", Examples, Examples | None)


def run(plan: Plan, emit: Emit, given: InMemory | None = None, before: Opened | None = None) -> None:
    """Run a plan and store its outcomes. The package's own evaluators come first, then foreign ones by where their code is from.

    Args:
        plan: What to do.
        emit: Called with every event.
        given: What a program hands over in place of what the plan's references name.
        before: What other processes of the same run opened, with their evaluators' keys.

    Raises:
        Efficient360Error: The checkpoint, the data, the settings or the folder are no good. A failing evaluator raises nothing.
        RunError: ``spoiled-process``, where a foreign evaluator changed what can't be put back.
    """
    store, given = Store(plan.out), given or InMemory()
    with store.writer(), ExitStack() as stack:
        known = evaluators(plan.plugins)
        groups = groups_of(plan.steps, known, given.evaluators)
        ours = [configure(evaluator_class(step.evaluator, known), step.settings) for group in groups if not group.foreign for step in group.steps]
        session = open_session(plan, store, emit, stack, given)
        prepared = preparation.own(session, ours)
        opened, baseline = _open(session, prepared, before), Baseline.of(session.model, any(group.foreign for group in groups))
        session = _steps(session, prepared, baseline, opened)
        for group in groups:
            if group.foreign:
                with guarded(foreign=True):
                    emit(Importing(tuple(step.evaluator for step in group.steps)))
                    prepared = preparation.foreign(session, group.steps, known)
                    session = dataclasses.replace(session, beside=store.work(f"beside-{source_digest(group)}"))
                    opened = _open(session, prepared, opened)
                    session = _steps(session, prepared, baseline, opened)
        if session.dataset is not None:
            scored = {name: store.work(group[0].key) for name, group in store.newest(opened.keys).items() if not is_retried(group)}
            write_examples(plan.out, session.dataset.examples.ids, scored)


def _open(session: Session, prepared: Sequence[Prepared], before: Opened | None) -> Opened:
    """Tell what is open, with all that was opened before in this run."""
    header = header_of(session, [step.evaluator for step in prepared if step.evaluator is not None])
    session.store.require_same(header)
    keys = {step.name: step.key for step in prepared}
    stored = tuple(step.name for step in prepared if session.store.finished(step.name, step.key))
    pace = None if before is None else before.seconds_per_image
    if pace is None and len(stored) < len(prepared):
        pace = seconds_per_image(session.model)
    if before is not None:
        stored = (*before.stored, *(name for name in stored if name not in before.stored))
        protocol = {**header["protocol"], "evaluators": {**before.header["protocol"]["evaluators"], **header["protocol"]["evaluators"]}}
        header, keys = {**before.header, "protocol": protocol}, {**before.keys, **keys}
    opened = Opened(header, keys, session.store.corrupt_lines(), stored, pace)
    session.emit(opened)
    return opened


def _steps(session: Session, prepared: Sequence[Prepared], baseline: Baseline, opened: Opened) -> Session:
    """Run some evaluators; the session has the model that the next one gets. What the predictions say against the run is told as soon as they are there."""
    names = [step.evaluator for step in session.plan.steps]
    told = False
    for step in prepared:
        session.emit(Started(step.name, names.index(step.name), len(names)))
        if stored := session.store.finished(step.name, step.key):
            session.emit(Finished(step.name, stored, cached=True))
            told = told or _tell(session, opened)
            continue
        began = time.monotonic()
        with guarded(step.foreign):
            outcomes = [step.failure] if step.failure is not None else list(_outcomes(session, step))
        changes = baseline.changes(session.model)
        whole = not step.foreign or baseline.answers_same(session.model)
        if changes or not whole:
            outcomes = [changed_model(step.name, changes)]
            _forget(session.store.work(step.key), session.beside)
        _store(session, step, outcomes, time.monotonic() - began)
        if changes or not whole:
            session = _renewed(session, step.name, baseline)
        told = told or _tell(session, opened)
    return session


def _tell(session: Session, opened: Opened) -> bool:
    """Whether there are predictions whose findings could be told, with those that were known before."""
    if (found := findings_of_predictions(session)) is not None:
        session.emit(Found((*found, *findings_from_json(opened.header["findings"]))))
    return found is not None


def _store(session: Session, step: Prepared, outcomes: Sequence[Outcome], seconds: float) -> None:
    settings = {} if step.evaluator is None else plain(dataclasses.asdict(step.evaluator))
    records = []
    for index, outcome in enumerate(outcomes):
        facts = {} if step.evaluator is None else measured_with(session, step.evaluator, outcome.metric)
        records.append(Record(step.name, outcome, step.key, (index, len(outcomes)), settings, seconds, facts))
    session.store.append(records)
    session.emit(Finished(step.name, records, cached=False))


def _forget(*folders: Path | None) -> None:
    """Drop what was kept to resume from: it was computed with a model that is none of the run's."""
    for folder in folders:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _renewed(session: Session, culprit: str, baseline: Baseline) -> Session:
    """The session with the model as it was.

    Raises:
        RunError: It can't be had in this process.
    """
    if session.reload is None:
        raise spoiled(culprit)
    session = dataclasses.replace(session, model=session.reload())
    if baseline.changes(session.model) or not baseline.answers_same(session.model):
        raise spoiled(culprit)
    return session


def _outcomes(session: Session, step: Prepared) -> Iterator[Outcome]:
    """What the evaluator yields, and where it stops short, the one Failure that says why."""
    evaluator = step.evaluator
    if evaluator is None:
        return
    try:
        _require(session, evaluator)
        session.deadline.check()
        yield from checked(evaluator, _evaluate(session, evaluator, step.key))
    except Unsupported as error:
        yield Failure.of(Status.UNSUPPORTED, error)
    except OutOfTime as error:
        yield Failure.of(Status.NOT_RUN, error)
    except TrainingDataError as error:
        yield Failure.of(Status.FAILED, error)
    except DatasetError as error:
        if not step.foreign:
            raise
        yield Failure.of(Status.FAILED, error)
    except Efficient360Error as error:
        yield Failure.of(Status.FAILED, error)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # an evaluator's own code may raise anything, SystemExit too; the others go on
        log = session.store.work(step.key) / "traceback.txt"
        with contextlib.suppress(OSError):  # what a full disk can't take is no reason to stop
            log.write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
        yield dataclasses.replace(failure_of(error), hint=f"the traceback is in {log}")


def _evaluate(session: Session, evaluator: Evaluator | ExampleEvaluator, key: str) -> Iterator[Outcome]:
    split = None if session.dataset is None else session.dataset.examples.copied()
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
    training = session.training() if Need.TRAINING_SPLIT in evaluator.needs | evaluator.uses else None
    return Context(
        checkpoint=session.checkpoint,
        examples=examples,
        training=None if training is None else training.copied(),
        seed=plan.seed,
        batch_size=plan.batch_size,
        deadline=session.deadline,
        scratch=session.store.work(key),
        progress=lambda done, total: emit(Progress(evaluator.name, int(done), int(total))),
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
    if Need.TRAINING_SPLIT in needs:
        session.require_training()
    if needs & {Need.GRADIENTS, Need.FEATURES} and not isinstance(session.model, TorchModel):
        wanted = "gradients" if Need.GRADIENTS in needs else "features"
        raise Unsupported("deployed", f"an artefact gives logits only, and this wants {wanted}", "evaluate the checkpoint itself, without --as")
    if Need.FEATURES in needs and isinstance(session.model, TorchModel):
        session.model.require_features()
