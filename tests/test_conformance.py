"""The project's own evaluators and a third-party package keep the contract; every way of breaking it is found."""

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from efficient360.conformance import check, problems
from efficient360.evaluator import (
    ONE,
    Batch,
    Better,
    Context,
    Evaluator,
    ExampleEvaluator,
    Failure,
    Measurement,
    Metric,
    Model,
    Need,
    Outcome,
    Scores,
    Status,
    TorchModel,
    Unsupported,
)
from efficient360.plugins.registry import evaluators

SAMPLE = Path(__file__).parent / "sample_package"


def torch_of(model: Model) -> TorchModel:
    assert isinstance(model, TorchModel)
    return model


METRIC = Metric("brightness", ONE, Better.NEITHER, "How bright.", low=0, high=1)
SLOW = {
    "acceleration",
    "adversarial",
    "black_box",
    "capture_conditions",
    "continual",
    "corruption",
    "device_reach",
    "faithfulness",
    "latency",
    "membership_inference",
    "memory",
    "private_training",
}
EXHAUSTIVE = {"acceleration", "device_reach", "latency", "memory"}
"""Those that start a process for each of their numbers."""
SMALL: dict[str, dict[str, Any]] = {
    "adversarial": {"linf": (16,), "scout_linf": (4,), "attacks": ("apgd-ce", "apgd-t", "square"), "steps": 5, "targets": 2, "queries": 20, "shown": 1},
    "black_box": {"epsilons": (4,), "queries": 40, "shown": 1},
    "acceleration": {"runtimes": ("onnxruntime?", "torch"), "runs": 6, "seconds": 0.1},
    "faithfulness": {
        "explainers": ("gradient-x-input", "attention-rollout"),
        "baselines": ("mean",),
        "points": 2,
        "squares": 2,
        "draws": 1,
        "checked": 2,
        "shown": 1,
    },
    "compression": {"variants": ("half", "quantization:4", "clustering:16", "pruning:50", "two_of_four", "low_rank:50", "token_merging:40"), "resamples": 50},
    "corruption": {"corruptions": ("gaussian_noise", "glass_blur", "elastic_transform"), "severities": (2,)},
    "stability": {"perturbations": ("gaussian_noise", "rotate"), "frames": 3},
    "device_reach": {"profiles": ("local",), "runtimes": ("torch",), "runs": 6, "seconds": 0.1},
    "latency": {"runtimes": ("torch",), "runs": 6, "seconds": 0.1},
    "memory": {"batches": (1,)},
    "out_of_distribution": {"images": 20, "resamples": 20},
    "feature_spectrum": {"bands": (0.25, 0.5), "steps": 2, "probes": 2, "attention_examples": 4, "hessian_examples": 4},
    "private_training": {"steps": 2, "epsilons": (8.0,)},
    "uncertainty": {"weight_draws": 10, "resamples": 20},
    "continual": {"steps": 1, "batch": 2, "images": 4, "tested": 6, "corruptions": ("contrast", "brightness")},
}
"""Settings of evaluators whose own would take long."""


def _marked(name: str) -> Any:
    marks = ([pytest.mark.slow] if name in SLOW else []) + ([pytest.mark.exhaustive] if name in EXHAUSTIVE else [])
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", [_marked(name) for name in evaluators()])
def test_our_own_evaluators_keep_the_contract(name: str) -> None:
    check(evaluators()[name].load()(**SMALL.get(name, {})))


def test_a_third_party_package_is_found_keeps_the_contract_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SAMPLE))
    entry = evaluators()["contrast"]
    assert entry.origin == "package efficient360-sample"
    check(entry.load()())


@pytest.mark.slow
def test_a_third_party_package_joins_a_run(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SAMPLE)}
    typed = ["evaluate", "digits-vit", "--dataset", "digits", "--max-examples", "40", "--only", "contrast", "--out", "run"]
    command = [sys.executable, "-m", "efficient360", *typed]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Murk" in done.stdout


class _Base(ExampleEvaluator):
    name: ClassVar[str] = "brightness"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (METRIC,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES})

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        yield Scores(METRIC, batch.images.mean((1, 2, 3)))


@dataclass(frozen=True)
class Good(_Base):
    """How bright."""


def test_a_good_one_has_no_problem() -> None:
    assert list(problems(Good())) == []


@dataclass
class Thawed(_Base):
    """Not frozen."""


@dataclass(frozen=True)
class Wordless(_Base):
    __doc__ = None


@dataclass(frozen=True)
class BadName(_Base):
    """Name."""

    name: ClassVar[str] = "Bright Ness"


@dataclass(frozen=True)
class BadVersion(_Base):
    """Version."""

    version: ClassVar[int] = 0


