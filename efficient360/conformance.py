"""The contract tests of an evaluator, for its author: ``efficient360.conformance.check(MyEvaluator())`` in a test of your own.

A tiny vision transformer with random weights and a few dozen made-up images stand in for the real thing, so a check takes seconds.
"""

import contextlib
import dataclasses
import inspect
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from efficient360.core import canonical
from efficient360.core.measurement import Failure, Measurement, Metric, Outcome, Status
from efficient360.core.outcome import Record, from_json, to_json
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.images import decoder_for
from efficient360.errors import Efficient360Error, PluginError, Unsupported
from efficient360.evaluator import Context, Deadline, Evaluator, ExampleEvaluator, Examples, Need
from efficient360.execution.contract import checked, declaration_faults
from efficient360.execution.plan import configure
from efficient360.execution.predictions import predict
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin
from efficient360.models.model import TorchModel
from efficient360.models.references import resolve
from efficient360.models.state import changed_parts, state_of
from efficient360.models.weights import digest

CLASSES = 7
EXAMPLES = 24
TOLERANCE = 1e-5
ARCHITECTURE = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": CLASSES}


@final
@dataclasses.dataclass(frozen=True)
class Subject:
    """What an evaluator is tried on.

    Args:
        checkpoint: A tiny ViT with seeded random weights, passed off as trained.
        model: The same, loaded.
        examples: 24 made-up 32×32 images of 7 classes with a group column ``side``.
        training: As many others.
    """

    checkpoint: Checkpoint
    model: TorchModel
    examples: ExampleSet
    training: ExampleSet


def subject(seed: int = 0) -> Subject:
    """The stand-in checkpoint and data."""
    checkpoint = resolve(CheckpointSpec("vit_tiny_patch16_224", arguments=ARCHITECTURE, random_weights=True, seed=seed))
    model = load_model(checkpoint)
    return Subject(dataclasses.replace(checkpoint, origin=Origin.FILE), model, _examples(checkpoint, seed, "test"), _examples(checkpoint, seed + 1, "train"))


def _examples(checkpoint: Checkpoint, seed: int, split: str) -> ExampleSet:
    from datasets import Dataset

    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (EXAMPLES, 32, 32, 3), dtype=np.uint8)
    cells = [{"bytes": b"P6 32 32 255\n" + image.tobytes(), "path": None} for image in pixels]
    return ExampleSet(
        table=Dataset.from_dict({"image": cells}),
        image="image",
        positions=np.arange(EXAMPLES),
        ids=[f"{split}/{i:02d}" for i in range(EXAMPLES)],
        labels=np.arange(EXAMPLES, dtype=np.int64) % CLASSES,
        groups={"side": ["left" if i % 2 else "right" for i in range(EXAMPLES)]},
        class_names=[f"class {i}" for i in range(CLASSES)],
        decoder=decoder_for(checkpoint.preprocessing),
        seed=seed,
    )


def check(evaluator: object) -> None:
    """Hold an evaluator against the contract.

    Args:
        evaluator: An instance of an Evaluator or ExampleEvaluator subclass.

    Raises:
        AssertionError: It breaks the contract; the message lists every way found.
    """
    broken = list(problems(evaluator))
    if broken:
        raise AssertionError(f"{type(evaluator).__name__} breaks the contract:\n" + "\n".join(f"- {problem}" for problem in broken))


def problems(evaluator: object) -> Iterator[str]:
    """Every way in which an evaluator breaks the contract, one sentence each; nothing for a good one."""
    declared = list(_declaration(evaluator))
    yield from declared
    if declared or not isinstance(evaluator, Evaluator | ExampleEvaluator):
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield from _behaviour(evaluator, subject(), Path(folder))
        except Unsupported as error:
            yield f"it raised Unsupported on a plain ViT with data: {error.message}"
        except Efficient360Error as error:
            yield error.message


def _declaration(evaluator: object) -> Iterator[str]:
    cls: Any = type(evaluator)
    faults = list(declaration_faults(cls))
    yield from faults
    if faults:
        return
    metrics: tuple[Metric, ...] = cls.metrics
    yield from (f"its metric {metric.name} has no description" for metric in metrics if not metric.description.strip())
    if len({metric.name for metric in metrics}) < len(metrics):
        yield "it declares two metrics of the same name"
    if not (inspect.getdoc(cls) or "").strip() or (cls.__doc__ or "").startswith(f"{cls.__name__}("):
        yield "it has no docstring: its first line is what a listing shows"
    if isinstance(evaluator, Evaluator | ExampleEvaluator):  # as the faults would say if it weren't
        yield from _settings(evaluator)


def _settings(evaluator: Evaluator | ExampleEvaluator) -> Iterator[str]:
    cls: type[Any] = type(evaluator)
    settings = {f.name: getattr(evaluator, f.name) for f in dataclasses.fields(cls)}
    declared = {metric.name for metric in evaluator.metrics}
    yield from (f"it has no setting {name!r} that its drawing_settings could name" for name in sorted(evaluator.drawing_settings - settings.keys()))
    for name, of in evaluator.settings_scope.items():
        if name not in (*settings, "data", "machine"):
            yield f"it has no setting {name!r} that its settings_scope could name"
        yield from (f"its settings_scope names a metric {metric!r} that it does not declare" for metric in of if metric not in declared)
    try:
        if configure(cls, json.loads(json.dumps(settings))) != evaluator:
            yield "its settings change when written to YAML and read back"
        canonical.digest(evaluator.cache_dependencies(), "what it depends on")
    except PluginError as error:
        yield error.message
    except (TypeError, Efficient360Error) as error:
        yield f"its settings can't be written to YAML and read back: {error}"


