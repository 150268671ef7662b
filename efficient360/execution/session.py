"""All that is open during a run: the checkpoint loaded, its artefact deployed where one was asked for, the data."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, final

from efficient360.core import environment
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.loader import Dataset, open_dataset, open_split
from efficient360.datasets.matching import kept_outputs
from efficient360.datasets.others import other_set, unseen_set
from efficient360.deployment.artefact import CalibrationImages, Deployment, deploy
from efficient360.evaluator import UNSEEN, Deadline, OtherSet
from efficient360.execution.events import Event, Progress
from efficient360.execution.plan import Plan
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.model import Model, preflight
from efficient360.models.references import resolve
from efficient360.storage.outcomes import Store

ARTEFACTS = "artefacts"
Emit = Callable[[Event], None]


@final
@dataclass(frozen=True)
class Opening:
    """All that is open during a run."""

    plan: Plan
    store: Store
    checkpoint: Checkpoint
    model: Model
    keep: tuple[int, ...] | None
    deployment: Deployment | None
    dataset: Dataset | None
    environment: dict[str, Any]
    deadline: Deadline
    emit: Emit

    def training(self) -> ExampleSet | None:
        """The split that the checkpoint was trained on, where the data set has one beside the evaluated split."""
        dataset, spec = self.dataset, self.plan.dataset
        if dataset is None or spec is None or not dataset.has_training:
            return None
        return open_split(dataset.card, "train", spec.data_dir, self.checkpoint, self.plan.seed)

    def others(self, references: Sequence[str]) -> dict[str, OtherSet]:
        """The data sets of these references, and the classes that the checkpoint does not know, where there are any; none of them opened.

        Raises:
            DatasetError: An unknown name.
        """
        found = {name: other_set(name, self.checkpoint, self.plan.seed) for name in references if name != UNSEEN}
        if self.dataset is not None and self.plan.dataset is not None and self.dataset.unseen:
            found[UNSEEN] = unseen_set(self.dataset, self.plan.dataset.data_dir, self.checkpoint, self.plan.seed)
        return found


def opened(plan: Plan, store: Store, emit: Emit, stack: ExitStack) -> Opening:
    """Open what a plan names.

    Args:
        plan: What to do.
        store: Where the run is kept.
        emit: Called with every event.
        stack: Closes what must be closed again.

    Raises:
        Efficient360Error: The checkpoint or the data are no good.
    """
    deadline = Deadline(None if plan.max_minutes is None else time.monotonic() + 60 * plan.max_minutes)
    checkpoint = resolve(plan.checkpoint)
    dataset = None
    keep = None
    if plan.dataset is not None:
        dataset = open_dataset(plan.dataset, checkpoint, plan.seed)
        keep = kept_outputs(checkpoint, dataset.card, dataset.examples.class_names)
    network = load_model(checkpoint, plan.device, keep)
    preflight(network, plan.seed)
    if not plan.deployment:
        return Opening(plan, store, checkpoint, network, keep, None, dataset, environment.describe(), deadline, emit)
    told = f"deployment as {plan.deployment}"
    emit(Progress(told, 0, 1))
    calibration = None if dataset is None else _calibration(plan, dataset, checkpoint)
    probes = None if dataset is None else dataset.examples
    there = stack.enter_context(deploy(checkpoint, network, plan.deployment, calibration, probes, store.work(ARTEFACTS), plan.seed))
    emit(Progress(told, 1, 1))
    return Opening(plan, store, checkpoint, there.model, keep, there, dataset, environment.describe(), deadline, emit)


def _calibration(plan: Plan, dataset: Dataset, checkpoint: Checkpoint) -> CalibrationImages:
    """The training split where there is one; else the evaluated examples, which is told because it flatters."""
    spec = plan.dataset
    if dataset.has_training and spec is not None:
        return CalibrationImages(open_split(dataset.card, "train", spec.data_dir, checkpoint, plan.seed), "the training split")
    return CalibrationImages(dataset.examples, "the evaluated split itself, as the data set has no other")
