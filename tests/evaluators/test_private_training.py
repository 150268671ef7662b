import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spots
import torch
from opacus.accountants import RDPAccountant

from efficient360.core.figures import Curve, Table
from efficient360.core.statistics import wilson
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.loader import open_dataset, open_split
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import OutOfTime, SettingsError, Unsupported
from efficient360.evaluator import Context, Deadline, Failure, Measurement, Outcome
from efficient360.evaluators.private_training import PrivateTraining
from efficient360.execution.plan import configure
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.model import TorchModel
from efficient360.models.references import resolve
from efficient360.models.weights import digest

N = 160
QUICK: dict[str, Any] = {"steps": 12, "batch": 80, "epsilons": (1.0, 8.0), "head_rate": 0.05}


@dataclasses.dataclass(frozen=True)
class Case:
    checkpoint: Checkpoint
    model: TorchModel
    training: ExampleSet
    evaluated: ExampleSet


@pytest.fixture(scope="module")
def learned() -> Case:
    """An embedded checkpoint, with part of the digits."""
    checkpoint = resolve(CheckpointSpec("digits-vit"))
    dataset = open_dataset(DatasetSpec("digits", max_examples=100), checkpoint, 0)
    training = open_split(dataset.card, "train", None, checkpoint, 0).subset(N, 0)
    return Case(checkpoint, load_model(checkpoint), training, dataset.examples)


def context(case: Case, folder: Path, **changes: Any) -> Context:
    folder.mkdir(exist_ok=True)
    made = Context(case.checkpoint, case.evaluated, case.training, 0, 32, Deadline(), folder)
    return dataclasses.replace(made, **changes)


def run(case: Case, folder: Path, **settings: Any) -> list[Outcome]:
    return list(PrivateTraining(**(QUICK | settings)).evaluate(case.model, context(case, folder)))


def table(found: list[Outcome], metric: str) -> dict[tuple[object, object], float]:
    return {(o.conditions["layers"], o.conditions["epsilon"]): o.value for o in found if isinstance(o, Measurement) and o.metric.name == metric}


def test_the_head_keeps_most_of_its_accuracy_and_loses_more_under_less_epsilon(learned: Case, tmp_path: Path) -> None:
    found = run(learned, tmp_path / "a", layers=("head",), epsilons=(0.2, 8.0), steps=30)
    accuracy = table(found, "private_accuracy")
    assert accuracy["head", "none"] > 0.9
    assert accuracy["head", 8.0] > accuracy["head", 0.2]
    kept = table(found, "accuracy_kept")
    assert kept["head", 8.0] == pytest.approx(accuracy["head", 8.0] / accuracy["head", "none"])
    first = found[0]
    assert first.interval == wilson(round(first.value * 100), 100).given("one training run")
    curve, spent = first.extra
    assert isinstance(curve, Curve)
    assert curve.series[1].x == (0.2, 8.0)
    assert isinstance(spent, Table)
    assert [row[0] for row in spent.rows] == ["none", 8, 0.2]


def test_the_epsilon_spent_is_that_of_opacus_accountant_and_within_what_was_asked(learned: Case, tmp_path: Path) -> None:
    found = run(learned, tmp_path / "a", layers=("head",), delta=1e-4)
    for (_, epsilon), value in table(found, "epsilon_spent").items():
        assert 0.99 * epsilon <= value <= epsilon
    noise = {row[0]: float(row[2]) for row in found[0].extra[1].rows}
    accountant = RDPAccountant()
    accountant.history = [(noise[1], 80 / N, 12)]
    assert table(found, "epsilon_spent")["head", 1.0] == pytest.approx(accountant.get_epsilon(1e-4), rel=0.01)


