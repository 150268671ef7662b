"""The black-box evaluator on models whose robustness is known, on a deployed artefact, and in any company."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from efficient360 import conformance
from efficient360.core.figures import Curve, Gallery
from efficient360.core.measurement import Failure, Measurement, Outcome
from efficient360.core.statistics import wilson
from efficient360.datasets.examples import ExampleSet
from efficient360.errors import SettingsError
from efficient360.evaluator import Context, Deadline
from efficient360.evaluators.black_box import BlackBox
from efficient360.execution.contract import checked
from efficient360.execution.plan import configure
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.models.model import Model

EPSILONS = (2.0, 8.0, 32.0)


@dataclass(frozen=True)
class Linear(Model):
    """Logits linear in the pixels of a 32×32 image; no network in torch, so no gradient."""

    weights: Tensor

    @property
    def num_classes(self) -> int:
        return len(self.weights)

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 32, 32)

    def __call__(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - 0.5) @ self.weights.T


@pytest.fixture(scope="module")
def on() -> conformance.Subject:
    return conformance.subject()


def linear(on: conformance.Subject) -> Linear:
    """Right about most of the made-up images: each class's weights are the mean of its images, plus some noise."""
    (batch,) = on.examples.batches(len(on.examples))
    centred = (batch.images - 0.5).flatten(1)
    means = torch.stack([centred[batch.labels == c].mean(0) for c in range(conformance.CLASSES)])
    noise = torch.randn(means.shape, generator=torch.Generator().manual_seed(0))
    return Linear(means + 2.2 * noise)


def run(model: Model, evaluator: BlackBox, on: conformance.Subject, scratch: Path, batch_size: int = 24, seed: int = 0) -> dict[tuple[str, ...], Outcome]:
    context = Context(on.checkpoint, on.examples, None, seed, batch_size, Deadline(), scratch)
    scratch.mkdir(exist_ok=True)
    table = score_all(evaluator, model, on.examples, context, context.progress)
    found = checked(evaluator, outcomes_of(evaluator, model, table, context))
    return {(o.metric.name, *(str(v) for k, v in o.conditions.items() if k != "norm")): o for o in found if o.metric is not None}


def margins(model: Linear, examples: ExampleSet) -> tuple[np.ndarray, np.ndarray]:
    """Which examples are right, and the ε below which no attack at all can succeed, the box left aside."""
    (batch,) = examples.batches(len(examples))
    weights, logits = model.weights.double(), model(batch.images).double()
    own = logits.gather(1, batch.labels[:, None])
    lengths = (weights[batch.labels][:, None] - weights[None]).abs().sum(2)
    radii = ((own - logits) / lengths.clamp(min=1e-9)).scatter(1, batch.labels[:, None], torch.inf).amin(1)
    return (logits.argmax(1) == batch.labels).numpy(), radii.numpy()


def test_on_a_linear_model_it_claims_no_success_that_theory_forbids_and_finds_most_that_it_allows(on: conformance.Subject, tmp_path: Path) -> None:
    model = linear(on)
    right, radii = margins(model, on.examples)
    assert 8 < right.sum() < 24  # the wrong ones count as well
    found = run(model, BlackBox(epsilons=EPSILONS, queries=300), on, tmp_path / "run")
    worst = []
    for epsilon in EPSILONS:
        label = f"{epsilon:g}/255"
        square, rays, both = (found["robust_accuracy", label, name] for name in ("square", "rays", "worst case"))
        least = (right & (radii > epsilon / 255)).mean()
        for one in (square, rays, both):
            assert isinstance(one, Measurement)
            assert one.value >= least
            assert one.n == 24
            assert one.interval == wilson(round(24 * one.value), 24)
        assert both.value <= min(square.value, rays.value)
        worst.append(both.value)
    assert worst == sorted(worst, reverse=True)
    assert worst[-1] < 0.3 < worst[0]


