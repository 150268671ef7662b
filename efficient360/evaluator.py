"""The contract of a plug-in, and all that a plug-in imports.

Two kinds, and only two. An :class:`ExampleEvaluator` scores each example on its own, so that the runner can batch, resume in
the middle, put an interval on every mean and compare two models in pairs. An :class:`Evaluator` looks at the model as a whole.
Both are frozen dataclasses: their fields are their settings, taken from YAML and validated.
"""

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Generic, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import TypeVar

from efficient360.core.batch import Batch
from efficient360.core.examples import UNSEEN, Examples, OtherSet, ShiftedSet
from efficient360.core.measurement import (
    BYTE,
    JOULE,
    MAC,
    NAT,
    ONE,
    SECOND,
    Better,
    Conditions,
    Failure,
    Interval,
    Measurement,
    Metric,
    Outcome,
    Status,
    Unit,
)
from efficient360.errors import OutOfTime, Unsupported
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.model import Model, TorchModel

__all__ = [
    "BYTE",
    "JOULE",
    "MAC",
    "NAT",
    "ONE",
    "SECOND",
    "UNSEEN",
    "Batch",
    "Better",
    "Conditions",
    "Context",
    "Deadline",
    "Evaluator",
    "ExampleEvaluator",
    "Examples",
    "Failure",
    "Interval",
    "Measurement",
    "Metric",
    "Model",
    "Need",
    "OtherSet",
    "OutOfTime",
    "Outcome",
    "ScoreTable",
    "Scores",
    "ShiftedSet",
    "Status",
    "TorchModel",
    "Unit",
    "Unsupported",
]


class Need(StrEnum):
    """What an evaluator cannot do without. Whatever is missing gives ``Failure(unsupported)`` before any work is done."""

    EXAMPLES = "examples"
    """A data set."""
    TRAINED = "trained"
    """Weights that were trained; random ones make a quality metric meaningless."""
    GRADIENTS = "gradients"
    """A differentiable model."""
    FEATURES = "features"
    """Pooled features before the classifier."""
    GROUPS = "groups"
    """Examples with group columns."""
    TRAINING_SPLIT = "training-split"
    """The split that the checkpoint was trained on."""
    SHIFTS = "shifts"
    """Shifted versions of the test set, which the data set's card names; what they are enters the key of a stored outcome."""
    MACHINE = "machine"
    """The numbers depend on this machine and want it to themselves; its identity enters the key of a stored outcome."""


@final
@dataclass(frozen=True)
class Deadline:
    """When work must stop. ``at`` is on the clock of ``time.monotonic``; ``None`` never comes."""

    at: float | None = None

    def check(self) -> None:
        """Call between steps of long work.

        Raises:
            OutOfTime: The time budget is spent.
        """
        if self.at is not None and time.monotonic() >= self.at:
            hint = "raise --max-minutes and run the same command again: it resumes"
            raise OutOfTime("time-budget", "the time budget was spent before this was done", hint)


E_co = TypeVar("E_co", bound=Examples | None, default=Examples | None, covariant=True)


def _no_progress(done: int, total: int) -> None:
    pass


def _as_they_are(examples: Examples) -> Examples:
    return examples


@final
@dataclass(frozen=True)
class Context(Generic[E_co]):
    """All that an evaluator sees besides the model: a ``Context[Examples]`` has examples, a plain ``Context`` may have none.

    Args:
        checkpoint: What is evaluated; enough to load it again in a process of its own.
        examples: The evaluated split, ``None`` when no data set was given (then ``needs`` must not name it).
        training: The split the checkpoint was trained on, where the data set has one.
        seed: Seed of all randomness.
        batch_size: How many examples to hold at a time. Must not change any number.
        deadline: Check it between steps of long work.
        scratch: A folder of the evaluator's own that survives interruption.
        progress: Tell ``(done, total)`` steps of long work.
        artefacts: Folder of converted artefacts that evaluators share, keyed by what made them; ``None`` keeps them in ``scratch``.
        shifts: Shifted versions of the test set, none of them opened.
        others: Other data sets by the references that the evaluator's ``others`` gave, none of them opened; under :data:`UNSEEN` the classes
            of the evaluated data set that the checkpoint does not know, where there are any.
        predicted: The same examples, whose batches carry ``clean_logits`` and, where the model offers them, ``clean_features``. Evaluators that ask
            for the same examples share one pass, kept on disk.
    """

    checkpoint: Checkpoint
    examples: E_co
    training: Examples | None
    seed: int
    batch_size: int
    deadline: Deadline
    scratch: Path
    progress: Callable[[int, int], None] = _no_progress
    artefacts: Path | None = None
    shifts: Sequence[ShiftedSet] = ()
    others: Mapping[str, OtherSet] = field(default_factory=dict)
    predicted: Callable[[Examples], Examples] = _as_they_are

    def require_examples(self) -> Examples:
        """The evaluated split.

        Raises:
            Unsupported: No data set was given.
        """
        if self.examples is None:
            raise Unsupported("no-dataset", "no data set was given", "add --dataset")
        return self.examples

    def require_training(self) -> Examples:
        """The split the checkpoint was trained on.

        Raises:
            Unsupported: The data set has none beside the evaluated one.
        """
        if self.training is None:
            raise Unsupported("no-training-split", "the data set has no training split beside the evaluated one", "give a data set with one")
        return self.training