@dataclass(frozen=True)
class BadNeeds(_Base):
    """Needs."""

    needs: ClassVar[frozenset] = frozenset({"examples"})


@dataclass(frozen=True)
class NoMetrics(_Base):
    """Metrics."""

    metrics: ClassVar[tuple] = ()


@dataclass(frozen=True)
class Undescribed(_Base):
    """Description."""

    metrics: ClassVar[tuple] = (Metric("brightness", ONE, Better.NEITHER, " "),)


@dataclass(frozen=True)
class SetSetting(_Base):
    """Settings."""

    names: frozenset[str] = frozenset({"a"})


@dataclass(frozen=True)
class NoSuchDrawing(_Base):
    """Names a setting that it has not."""

    drawing_settings: ClassVar[frozenset[str]] = frozenset({"pictures"})


@dataclass(frozen=True)
class NoSuchScope(_Base):
    """Names a setting that it has not."""

    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"size": ()}


@dataclass(frozen=True)
class NoSuchMetric(_Base):
    """Names a metric that it has not."""

    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"data": ("darkness",)}


@dataclass(frozen=True)
class Opaque(_Base):
    """Depends on what nobody can tell apart."""

    def cache_dependencies(self) -> Mapping[str, object]:
        return {"depends": object()}


@dataclass(frozen=True)
class Undeclared(_Base):
    """Undeclared."""

    metrics: ClassVar[tuple] = (Metric("other", ONE, Better.NEITHER, "Other."),)


@dataclass(frozen=True)
class BatchBound(_Base):
    """Depends on the batch."""

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        yield Scores(METRIC, batch.images.mean((1, 2, 3)) / len(batch))


@dataclass(frozen=True)
class GlobalDice(_Base):
    """Draws from the global random state."""

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        yield Scores(METRIC, torch.rand(len(batch)))


@dataclass(frozen=True)
class Vandal(_Base):
    """Changes weights."""

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        next(iter(torch_of(model).network.parameters())).data.add_(1)
        yield Scores(METRIC, batch.images.mean((1, 2, 3)))


@dataclass(frozen=True)
class Litterer(_Base):
    """Leaves gradients on."""

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        torch_of(model).network.requires_grad_(True)
        yield Scores(METRIC, batch.images.mean((1, 2, 3)))


@dataclass(frozen=True)
class Trainer(_Base):
    """Leaves training mode on."""

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        torch_of(model).module.train()
        yield Scores(METRIC, batch.images.mean((1, 2, 3)))


class _Whole(Evaluator):
    name: ClassVar[str] = "brightness"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (METRIC,)
    needs: ClassVar[frozenset[Need]] = frozenset()


@dataclass(frozen=True)
class Silent(_Whole):
    """Yields nothing."""

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        return iter(())


@dataclass(frozen=True)
class Stutterer(_Whole):
    """Yields twice."""

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        yield Measurement(METRIC, 0.5)
        yield Measurement(METRIC, 0.6)


@dataclass(frozen=True)
class Defeatist(_Whole):
    """Gives up."""

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        raise Unsupported("never", "it never works", "")


@dataclass(frozen=True)
class Failing(_Whole):
    """Fails."""

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        yield Failure(Status.FAILED, "broken", "it broke")


@pytest.mark.parametrize(
    ("evaluator", "words"),
    [
        (object(), "inherits neither"),
        (Thawed(), "no frozen dataclass"),
        (Wordless(), "no docstring"),
        (BadName(), "'Bright Ness' is no snake_case"),
        (BadVersion(), "version 0"),
        (BadNeeds(), "no frozenset of Need"),
        (NoMetrics(), "no tuple of Metric"),
        (Undescribed(), "brightness has no description"),
        (SetSetting(), "can't be written to YAML"),
        (NoSuchDrawing(), "no setting 'pictures' that its drawing_settings"),
        (NoSuchScope(), "no setting 'size' that its settings_scope"),
        (NoSuchMetric(), "names a metric 'darkness'"),
        (Opaque(), "by which stored results can't be told apart"),
        (Undeclared(), "yields brightness, which it does not declare"),
        (BatchBound(), "brightness changes when run with batches of 1"),
        (GlobalDice(), "global random state"),
        (Vandal(), "changed the model's weights"),
        (Litterer(), "left gradients"),
        (Trainer(), "training mode"),
        (Silent(), "yields nothing"),
        (Stutterer(), "twice under the same conditions"),
        (Defeatist(), "it raised Unsupported"),
        (Failing(), "on a plain ViT it failed: it broke"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_every_way_of_breaking_the_contract_is_found(evaluator: object, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check(evaluator)