@pytest.mark.slow
def test_all_layers_learn_and_the_checkpoint_stays_as_it_was(learned: Case, tmp_path: Path) -> None:
    before, randomness = digest(learned.model.network.state_dict()), torch.get_rng_state()
    found = run(learned, tmp_path / "a")
    accuracy = table(found, "private_accuracy")
    assert set(accuracy) == {(layers, epsilon) for layers in ("head", "all") for epsilon in ("none", 8.0, 1.0)}
    assert accuracy["all", "none"] > 0.6
    assert digest(learned.model.network.state_dict()) == before
    assert torch.equal(torch.get_rng_state(), randomness)
    assert not any(p.requires_grad or p.grad is not None for p in learned.model.module.parameters())
    assert not learned.model.module.training


@pytest.mark.slow
@pytest.mark.exhaustive
def test_its_seed_fixes_it_whatever_the_batch_size(learned: Case, tmp_path: Path) -> None:
    little: dict[str, Any] = {"epsilons": (8.0,), "steps": 2, "batch": 40}
    first = run(learned, tmp_path / "a", **little)
    assert ("all", 8) in table(first, "private_accuracy")
    evaluator = PrivateTraining(**(QUICK | little))
    again = list(evaluator.evaluate(learned.model, context(learned, tmp_path / "b", batch_size=5)))
    assert [o.value for o in again if isinstance(o, Measurement)] == [o.value for o in first if isinstance(o, Measurement)]
    other = list(evaluator.evaluate(learned.model, context(learned, tmp_path / "c", seed=1)))
    assert [o.value for o in other if isinstance(o, Measurement)] != [o.value for o in first if isinstance(o, Measurement)]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_an_interrupted_evaluation_trains_only_what_is_missing(learned: Case, tmp_path: Path) -> None:
    whole = run(learned, tmp_path / "a", layers=("head",))

    def stop(done: int, total: int) -> None:
        if (done, total) == (30, 36):  # in the third of three trainings of twelve steps
            raise InterruptedError

    evaluator = PrivateTraining(**(QUICK | {"layers": ("head",)}))
    with pytest.raises(InterruptedError):
        list(evaluator.evaluate(learned.model, context(learned, tmp_path / "b", progress=stop)))
    steps: list[int] = []
    told = context(learned, tmp_path / "b", progress=lambda done, total: steps.append(done) if total == 36 else None)
    resumed = list(evaluator.evaluate(learned.model, told))
    assert min(steps) == 25
    assert [o.value for o in resumed] == [o.value for o in whole]


def test_an_architecture_that_opacus_refuses_still_has_its_head_measured(tmp_path: Path) -> None:
    checkpoint = resolve(CheckpointSpec("digits-swin"))
    rng = np.random.default_rng(0)
    made = [spots.examples(rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 10, split, checkpoint) for split in ("train", "test")]
    found = run(Case(checkpoint, load_model(checkpoint), *made), tmp_path / "a", steps=2)
    missing = [o for o in found if isinstance(o, Failure)]
    assert {o.conditions["layers"] for o in missing} == {"all"}
    assert {o.code for o in missing} == {"buffers"}
    assert "WindowAttention" in missing[0].message
    assert ("head", 1.0) in table(found, "private_accuracy")


def test_what_can_not_be_trained_says_why(learned: Case, tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        list(PrivateTraining().evaluate(learned.model, context(learned, tmp_path / "a", training=None)))
    assert caught.value.code == "no-training-split"
    with pytest.raises(Unsupported) as caught:
        list(PrivateTraining(epsilons=(1e-6,)).evaluate(learned.model, context(learned, tmp_path / "a")))
    assert caught.value.code == "budget-too-small"
    with pytest.raises(OutOfTime):
        list(PrivateTraining().evaluate(learned.model, context(learned, tmp_path / "a", deadline=Deadline(0.0))))


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"epsilons": ()}, "epsilons"),
        ({"epsilons": (0.0,)}, "epsilons"),
        ({"epsilons": (1.0, 1.0)}, "epsilons"),
        ({"layers": ("neck",)}, "layers"),
        ({"layers": ()}, "layers"),
        ({"delta": 1.5}, "delta"),
        ({"steps": 0}, "steps"),
        ({"clip": 0.0}, "clip"),
        ({"batch": 0}, "batch"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict, setting: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(PrivateTraining, wrong)
    assert caught.value.code == "bad-setting"
    assert setting in caught.value.message
