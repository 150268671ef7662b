"""All that is open during a run: the checkpoint loaded, its artefact deployed where one was asked for, the data."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, final

from torch import nn

from efficient360.core import environment
from efficient360.datasets.class_matching import ClassMatch, match_examples
from efficient360.datasets.class_names import are_placeholders
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.images import transform_for
from efficient360.datasets.in_memory import Supplied
from efficient360.datasets.loader import Dataset, open_dataset
from efficient360.datasets.others import other_set, unseen_set
from efficient360.datasets.spec import DatasetSpec
from efficient360.deployment.artefact import CalibrationImages, Deployment, deploy
from efficient360.deployment.artefact_folder import RunnableArtefact, is_artefact, open_artefact
from efficient360.deployment.program_artefact import RunnableProgram, is_program, open_program
from efficient360.errors import CheckpointError, DatasetError, Unsupported
from efficient360.evaluator import UNSEEN, Deadline, Evaluator, ExampleEvaluator, OtherSet
from efficient360.execution.events import Event, Progress
from efficient360.execution.plan import Plan
from efficient360.execution.training_split import TrainingSplit, calibration_images, training_split
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, Preprocessing
from efficient360.models.in_memory import checkpoint_in_memory, model_in_memory
from efficient360.models.libraries.zero_shot import CLASSES, NO_CLASS_NAMES
from efficient360.models.model import Model, preflight
from efficient360.models.references import nameless, resolve
from efficient360.storage.outcomes import Store

ARTEFACTS = "artefacts"
Emit = Callable[[Event], None]


@final
@dataclass(frozen=True)
class Session:
    """All that is open during a run."""

    plan: Plan
    store: Store
    checkpoint: Checkpoint
    model: Model
    match: ClassMatch | None
    deployment: Deployment | None
    dataset: Dataset | None
    environment: dict[str, Any]
    deadline: Deadline
    emit: Emit
    training_split: Callable[[], TrainingSplit]
    """Opens the training split once."""
    evaluators: Mapping[str, Evaluator | ExampleEvaluator] = field(default_factory=dict)
    """Evaluators that were handed over, which no name stands for."""
    reload: Callable[[], Model] | None = None
    """Makes the model anew; ``None`` for an artefact."""
    beside: Path | None = None
    """Once foreign code has run in this process: the folder of what is computed here, which the package's own evaluators never take up."""

    @property
    def keep(self) -> tuple[int, ...] | None:
        """Indices of the checkpoint's outputs in the order of the labels; ``None`` for its own order."""
        return None if self.match is None else self.match.outputs

    def training(self) -> ExampleSet | None:
        """The split that the checkpoint was trained on, where there is one that can be had."""
        return self.training_split().examples

    def require_training(self) -> ExampleSet:
        """The same, or why there is none.

        Raises:
            Unsupported: There is none, or it can't be had.
        """
        found = self.training_split()
        if found.examples is None:
            raise Unsupported("no-training-split", found.missing, found.hint)
        return found.examples

    def others(self, references: Sequence[str]) -> dict[str, OtherSet]:
        """The data sets of these references, and the classes that the checkpoint does not know, where there are any; none of them opened.

        Raises:
            DatasetError: An unknown name.
        """
        sets = {name: other_set(name, self.checkpoint, self.plan.seed) for name in references if name != UNSEEN}
        if self.dataset is not None and self.plan.dataset is not None and self.dataset.unseen:
            sets[UNSEEN] = unseen_set(self.dataset, self.plan.dataset.data_dir, self.checkpoint, self.plan.seed)
        return sets


@final
@dataclass(frozen=True)
class InMemory:
    """What a program hands over in place of what the plan's references name.

    Args:
        network: The network, ``None`` where the plan's reference is loaded.
        preprocessing: How pixels are brought to the network; wanted with one.
        class_names: Names of the network's classes, or empty.
        data: The data, ``None`` where the plan's reference is opened.
        evaluators: Evaluators that no name stands for, by their name.
    """

    network: nn.Module | None = None
    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] = ()
    data: Supplied | None = None
    evaluators: Mapping[str, Evaluator | ExampleEvaluator] = field(default_factory=dict)


