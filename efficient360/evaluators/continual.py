"""Continual: what a copy of the checkpoint keeps when it learns one new task after another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, final

from efficient360.core.figures import Figure, Table
from efficient360.core.findings import findings_table
from efficient360.errors import SettingsError, Unsupported
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
from efficient360.methods.continual_learning import metrics
from efficient360.methods.continual_learning.doubts import doubts, known_groups
from efficient360.methods.continual_learning.ewc import Ewc
from efficient360.methods.continual_learning.fitting import Rates
from efficient360.methods.continual_learning.gathering import CORRUPTIONS, Gathering
from efficient360.methods.continual_learning.learner import require_learnable
from efficient360.methods.continual_learning.lwf import Lwf
from efficient360.methods.continual_learning.material import Material
from efficient360.methods.continual_learning.memory import MEMORIES
from efficient360.methods.continual_learning.method import Method
from efficient360.methods.continual_learning.pictures import methods_table, shown_methods, through_time
from efficient360.methods.continual_learning.plain_methods import Frozen, Joint, Lora, Naive
from efficient360.methods.continual_learning.replay import Replay
from efficient360.methods.continual_learning.results import Results
from efficient360.methods.continual_learning.scenario import Scenario
from efficient360.methods.continual_learning.trials import Effort, Steps, Trial
from efficient360.methods.corruptions.imagenet_c import COMMON, EXTRA, SEVERITIES, CorruptionSetting, corrupted_batch, resolve_table

AUTO: Final = "auto"
GROUP: Final = "group:"
FISHER_IMAGES: Final = 64
"""Of each task: each takes a pass of its own."""
METHODS: Final = ("naive", "ewc", "lwf", "replay", "frozen", "lora", "joint")


@final
@dataclass(frozen=True)
class Continual(Evaluator):
    """What a copy of the checkpoint keeps when it learns new classes or conditions one after the other, against learning them together.

    Args:
        streams: What is learned: ``corruptions``; ``unseen-classes`` of the evaluated data set; another data set, as ``digits`` or ``cifar100=DIR``;
            ``group:COLUMN``; ``auto`` is ``unseen-classes`` where there are any, else ``corruptions``.
        scenarios: ``class-incremental``, ``task-incremental``, ``domain-incremental``; empty for all that a stream allows.
        methods: ``naive``, ``ewc``, ``lwf``, ``replay``, ``frozen``, ``lora``, and ``joint``, the ceiling.
        seeds: How many times, each with another order of tasks and images; at least 3.
        tasks: The most tasks a stream is cut into; corruptions are a task each.
        corruptions: Names.
        severity: Of the corruptions, 1 to 5.
        images: The most training images a task.
        tested: The most test images a task, and of the original test set.
        steps: Steps a task.
        batch: Images a step.
        rate: Adam's learning rate for the layers before the head.
        head_rate: For the head.
        lora_rate: For adapters.
        rank: Of the adapters.
        ewc_strength: Weight of the penalty, λ.
        lwf_strength: Weight of the old answers.
        memory: Images that replay holds.
        memory_kind: ``reservoir`` or ``balanced``.
    """

    name: ClassVar[str] = "continual"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = metrics.ALL
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.GRADIENTS})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.TRAINING_SPLIT})
    streams: tuple[str, ...] = (AUTO,)
    scenarios: tuple[str, ...] = ()
    methods: tuple[str, ...] = METHODS
    seeds: int = 3
    tasks: int = 5
    corruptions: tuple[str, ...] = ("gaussian_noise", "motion_blur", "fog", "contrast")
    severity: int = 5
    images: int = 300
    tested: int = 200
    steps: int = 25
    batch: int = 32
    rate: float = 5e-4
    head_rate: float = 3e-3
    lora_rate: float = 2e-3
    rank: int = 8
    ewc_strength: float = 1000.0
    lwf_strength: float = 1.0
    memory: int = 200
    memory_kind: str = "reservoir"

    def __post_init__(self) -> None:
        self._require_among("scenarios", tuple(Scenario), 0)
        self._require_among("methods", METHODS, 1)
        self._require_among("corruptions", (*COMMON, *EXTRA), 2)
        if not self.streams or len(set(self.streams)) < len(self.streams):
            raise self._refused("streams", "name at least one, each once")
        if not set(self.methods) - {Joint.name}:
            raise self._refused("methods", "name one beside joint")
        if self.memory_kind not in MEMORIES:
            raise self._refused("memory_kind", f"give {' or '.join(MEMORIES)}")
        if self.severity not in SEVERITIES:
            raise self._refused("severity", "give 1, 2, 3, 4 or 5")
        for setting, least in (("seeds", 3), ("tasks", 2), ("images", 1), ("tested", 1), ("steps", 1), ("batch", 1), ("rank", 1), ("memory", 1)):
            if getattr(self, setting) < least:
                raise self._refused(setting, f"give at least {least}")
        for setting in ("rate", "head_rate", "lora_rate"):
            if getattr(self, setting) <= 0:
                raise self._refused(setting, "give more than 0")
        for setting in ("ewc_strength", "lwf_strength"):
            if getattr(self, setting) < 0:
                raise self._refused(setting, "give 0 or more")

    def others(self) -> Sequence[str]:
        """The data sets that its streams name."""
        return tuple(name for name in self.streams if name not in (AUTO, CORRUPTIONS, UNSEEN) and not name.startswith(GROUP))

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Learn every stream with every method and seed; one Failure for a stream that can't be had.

        Raises:
            Unsupported: No data, or no network in torch that ends in one linear classifier.
            OutOfTime: From ``context.deadline``; finished runs are kept.
        """
        if context.examples is None:
            raise Unsupported("no-examples", "continual was given no examples", "name a data set with --dataset")
        if not isinstance(model, TorchModel):
            raise Unsupported("deployed", "an artefact gives logits only, and this wants gradients", "evaluate the checkpoint itself, without --as")
        require_learnable(model)
        effort, methods = Effort(self.seeds, self.steps, self.batch, context.seed), self._methods()
        trials: list[Trial] = []
        total = 0
        for stream in dict.fromkeys(self._resolved(name, context) for name in self.streams):
            folder = context.scratch / stream.partition("=")[0].replace(":", "-").replace("/", "-")
            try:
                material = self._gathered(stream, folder, context.examples, context)
                found = [Trial(material, scenario, model, folder, effort, context.deadline) for scenario in self._chosen(material)]
                total += sum(effort.cost(trial.stream(0), methods) for trial in found)
                trials += found
            except Unsupported as error:
                yield _failed(error, {"stream": stream.partition("=")[0]})
        steps = Steps(total, context.progress)
        for trial in trials:
            try:
                results = trial.results(methods, steps)
            except Unsupported as error:
                yield _failed(error, {"stream": trial.material.name, "scenario": trial.scenario.value})
                continue
            yield from results.outcomes(self._figures(results, trial.material))

    def _resolved(self, stream: str, context: Context) -> str:
        if stream != AUTO:
            return stream
        return UNSEEN if UNSEEN in context.others else CORRUPTIONS

    def _gathered(self, stream: str, folder: Path, known: Examples, context: Context) -> Material:
        folder.mkdir(parents=True, exist_ok=True)
        gathering = Gathering(context, folder, known, self.images, self.tested, self.tasks)
        if stream == CORRUPTIONS:
            table = resolve_table("auto", *context.checkpoint.preprocessing.input_size[1:])
            settings = {name: CorruptionSetting(name, self.severity, table) for name in self.corruptions}
            return gathering.corruptions({name: partial(corrupted_batch, setting=setting) for name, setting in settings.items()}, self.severity)
        if stream.startswith(GROUP):
            return gathering.groups(stream.removeprefix(GROUP))
        if stream not in context.others:
            message = f"there is no stream {stream}: the checkpoint knows every class of the evaluated data set"
            raise Unsupported("no-unseen-classes", message, "evaluate a checkpoint that was trained on some of the classes only, or name another stream")
        return gathering.new_classes(context.others[stream])

    def _chosen(self, material: Material) -> list[Scenario]:
        """The scenarios asked for that the material allows; all of those where none was asked for."""
        found = [scenario for scenario in material.scenarios if not self.scenarios or scenario in self.scenarios]
        if not found:
            message = f"the stream {material.name} is {' or '.join(material.scenarios)}, not {' or '.join(self.scenarios)}"
            raise Unsupported("no-such-scenario", message, "name another stream, or leave scenarios empty")
        return found

    def _methods(self) -> list[Method]:
        rates = Rates(self.rate, self.head_rate)
        known: list[Method] = [
            Naive(rates),
            Ewc(rates, self.ewc_strength, FISHER_IMAGES),
            Lwf(rates, self.lwf_strength),
            Replay(rates, self.memory, self.memory_kind),
            Frozen(rates),
            Lora(Rates(self.lora_rate, self.head_rate), self.rank),
            Joint(rates),
        ]
        by_name = {method.name: method for method in known}
        return [by_name[name] for name in self.methods]

    def _figures(self, results: Results, material: Material) -> list[Figure]:
        warnings = [*doubts(results), *([known_groups(material.title)] if material.name.startswith(GROUP) else [])]
        curves = [through_time(results, method, material.title) for method in shown_methods(results)]
        return [methods_table(results, material.title), *curves, *([findings_table(warnings)] if warnings else []), self._protocol(material)]

    def _protocol(self, material: Material) -> Table:
        rows: list[tuple[str, str | int]] = [
            ("stream", material.title),
            ("training images a task", f"at most {self.images}"),
            ("test images a task", f"at most {self.tested}"),
            ("steps a task", f"{self.steps} of {self.batch} images"),
            ("seeds, each with its own order", self.seeds),
            ("learning rates", f"{self.rate:g}; head {self.head_rate:g}; adapters {self.lora_rate:g}"),
        ]
        if material.name == CORRUPTIONS:
            rows.insert(1, ("corruptions", " ".join(self.corruptions)))
        return Table(f"How {material.title} were learned", ("what", "how much"), tuple(rows))

    def _require_among(self, setting: str, known: Sequence[str], least: int) -> None:
        values = getattr(self, setting)
        if len(values) < least or len(set(values)) < len(values) or not set(values) <= set(known):
            raise self._refused(setting, f"name {f'at least {least} of' if least else 'some of'} {', '.join(known)}, each once")

    def _refused(self, setting: str, hint: str) -> SettingsError:
        return SettingsError("bad-setting", f"the setting {setting} of {self.name} is {_shown(getattr(self, setting))}", hint)


def _failed(error: Unsupported, conditions: Conditions) -> Failure:
    return Failure(Status.UNSUPPORTED, error.code, error.message, error.hint, conditions=conditions)


def _shown(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
