"""Continual learning: what a copy of the checkpoint retains when it learns one new task after another."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Final, final

from pydantic import AfterValidator, Field

from efficient360.core.figures import Figure, Table
from efficient360.core.findings import findings_table
from efficient360.core.settings import AtLeast1, AtLeast2, EachOnce, NotEmpty, Positive, among
from efficient360.errors import Unsupported
from efficient360.evaluator import (
    UNSEEN,
    Conditions,
    Context,
    Evaluator,
    Examples,
    Failure,
    Metric,
    Model,
    Need,
    Outcome,
    Status,
    TorchModel,
)
from efficient360.methods.continual_learning import forgetting_and_transfer as metrics
from efficient360.methods.continual_learning.ewc import Ewc
from efficient360.methods.continual_learning.experiment import RunBudget, StepCounter, StreamExperiment
from efficient360.methods.continual_learning.figures import accuracy_over_time, known_groups_warning, methods_table, shown_methods, validity_warnings
from efficient360.methods.continual_learning.learner import require_learnable
from efficient360.methods.continual_learning.lora import Lora
from efficient360.methods.continual_learning.lwf import Lwf
from efficient360.methods.continual_learning.method import LearningRates, Method
from efficient360.methods.continual_learning.naive_frozen_joint import Frozen, Joint, Naive
from efficient360.methods.continual_learning.replay import BUFFERS, Replay
from efficient360.methods.continual_learning.results import StreamResults
from efficient360.methods.continual_learning.stream import Scenario
from efficient360.methods.continual_learning.task_pool import TaskPool
from efficient360.methods.continual_learning.task_pool_builder import CORRUPTIONS, TaskPoolBuilder
from efficient360.methods.corruptions.imagenet_c import COMMON, EXTRA, SEVERITIES, CorruptionSetting, corrupted_batch, resolve_table

AUTO: Final = "auto"
GROUP: Final = "group:"
FISHER_IMAGES: Final = 64
"""Per task; each takes a backward pass of its own."""
METHODS: Final = ("naive", "ewc", "lwf", "replay", "frozen", "lora", "joint")


def _one_beside_joint(methods: tuple[str, ...]) -> tuple[str, ...]:
    if not set(methods) - {Joint.name}:
        raise ValueError("name a method besides joint")
    return methods


@final
@dataclass(frozen=True)
class Continual(Evaluator):
    """Continual learning of new classes or conditions by a copy of the checkpoint, against joint training on all of them.

    Args:
        streams: ``corruptions``; ``unseen-classes`` of the evaluated data set; another data set, as ``digits`` or ``cifar100=DIR``;
            ``group:COLUMN``; ``auto`` is ``unseen-classes`` where there are any, else ``corruptions``.
        scenarios: ``class-incremental``, ``task-incremental``, ``domain-incremental``; empty for all that a stream supports.
        methods: ``naive``, ``ewc``, ``lwf``, ``replay``, ``frozen``, ``lora``, and ``joint``, the upper bound.
        seeds: Number of runs, each with its own order of tasks and images; at least 3.
        tasks: Maximum number of tasks that a stream is split into; corruptions are a task each.
        corruptions: Names.
        severity: Of the corruptions, 1 to 5.
        images: Maximum training images per task.
        tested: Maximum test images per task, and of the original test set.
        steps: Steps per task.
        batch: Images per step.
        rate: Adam's learning rate for the backbone.
        head_rate: For the head.
        lora_rate: For LoRA adapters.
        rank: Of LoRA adapters.
        ewc_strength: Weight of the penalty, λ.
        lwf_strength: Weight of the distillation loss.
        memory: Capacity of the replay buffer in images.
        memory_kind: ``reservoir`` or ``balanced``.
    """

    name: ClassVar[str] = "continual"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = metrics.ALL
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.GRADIENTS})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.TRAINING_SPLIT, Need.GROUPS})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"streams": (), "scenarios": (), "methods": ()}
    streams: Annotated[tuple[str, ...], NotEmpty, EachOnce] = (AUTO,)
    scenarios: Annotated[tuple[Annotated[str, among(lambda: tuple(Scenario))], ...], EachOnce] = ()
    methods: Annotated[tuple[Annotated[str, among(lambda: METHODS)], ...], EachOnce, AfterValidator(_one_beside_joint)] = METHODS
    seeds: Annotated[int, Field(ge=3)] = 3
    tasks: AtLeast2 = 5
    corruptions: Annotated[tuple[Annotated[str, among(lambda: (*COMMON, *EXTRA))], ...], Field(min_length=2), EachOnce] = (
        "gaussian_noise",
        "motion_blur",
        "fog",
        "contrast",
    )
    severity: Annotated[int, Field(ge=SEVERITIES[0], le=SEVERITIES[-1])] = 5
    images: AtLeast1 = 300
    tested: AtLeast1 = 200
    steps: AtLeast1 = 25
    batch: AtLeast1 = 32
    rate: Positive = 5e-4
    head_rate: Positive = 3e-3
    lora_rate: Positive = 2e-3
    rank: AtLeast1 = 8
    ewc_strength: Annotated[float, Field(ge=0)] = 1000.0
    lwf_strength: Annotated[float, Field(ge=0)] = 1.0
    memory: AtLeast1 = 200
    memory_kind: Annotated[str, among(lambda: BUFFERS)] = "reservoir"

    def others(self) -> Sequence[str]:
        """The data sets that its streams name."""
        return tuple(name for name in self.streams if name not in (AUTO, CORRUPTIONS, UNSEEN) and not name.startswith(GROUP))

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Learn every stream with every method and seed; one Failure for a stream that is not available.

        Raises:
            Unsupported: No data, or no network in torch that ends in one linear classifier.
            OutOfTime: From ``context.deadline``; finished runs are kept.
        """
        examples = context.require_examples()
        if not isinstance(model, TorchModel):
            raise Unsupported("deployed", "a deployed model gives logits only, and training needs gradients", "evaluate the checkpoint itself, without --as")
        require_learnable(model)
        budget, methods = RunBudget(self.seeds, self.steps, self.batch, context.seed), self._methods()
        experiments: list[StreamExperiment] = []
        total_steps = 0
        for stream in dict.fromkeys(self._resolved(name, context) for name in self.streams):
            folder = context.scratch / stream.partition("=")[0].replace(":", "-").replace("/", "-")
            try:
                pool = self._task_pool(stream, folder, examples, context)
                of_stream = [StreamExperiment(pool, scenario, model, folder, budget, context.deadline) for scenario in self._chosen_scenarios(pool)]
                total_steps += sum(budget.total_steps(experiment.stream(0), methods) for experiment in of_stream)
                experiments += of_stream
            except Unsupported as error:
                yield _failed(error, {"stream": stream.partition("=")[0]})
        steps = StepCounter(total_steps, context.progress)
        for experiment in experiments:
            try:
                results = experiment.results(methods, steps)
            except Unsupported as error:
                yield _failed(error, {"stream": experiment.pool.name, "scenario": experiment.scenario.value})
                continue
            yield from results.outcomes(self._figures(results, experiment.pool))

    def _resolved(self, stream: str, context: Context) -> str:
        if stream != AUTO:
            return stream
        return UNSEEN if UNSEEN in context.others else CORRUPTIONS

    def _task_pool(self, stream: str, folder: Path, known: Examples, context: Context) -> TaskPool:
        folder.mkdir(parents=True, exist_ok=True)
        builder = TaskPoolBuilder(context, folder, known, self.images, self.tested, self.tasks)
        if stream == CORRUPTIONS:
            table = resolve_table("auto", *context.checkpoint.preprocessing.input_size[1:])
            settings = {name: CorruptionSetting(name, self.severity, table) for name in self.corruptions}
            return builder.corruptions({name: partial(corrupted_batch, setting=setting) for name, setting in settings.items()}, self.severity)
        if stream.startswith(GROUP):
            return builder.groups(stream.removeprefix(GROUP))
        if stream not in context.others:
            message = f"there is no stream {stream}: the checkpoint knows every class of the evaluated data set"
            raise Unsupported("no-unseen-classes", message, "evaluate a checkpoint that was trained on some of the classes only, or name another stream")
        return builder.new_classes(context.others[stream])

    def _chosen_scenarios(self, pool: TaskPool) -> list[Scenario]:
        """The requested scenarios that the pool supports; all that it supports where none was requested."""
        chosen = [scenario for scenario in pool.scenarios if not self.scenarios or scenario in self.scenarios]
        if not chosen:
            message = f"the stream {pool.name} is {' or '.join(pool.scenarios)}, not {' or '.join(self.scenarios)}"
            raise Unsupported("no-such-scenario", message, "name another stream, or leave scenarios empty")
        return chosen

    def _methods(self) -> list[Method]:
        rates = LearningRates(self.rate, self.head_rate)
        methods: list[Method] = [
            Naive(rates),
            Ewc(rates, self.ewc_strength, FISHER_IMAGES),
            Lwf(rates, self.lwf_strength),
            Replay(rates, self.memory, self.memory_kind),
            Frozen(rates),
            Lora(LearningRates(self.lora_rate, self.head_rate), self.rank),
            Joint(rates),
        ]
        by_name = {method.name: method for method in methods}
        return [by_name[name] for name in self.methods]

    def _figures(self, results: StreamResults, pool: TaskPool) -> list[Figure]:
        warnings = [*validity_warnings(results), *([known_groups_warning(pool.title)] if pool.name.startswith(GROUP) else [])]
        curves = [accuracy_over_time(results, method, pool.title) for method in shown_methods(results)]
        return [methods_table(results, pool.title), *curves, *([findings_table(warnings)] if warnings else []), self._protocol(pool)]

    def _protocol(self, pool: TaskPool) -> Table:
        rows: list[tuple[str, str | int]] = [
            ("stream", pool.title),
            ("training images per task", f"at most {self.images}"),
            ("test images per task", f"at most {self.tested}"),
            ("steps per task", f"{self.steps}, batch size {self.batch}"),
            ("seeds, each with its own order", self.seeds),
            ("learning rates", f"backbone {self.rate:g}, head {self.head_rate:g}, adapters {self.lora_rate:g}"),
        ]
        if pool.name == CORRUPTIONS:
            rows.insert(1, ("corruptions", " ".join(self.corruptions)))
        return Table(f"Training protocol: {pool.title}", ("setting", "value"), tuple(rows))


def _failed(error: Unsupported, conditions: Conditions) -> Failure:
    return Failure(Status.UNSUPPORTED, error.code, error.message, error.hint, conditions=conditions)