def _behaviour(evaluator: Evaluator | ExampleEvaluator, on: Subject, folder: Path) -> Iterator[str]:
    before, state = digest(on.model.network.state_dict()), state_of(on.model.module)
    randomness = _global_randomness()
    first = _outcomes(evaluator, on, folder / "first", EXAMPLES)
    if digest(on.model.network.state_dict()) != before:
        yield "it changed the model's weights"
    if any(parameter.requires_grad or parameter.grad is not None for parameter in on.model.network.parameters()):
        yield "it left gradients on the model's parameters"
    if on.model.module.training:
        yield "it left the model in training mode"
    if parts := changed_parts(state, state_of(on.model.module)):
        yield f"it left the model other than it was: {', '.join(parts[:5])}"
    if _global_randomness() != randomness:
        yield "it drew from the global random state: seed a generator of your own from context.seed or batch.seed and the example's id"
    for outcome in first:
        if from_json(json.loads(json.dumps(to_json(Record(evaluator.name, outcome))))).outcome != outcome:
            yield f"its outcome {outcome.metric.name if outcome.metric else ''} changes when stored and read back"
    yield from (f"on a plain ViT it failed: {o.message}" for o in first if isinstance(o, Failure) and o.status is Status.FAILED)
    if Need.MACHINE in evaluator.needs:
        return  # its numbers are this machine's at this moment: they needn't repeat
    yield from _differences(first, _outcomes(evaluator, on, folder / "again", EXAMPLES), 0.0, "run twice with the same seed")
    for size in (1, 5):
        yield from _differences(first, _outcomes(evaluator, on, folder / f"batch-{size}", size), TOLERANCE, f"run with batches of {size}")
    if isinstance(evaluator, ExampleEvaluator):
        yield from _differences(first, _interrupted(evaluator, on, folder / "interrupted"), TOLERANCE, "interrupted and resumed")


def _global_randomness() -> tuple[bytes, bytes]:
    numpy_state: Any = np.random.get_state(legacy=True)
    return torch.get_rng_state().numpy().tobytes(), numpy_state[1].tobytes()


def context_of(on: Subject, scratch: Path, batch_size: int) -> Context[Examples]:
    """What a run would hand to an evaluator.

    Args:
        on: The stand-ins.
        scratch: An empty folder of its own.
        batch_size: Examples at a time.
    """

    def predicted(examples: Examples) -> Examples:
        if not isinstance(examples, ExampleSet):
            return examples
        folder = scratch / f"predictions-{examples.fingerprint[:16]}"
        folder.mkdir(exist_ok=True)
        return predict(on.model, examples, folder, batch_size, 0, Deadline(), _silent)

    examples: Examples = on.examples
    return Context(on.checkpoint, examples, on.training, 0, batch_size, Deadline(), scratch, predicted=predicted)


def _outcomes(evaluator: Evaluator | ExampleEvaluator, on: Subject, scratch: Path, batch_size: int) -> list[Outcome]:
    scratch.mkdir()
    context = context_of(on, scratch, batch_size)
    if isinstance(evaluator, ExampleEvaluator):
        examples = context.predicted(on.examples)
        context = dataclasses.replace(context, examples=examples)
        table = score_all(evaluator, on.model, examples, context, context.progress)
        return list(checked(evaluator, outcomes_of(evaluator, on.model, table, context)))
    return list(checked(evaluator, evaluator.evaluate(on.model, context)))


def _silent(_done: int, _total: int) -> None:
    pass


def _interrupted(evaluator: ExampleEvaluator, on: Subject, scratch: Path) -> list[Outcome]:
    """Score batches of 5, stop as a kill would after the second, and go on."""
    scratch.mkdir()
    context = context_of(on, scratch, 5)
    examples = context.predicted(on.examples)
    context = dataclasses.replace(context, examples=examples)

    def stop(done: int, _total: int) -> None:
        if done >= 10:
            raise InterruptedError

    with contextlib.suppress(InterruptedError):
        score_all(evaluator, on.model, examples, context, stop)
    table = score_all(evaluator, on.model, examples, context, context.progress)
    return list(checked(evaluator, outcomes_of(evaluator, on.model, table, context)))


def _differences(first: Sequence[Outcome], other: Sequence[Outcome], tolerance: float, how: str) -> Iterator[str]:
    before, after = ({(o.metric.name if o.metric else "", frozenset(o.conditions.items())): o for o in s} for s in (first, other))
    if before.keys() != after.keys():
        yield f"it yields other metrics when {how}"
        return
    for identity, a in before.items():
        b = after[identity]
        if isinstance(a, Measurement) and isinstance(b, Measurement):
            if abs(a.value - b.value) > tolerance * max(1.0, abs(a.value)):
                yield f"its {identity[0]} changes when {how}: {a.value} and {b.value}"
        elif type(a) is not type(b):
            yield f"its {identity[0]} is measured once and missing once when {how}"