def test_the_curve_and_the_pictures_stand_beside_the_largest_epsilon(on: conformance.Subject, tmp_path: Path) -> None:
    model = linear(on)
    found = run(model, BlackBox(epsilons=EPSILONS, queries=60, shown=2), on, tmp_path / "run")
    curve, gallery = found["robust_accuracy", "32/255", "worst case"].extra
    assert isinstance(curve, Curve)
    (points,) = curve.series
    right, _ = margins(model, on.examples)
    assert points.x == pytest.approx((0, *EPSILONS))
    assert points.y == pytest.approx((right.mean(), *(found["robust_accuracy", f"{e:g}/255", "worst case"].value for e in EPSILONS)))
    assert isinstance(gallery, Gallery)
    assert len(gallery.pictures) == 6
    assert not any(o.extra for key, o in found.items() if isinstance(o, Measurement) and key != ("robust_accuracy", "32/255", "worst case"))


def test_median_queries_at_the_smallest_epsilon(on: conformance.Subject, tmp_path: Path) -> None:
    model = linear(on)
    found = run(model, BlackBox(epsilons=(32.0, 64.0), queries=200), on, tmp_path / "run")
    for name in ("square", "rays"):
        queries = found["median_queries", "32/255", name]
        assert isinstance(queries, Measurement)
        broken = round(24 * (margins(model, on.examples)[0].mean() - found["robust_accuracy", "32/255", name].value))
        assert queries.n == broken
        assert 1 <= queries.interval.low <= queries.value <= queries.interval.high <= 200
    few = run(model, BlackBox(epsilons=(0.01,), queries=5), on, tmp_path / "few")
    reason = few["median_queries", "0.01/255", "square"]
    assert isinstance(reason, Failure)
    assert (reason.code, reason.message) == ("too-few-fell", "Square succeeded on 0 images at 0.01/255: too few for a median")


def plain(found: Mapping[tuple[str, ...], Outcome]) -> dict[tuple[str, ...], float | str]:
    return {key: o.value if isinstance(o, Measurement) else o.code for key, o in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_batch_size_interruption_and_rows_change_nothing(norm: str, on: conformance.Subject, tmp_path: Path) -> None:
    model = linear(on)
    settings = {"norm": norm, "epsilons": [8.0] if norm == "linf" else [1.5], "attacks": ["square", "rays"] if norm == "linf" else ["square"], "queries": 40}
    evaluator = configure(BlackBox, settings)
    first = run(model, evaluator, on, tmp_path / "first")
    for size in (1, 7):
        assert plain(run(model, evaluator, on, tmp_path / f"batch-{size}", size)) == plain(first)
    assert plain(run(model, configure(BlackBox, settings | {"rows": 5}), on, tmp_path / "rows")) == plain(first)

    def stop(done: int, total: int) -> None:
        raise InterruptedError

    context = Context(on.checkpoint, on.examples, None, 0, 5, Deadline(), tmp_path / "stopped")
    context.scratch.mkdir()
    with contextlib.suppress(InterruptedError):
        score_all(evaluator, model, on.examples, context, stop)
    assert plain(run(model, evaluator, on, context.scratch, 5)) == plain(first)
    assert 0 < first["robust_accuracy", "8/255" if norm == "linf" else "1.5", "worst case"].value < margins(model, on.examples)[0].mean()


@dataclass(frozen=True)
class Constant(Model):
    """Predicts one class whatever the image."""

    answer: int

    @property
    def num_classes(self) -> int:
        return conformance.CLASSES + 1

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 32, 32)

    def __call__(self, images: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(torch.full((len(images),), self.answer), self.num_classes).float()


def test_a_model_that_is_never_right_is_not_robust(on: conformance.Subject, tmp_path: Path) -> None:
    found = run(Constant(conformance.CLASSES), BlackBox(epsilons=(8.0,)), on, tmp_path / "run")
    assert found["robust_accuracy", "8/255", "worst case"].value == 0
    median = found["median_epsilon", "worst case"]
    assert isinstance(median, Failure)
    assert (median.code, median.message) == ("median-beyond", "no image is classified correctly")


def test_a_model_that_never_changes_its_mind_is_as_robust_as_it_is_right(on: conformance.Subject, tmp_path: Path) -> None:
    found = run(Constant(0), BlackBox(epsilons=(8.0,), queries=30), on, tmp_path / "run")
    right = (on.examples.labels == 0).mean()
    assert {found["robust_accuracy", "8/255", name].value for name in ("square", "rays", "worst case")} == {right}


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"epsilons": []}, "epsilons"),
        ({"epsilons": [2.0, 1.0]}, "epsilons"),
        ({"epsilons": [0.0, 1.0]}, "epsilons"),
        ({"queries": 0}, "queries"),
        ({"rows": 0}, "rows"),
        ({"shown": -1}, "shown"),
        ({"examples": 0}, "examples"),
        ({"attacks": []}, "attacks"),
        ({"attacks": ["square", "square"]}, "attacks"),
        ({"attacks": ["apgd-ce"]}, "apgd-ce"),
        ({"attacks": ["fgsm"]}, "fgsm"),
        ({"norm": "l2"}, "rays"),
        ({"norm": "l1"}, "norm"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], setting: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(BlackBox, wrong)
    assert caught.value.code == "bad-setting"
    assert setting in caught.value.message