def open_session(plan: Plan, store: Store, emit: Emit, stack: ExitStack, given: InMemory) -> Session:
    """Open what a plan names, or what was handed over in its place.

    Args:
        plan: What to do.
        store: Where the run is kept.
        emit: Called with every event.
        stack: Closes what must be closed again.
        given: What a program handed over.

    Raises:
        Efficient360Error: The checkpoint or the data are no good.
    """
    until = plan.until if plan.until is not None or plan.max_minutes is None else time.monotonic() + 60 * plan.max_minutes
    deadline = Deadline(until)
    program: RunnableProgram | RunnableArtefact | None = None
    if given.network is None and (is_artefact(plan.checkpoint) or is_program(plan.checkpoint)):
        artefact = is_artefact(plan.checkpoint)
        checkpoint, program = open_artefact(plan.checkpoint) if artefact else stack.enter_context(open_program(plan.checkpoint, store.work(ARTEFACTS)))
        if plan.deployment:
            message = f"{plan.checkpoint.reference} is a program already, and can't be converted to {plan.deployment}"
            raise CheckpointError("program-file", message, "leave out --as")
    elif given.network is not None and given.preprocessing is not None:
        checkpoint = checkpoint_in_memory(given.network, given.preprocessing, given.class_names, plan.checkpoint.output)
    else:
        plan, checkpoint = resolve_for(plan, given)
    dataset = _open_data(plan, given, checkpoint)
    match: ClassMatch | None = None
    names: Sequence[str] = ()
    if dataset is not None and plan.dataset is not None:
        examples, match = match_examples(dataset.examples, checkpoint, dataset.card, plan.dataset.class_map, plan.dataset.class_order)
        names = examples.class_names
        dataset = dataclasses.replace(dataset, examples=dataclasses.replace(examples, class_names=list(match.class_names)))
    keep = None if match is None else match.outputs
    training = cache(partial(training_split, dataset, names))
    if program is not None:
        running = stack.enter_context(program.running(checkpoint.num_classes, keep))
        preflight(running, plan.seed)
        around = environment.describe()
        return Session(plan, store, checkpoint, running, match, None, dataset, around, deadline, emit, training, given.evaluators)
    network = given.network
    reload = partial(load_model, checkpoint, plan.device, keep) if network is None else partial(model_in_memory, network, checkpoint, plan.device, keep)
    model = reload()
    preflight(model, plan.seed)
    calibration: CalibrationImages | None = None
    if dataset is not None and plan.deployment:
        dataset, calibration = calibration_images(dataset, training, plan.deployment, plan.seed)
    opened = partial(Session, plan, store, checkpoint, match=match, dataset=dataset, environment=environment.describe(), deadline=deadline, emit=emit)
    if not plan.deployment:
        return opened(model=model, deployment=None, training_split=training, evaluators=given.evaluators, reload=reload)
    work = f"deployment as {plan.deployment}"
    emit(Progress(work, 0, 1))
    probes = None if dataset is None else dataset.examples
    deployment = stack.enter_context(deploy(checkpoint, model, plan.deployment, calibration, probes, store.work(ARTEFACTS), plan.seed))
    emit(Progress(work, 1, 1))
    return opened(model=deployment.model, deployment=deployment, training_split=training, evaluators=given.evaluators)


def resolve_for(plan: Plan, given: InMemory) -> tuple[Plan, Checkpoint]:
    """The plan's checkpoint; where it compares images with names and is given none, with the names of the data's classes."""
    try:
        return plan, resolve(plan.checkpoint)
    except CheckpointError as error:
        if error.code != NO_CLASS_NAMES or plan.dataset is None:
            raise
        names = _names_of_data(plan.dataset, plan, given)
        if are_placeholders(names) or all(name.isdecimal() for name in names):
            raise
    spec = dataclasses.replace(plan.checkpoint, arguments={**plan.checkpoint.arguments, CLASSES: names})
    return dataclasses.replace(plan, checkpoint=spec), resolve(spec)


def _names_of_data(spec: DatasetSpec, plan: Plan, given: InMemory) -> list[str]:
    """What the data call their classes; empty where they only number them."""
    if given.data is not None:
        return list(given.data.named_classes())
    try:
        return list(open_dataset(spec, nameless(plan.checkpoint), plan.seed).examples.class_names)
    except DatasetError as error:
        if error.code == "label-out-of-range":
            return []
        raise


def _open_data(plan: Plan, given: InMemory, checkpoint: Checkpoint) -> Dataset | None:
    if plan.dataset is None:
        return None
    if given.data is None:
        return open_dataset(plan.dataset, checkpoint, plan.seed)
    shape = checkpoint.preprocessing
    resize = transform_for(shape)
    return given.data.open(checkpoint.class_names, checkpoint.num_classes, shape.input_size, resize, plan.dataset.max_examples, plan.seed)
