"""Every method on one stream in one scenario over all seeds. A finished run is kept; only the one that was going on is lost to a kill."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.errors import Unsupported
from efficient360.evaluator import Deadline
from efficient360.methods.continual_learning.features import featured
from efficient360.methods.continual_learning.fitting import Course
from efficient360.methods.continual_learning.learner import Learner, learner_of
from efficient360.methods.continual_learning.material import Material
from efficient360.methods.continual_learning.method import Method, Study
from efficient360.methods.continual_learning.results import Results
from efficient360.methods.continual_learning.running import matrix, row
from efficient360.methods.continual_learning.scenario import Scenario
from efficient360.methods.continual_learning.stream import Stream
from efficient360.models.model import TorchModel
from efficient360.storage.row_log import RowLog


@final
class Steps:
    """Counts steps and tells of them.

    Args:
        total: How many there will be.
        progress: Told ``(done, total)``.
    """

    def __init__(self, total: int, progress: Callable[[int, int], None]) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def advance(self, steps: int = 1) -> None:
        """Some more steps are done."""
        self._done += steps
        self._progress(self._done, self._total)


@final
@dataclass(frozen=True)
class Effort:
    """How much is spent on a run.

    Args:
        seeds: Runs of each method.
        steps: Steps a task.
        batch: Images a step.
        seed: Of the evaluation; the runs' own derive from it.
    """

    seeds: int
    steps: int
    batch: int
    seed: int

    def of_run(self, run: int) -> int:
        """The seed of a run: of its order of tasks, and of everything that is drawn in it."""
        return int(np.random.default_rng([self.seed, 23, run]).integers(2**31))

    def cost(self, stream: Stream, methods: Sequence[Method]) -> int:
        """Steps that all runs of some methods take in all."""
        return self.seeds * self.steps * sum(method.passes(len(stream.tasks)) for method in methods)


@final
@dataclass(frozen=True)
class Trial:
    """One stream in one scenario.

    Args:
        material: What the stream is made of.
        scenario: One that it allows.
        model: The checkpoint's; every run learns with a copy.
        folder: Where finished runs are kept.
        effort: How much is spent.
        deadline: Checked before every step.
    """

    material: Material
    scenario: Scenario
    model: TorchModel
    folder: Path
    effort: Effort
    deadline: Deadline

    def stream(self, run: int) -> Stream:
        """The tasks in the order of one run.

        Raises:
            Unsupported: A task has no training or no test images.
        """
        found = self.material.laid_out(self.scenario, self.effort.of_run(run))
        for task in found.tasks:
            if not len(task.training) or not len(task.test):
                message = f"the task {task.name} of {self.material.title} has {len(task.training)} training and {len(task.test)} test images"
                raise Unsupported("too-few-examples", message, "raise images and tested, or name fewer tasks")
        return found

    def results(self, methods: Sequence[Method], steps: Steps) -> Results:
        """The accuracy matrices of every method and run.

        Raises:
            Unsupported: As :meth:`stream`, or a method does not suit the network.
            OutOfTime: From the deadline; finished runs are kept.
        """
        first = self.stream(0)
        before = dict(zip((home.name for home in first.homes), row(self._fresh(first), first, 0, self.deadline), strict=True))
        return Results(self.material.name, self.scenario, len(first.original.test), {method.name: self._runs(method, before, steps) for method in methods})

    def _runs(self, method: Method, before: dict[str, float], steps: Steps) -> NDArray[np.float64]:
        side = len(self.stream(0).homes)
        log = RowLog(self.folder / f"{self.scenario}-{method.name}.f64", side * side, "float64")
        log.truncate(len(log))
        steps.advance(min(len(log), self.effort.seeds) * self.effort.steps * method.passes(side - 1))
        for run in range(len(log), self.effort.seeds):
            stream = self.stream(run)
            course = Course(self.effort.steps, self.effort.batch, self.effort.of_run(run), self.deadline, steps.advance)
            study = Study(stream, partial(self._featured, stream), partial(self._fresh, stream), course)
            # Tasks of new classes differ from run to run, and before they are learned none can be named.
            known = [before.get(home.name, 0.0) for home in stream.homes]
            log.append(matrix(method, study, known).reshape(1, -1))
        return log.read(0, self.effort.seeds).reshape(-1, side, side)

    def _fresh(self, stream: Stream) -> Learner:
        return learner_of(self.model, stream.outputs)

    def _featured(self, stream: Stream) -> Stream:
        return featured(stream, self._fresh(stream), self.deadline)