def test_an_unknown_attack_is_named_with_the_known_ones() -> None:
    with pytest.raises(SettingsError) as caught:
        configure(BlackBox, {"attacks": ["squire"]})
    assert caught.value.code == "unknown-attack"
    assert "squire" in caught.value.message
    assert "square" in caught.value.hint


def test_two_files_with_attacks_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(OWN)
    with pytest.raises(SettingsError) as caught:
        configure(BlackBox, {"attacks": [str(tmp_path / "a.py"), str(tmp_path / "b.py")]})
    assert caught.value.code == "bad-setting"


OWN = '''
from dataclasses import dataclass
from typing import ClassVar

import torch

from efficient360.methods.adversarial.attack import AttackResult
from efficient360.methods.adversarial.query_attack import QueryAttack, QueryResult
from efficient360.methods.adversarial.threat_model import Norm


@dataclass(frozen=True)
class Darker(QueryAttack):
    """Takes ε off every pixel."""

    name: ClassVar = "darker"
    title: ClassVar = "Darker"
    source: ClassVar = ""
    gradients: ClassVar = False
    norms: ClassVar = frozenset({Norm.LINF})

    def run(self, victim, threat, batch):
        return self.search(victim, (threat,), batch)[0].result

    def search(self, victim, threats, batch):
        results = []
        for threat in threats:
            images = (batch.images - threat.epsilon).clamp(0, 1)
            success = victim.logits(images).argmax(1) != batch.labels
            results.append(QueryResult(AttackResult(images, success), success.long()))
        return tuple(results)


ATTACK = Darker()
'''


def test_an_attack_of_ones_own_joins(on: conformance.Subject, tmp_path: Path) -> None:
    file = tmp_path / "darker.py"
    file.write_text(OWN)
    evaluator, model = BlackBox(epsilons=(8.0, 64.0), attacks=(str(file), "square"), queries=20), linear(on)
    found = run(model, evaluator, on, tmp_path / "run")
    (batch,) = on.examples.batches(24)
    dark = (model((batch.images - 8 / 255).clamp(0, 1)).argmax(1) == batch.labels) & (model(batch.images).argmax(1) == batch.labels)
    assert found["robust_accuracy", "8/255", "darker"].value == pytest.approx(float(dark.float().mean()))


def test_a_part_of_the_split_is_taken_and_batches_are_bounded() -> None:
    assert BlackBox(examples=50).sample_size() == 50
    assert BlackBox(examples=None).sample_size() is None
    assert BlackBox(rows=3).batch_limit() == 12


@pytest.mark.slow
def test_a_deployed_artefact_has_a_robust_accuracy(on: conformance.Subject, tmp_path: Path) -> None:
    """The evaluator's numbers of a converted network are its numbers of the network, as far as the two agree."""
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    from efficient360.deployment.artefact import run_artefact
    from efficient360.deployment.runtimes.building import ModelSource, build
    from efficient360.deployment.runtimes.runtime import Precision

    artefact = build(ModelSource("x", on.model.module, on.model.input_size, None, tmp_path), "onnxruntime", Precision.FP32)
    assert not isinstance(artefact, Failure), artefact
    evaluator = BlackBox(epsilons=(2.0,), queries=60, rows=8)
    expected = run(on.model, evaluator, on, tmp_path / "network")
    with run_artefact(artefact, on.model.num_classes) as running:
        found = run(running, evaluator, on, tmp_path / "artefact")
    for key in (("robust_accuracy", "2/255", "square"), ("robust_accuracy", "2/255", "rays")):
        assert abs(found[key].value - expected[key].value) <= 1 / 24