@final
@dataclass(frozen=True)
class Scores:
    """One value per example of a batch.

    Args:
        metric: A metric or column that the evaluator declares.
        values: ``(B,)``, bool or float, finite.
        conditions: What else was fixed.
    """

    metric: Metric
    values: Tensor
    conditions: Conditions = field(default_factory=dict)


@final
@dataclass(frozen=True)
class ScoreTable:
    """Every example's scores, handed to :meth:`ExampleEvaluator.finish`.

    Args:
        ids: Example ids in order.
        labels: int64 ``(n,)``.
        groups: Group values in order by group column.
        num_classes: Number of classes.
        columns: float64 ``(n,)`` by metric name and conditions; read them with :meth:`column`.
    """

    ids: Sequence[str]
    labels: NDArray[np.int64]
    groups: Mapping[str, Sequence[str]]
    num_classes: int
    columns: Mapping[tuple[str, frozenset[tuple[str, object]]], NDArray[np.float64]]

    def column(self, metric: Metric, conditions: Conditions | None = None) -> NDArray[np.float64]:
        """The scores of one metric under one set of conditions, float64 ``(n,)``."""
        return self.columns[metric.name, frozenset((conditions or {}).items())]


class _Contract(ABC):
    """What both kinds declare."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[object]]]
    """Both kinds are frozen dataclasses; their fields are their settings."""

    name: ClassVar[str]
    """Stable snake_case name; also the name of the file."""
    version: ClassVar[int]
    """Retires stored results when raised. A change of the code does so by itself; raise it where the numbers change and the code does not tell."""
    metrics: ClassVar[tuple[Metric, ...]]
    """Every metric it can yield."""
    needs: ClassVar[frozenset[Need]]
    """What it cannot do without."""
    uses: ClassVar[frozenset[Need]] = frozenset()
    """What it takes where there is some."""
    drawing_settings: ClassVar[frozenset[str]] = frozenset()
    """Settings that change no number, only what is shown: how many pictures. Stored results are reused whatever they are."""
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {}
    """Two values are only set side by side if all settings agree. Here stand the settings that matter to some metrics only, with the names of those: with none
    where conditions tell the setting, or where it changes speed and intervals alone. ``data`` and ``machine`` stand for these."""

    def others(self) -> Sequence[str]:
        """Other data sets that it looks at: a card's name, a card's path, or ``NAME=DIR`` to read a local copy. What they are enters the key."""
        return ()

    def cache_dependencies(self) -> Mapping[str, object]:
        """What else its numbers depend on, plain JSON: a device, whether something is installed. It enters the key of stored outcomes.

        Its code, the versions of the libraries that it imports and what the files hold that its settings name enter by themselves.
        """
        return self.surroundings()

    def surroundings(self) -> Mapping[str, object]:
        """The former name of :meth:`cache_dependencies`, for plug-ins that define it."""
        return {}


class Evaluator(_Contract):
    """Looks at the model as a whole: parameters, MACs, spectra, latency, continual learning."""

    @abstractmethod
    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Yield a Measurement or a Failure for each thing that was to be measured.

        Raises:
            Unsupported: The model or the data lack what is needed.
            OutOfTime: From ``context.deadline``.
        """


class ExampleEvaluator(_Contract):
    """Scores each example on its own. Each declared metric becomes its mean over the examples, with an interval."""

    columns: ClassVar[tuple[Metric, ...]] = ()
    """Per-example values kept for :meth:`finish` and in ``examples.parquet`` that are no measurement by their mean."""

    def sample_size(self) -> int | None:
        """How many examples it scores where scoring one is long work: a stratified, seeded part of the split. ``None`` for all."""
        return None

    def batch_limit(self) -> int | None:
        """The most examples it takes at once where a batch is long work, so that little is lost when it is interrupted. ``None`` for any number."""
        return None

    @abstractmethod
    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Yield one :class:`Scores` for each metric and set of conditions: the same ones for every batch."""

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Yield what is no mean over examples (balanced accuracy, ECE), or a mean with pictures; nothing by default.

        A measurement of a per-example metric replaces the plain mean of that metric and conditions.
        """
        return iter(())

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """As :meth:`finish`, for what wants the model once more: a picture of a few examples. By default :meth:`finish`."""
        return self.finish(table, context)
