import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_digits

from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import CheckpointError, DatasetError, RunError, SettingsError
from efficient360.execution import runner
from efficient360.execution.events import Event, Finished, Importing, Opened, Progress, Started
from efficient360.execution.plan import Plan, Step
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.storage.outcomes import Store
from efficient360.storage.per_example import read_examples


def run(plan: Plan) -> list[Event]:
    events: list[Event] = []
    runner.run(plan, events.append)
    return events


def finished(events: Sequence[Event]) -> list[Finished]:
    return [event for event in events if isinstance(event, Finished)]


def outcomes(events: Sequence[Event], evaluator: str) -> dict:
    (done,) = [e for e in events if isinstance(e, Finished) and e.evaluator == evaluator]
    return {(r.metric.name if r.metric else None): r.outcome for r in done.records}


def test_mean_over_examples_with_pixels_counted_by_hand(make_plan, plugin) -> None:
    plan = make_plan("brightness", plugins=(plugin(),), dataset=DatasetSpec("digits"))
    measured = outcomes(run(plan), "brightness")["brightness_mean"]
    by_hand = load_digits().images[900:].mean() / 16  # bicubic upscaling to 32×32 keeps the mean within a percent
    assert measured.n == 897
    assert measured.value == pytest.approx(by_hand, rel=0.03)
    assert measured.interval.low < measured.value < measured.interval.high


def test_shared_logits_are_the_networks_own(make_plan, plugin, tiny: Path) -> None:
    plan = make_plan("brightness", plugins=(plugin(score="yield Scores(BRIGHTNESS, model.logits(batch).softmax(1).amax(1))"),))
    events = run(plan)
    (log,) = (plan.out / "work").glob("**/logits.f32")
    logits = np.fromfile(log, np.float32).reshape(60, 10)
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=10)
    network.load_state_dict(load_file(tiny))
    images = torch.cat([b.images for b in _examples(plan).batches(60)])
    with torch.inference_mode():
        reference = network.eval()((images - 0.5) / 0.5).numpy()
    assert np.abs(logits - reference).max() < 1e-5
    confidence = torch.from_numpy(logits).softmax(1).amax(1).numpy()
    assert outcomes(events, "brightness")["brightness_mean"].value == pytest.approx(confidence.mean(), abs=1e-6)


def _examples(plan: Plan):
    from efficient360.datasets.loader import open_dataset
    from efficient360.models.references import resolve

    assert plan.dataset is not None
    return open_dataset(plan.dataset, resolve(plan.checkpoint), plan.seed).examples


def test_events_tell_the_whole_story(make_plan, plugin) -> None:
    events = run(make_plan("brightness", "parameters", plugins=(plugin(),)))
    kinds = [type(e) for e in events if not isinstance(e, Progress)]
    assert kinds == [Opened, Started, Finished, Importing, Opened, Started, Finished]  # ours first, then the plug-in
    assert [e.evaluator for e in events if isinstance(e, Finished)] == ["parameters", "brightness"]
    assert list(next(e for e in reversed(events) if isinstance(e, Opened)).keys) == ["parameters", "brightness"]
    assert Progress("clean predictions", 60, 60) in events
    assert Progress("brightness", 60, 60) in events
    assert events[0].header["dataset"]["examples"] == 60
    json.dumps(events[0].header)


def test_a_rerun_takes_up_what_is_stored(make_plan, plugin) -> None:
    plan = make_plan("brightness", plugins=(plugin(),))
    first, second = run(plan), run(plan)
    assert not finished(first)[-1].cached
    assert finished(second)[-1].cached
    assert [r.outcome for r in finished(first)[-1].records] == [r.outcome for r in finished(second)[-1].records]
    assert len(Store(plan.out).groups()) == 1


@pytest.mark.parametrize("change", ["weights", "data", "settings", "seed", "version"])
def test_nothing_is_taken_up_for_anything_else(make_plan, plugin, tiny: Path, tmp_path: Path, change: str) -> None:
    path = plugin()
    plan = make_plan("brightness", plugins=(path,))
    run(plan)
    if change == "weights":
        plan = dataclasses.replace(plan, checkpoint=CheckpointSpec("vit_tiny_patch16_224", arguments=_arguments(), random_weights=True))
    elif change == "data":
        plan = dataclasses.replace(plan, dataset=DatasetSpec("digits", max_examples=59))
    elif change == "settings":
        plan = dataclasses.replace(plan, steps=(Step("brightness", {"scale": 2.0}),))
    elif change == "seed":
        plan = dataclasses.replace(plan, seed=1)
    else:
        path.write_text(path.read_text().replace("version: ClassVar = 1", "version: ClassVar = 2"))
    assert not finished(run(plan))[-1].cached


def _arguments() -> dict:
    return {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 10}


@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_batch_size_changes_nothing(make_plan, batch_size: int) -> None:
    reference = outcomes(run(make_plan("calibration")), "calibration")
    plan = make_plan("calibration", batch_size=batch_size)
    other = outcomes(run(dataclasses.replace(plan, out=plan.out.with_name("other"))), "calibration")
    assert reference.keys() == other.keys()
    for name, outcome in reference.items():
        if isinstance(outcome, Measurement):
            assert other[name].value == pytest.approx(outcome.value, abs=1e-5), name
        else:
            assert other[name] == outcome


def test_examples_table_holds_every_value(make_plan, plugin) -> None:
    plan = make_plan("brightness", plugins=(plugin(),))
    events = run(plan)
    values = read_examples(plan.out)["brightness", "brightness_mean", "{}"]
    assert len(values) == 60
    assert all(name.startswith("digits/") for name in values)
    assert np.mean(list(values.values())) == pytest.approx(outcomes(events, "brightness")["brightness_mean"].value)


def test_examples_of_an_earlier_invocation_stay(make_plan, plugin) -> None:
    plan = make_plan("brightness", plugins=(plugin(),))
    run(plan)
    run(dataclasses.replace(plan, steps=(Step("calibration", {}),)))
    assert {evaluator for evaluator, _, _ in read_examples(plan.out)} == {"brightness", "calibration"}


def test_a_failing_evaluator_takes_nothing_with_it(make_plan, plugin) -> None:
    plan = make_plan("brightness", "parameters", plugins=(plugin(score="raise ZeroDivisionError('by hand')\n        yield"),))
    events = run(plan)
    failure = outcomes(events, "brightness")[None]
    assert (failure.status, failure.code, failure.message) == (Status.FAILED, "crashed", "ZeroDivisionError: by hand")
    assert "by hand" in next((plan.out / "work").glob("brightness-*/traceback.txt")).read_text()
    assert isinstance(outcomes(events, "parameters")["parameters"], Measurement)
    assert [e.cached for e in run(plan) if isinstance(e, Finished)] == [True, False]  # a failure is tried again


@pytest.mark.parametrize(
    ("score", "code"),
    [
        ("yield Scores(BRIGHTNESS, batch.images.mean())", "wrong-shape"),
        ("yield Scores(BRIGHTNESS, batch.images.mean((1, 2, 3)) / 0)", "non-finite-score"),
        ("for _ in range(2):\n            yield Scores(BRIGHTNESS, batch.images.mean((1, 2, 3)))", "repeated-score"),
        ("return iter(())", "repeated-score"),
        ("yield Scores(Metric('other', ONE, Better.NEITHER, 'x'), batch.images.mean((1, 2, 3)))", "undeclared-metric"),
        ("yield Scores(BRIGHTNESS, batch.images.mean((1, 2, 3)), {'first': batch.ids[0]})", "uneven-scores"),
    ],
)
def test_broken_contracts_are_named(make_plan, plugin, score: str, code: str) -> None:
    failure = outcomes(run(make_plan("brightness", plugins=(plugin(score=score),))), "brightness")[None]
    assert (failure.status, failure.code) == (Status.FAILED, code)


def test_random_weights_have_costs_but_no_quality(make_plan) -> None:
    spec = CheckpointSpec("vit_tiny_patch16_224", arguments=_arguments(), random_weights=True)
    events = run(make_plan("calibration", "parameters", checkpoint=spec))
    failure = outcomes(events, "calibration")[None]
    assert (failure.status, failure.code) == (Status.UNSUPPORTED, "random-weights")
    assert "random weights" in failure.message
    assert isinstance(outcomes(events, "parameters")["parameters"], Measurement)


def test_no_data_set_is_unsupported_not_an_error(make_plan) -> None:
    failure = outcomes(run(make_plan("calibration", dataset=None)), "calibration")[None]
    assert (failure.status, failure.code) == (Status.UNSUPPORTED, "no-dataset")


@pytest.mark.parametrize(("need", "code"), [("GROUPS", "no-groups"), ("FEATURES", None), ("TRAINING_SPLIT", None)])
def test_needs_are_looked_at_before_any_work(make_plan, plugin, need: str, code: str | None) -> None:
    path = plugin()
    path.write_text(path.read_text().replace("frozenset({Need.EXAMPLES})", f"frozenset({{Need.EXAMPLES, Need.{need}}})"))
    outcome = next(iter(outcomes(run(make_plan("brightness", plugins=(path,))), "brightness").values()))
    assert (outcome.code if isinstance(outcome, Failure) else None) == code


def test_a_spent_budget_is_told_and_the_rest_resumes(make_plan, plugin) -> None:
    plan = make_plan("brightness", plugins=(plugin(),), max_minutes=1e-9)
    failure = outcomes(run(plan), "brightness")[None]
    assert (failure.status, failure.code) == (Status.NOT_RUN, "time-budget")
    assert "--max-minutes" in failure.hint
    assert isinstance(outcomes(run(dataclasses.replace(plan, max_minutes=None)), "brightness")["brightness_mean"], Measurement)


def test_the_folder_of_another_run_is_left_alone(make_plan) -> None:
    plan = make_plan("parameters")
    run(plan)
    (plan.out / "report.json").write_text(json.dumps({"checkpoint": {"digest": "another"}, "dataset": None}))
    before = Store(plan.out).path.read_bytes()
    with pytest.raises(RunError, match="holds an evaluation of another checkpoint"):
        run(dataclasses.replace(plan, seed=1))
    assert Store(plan.out).path.read_bytes() == before


def test_bad_input_raises_before_anything_is_measured(make_plan, tiny: Path) -> None:
    with pytest.raises(CheckpointError):
        run(make_plan("parameters", checkpoint=CheckpointSpec(str(tiny.with_name("gone.safetensors")))))
    with pytest.raises(DatasetError):
        run(make_plan("parameters", dataset=DatasetSpec("cifar11")))
    with pytest.raises(SettingsError):
        run(make_plan(steps=(Step("calibration", {"bin": 3}),)))


def test_non_finite_logits_name_the_example(make_plan, tiny: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    weights = load_file(tiny)
    weights["head.weight"] *= 1e38
    weights["head.bias"] += 3e38
    weights["norm.weight"] *= 1e4
    (tmp_path / "tiny.json").write_text(tiny.with_name("tiny.json").read_text())
    save_file(weights, tmp_path / "tiny.safetensors")
    with pytest.raises(CheckpointError, match="NaN or infinite logits") as caught:
        run(make_plan("calibration", checkpoint=CheckpointSpec(str(tmp_path / "tiny.safetensors"))))
    assert caught.value.code == "non-finite-logits"


WHOLE = """
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final
from efficient360.evaluator import BYTE, ONE, Better, Evaluator, Measurement, Metric

FIRST = Metric("first_value", ONE, Better.NEITHER, "A value.")
SECOND = Metric("second_value", ONE, Better.NEITHER, "Another.")

@final
@dataclass(frozen=True)
class Whole(Evaluator):
    "Looks at the model as a whole."
    name: ClassVar = "whole"
    version: ClassVar = 1
    metrics: ClassVar = (FIRST, SECOND)
    needs: ClassVar = frozenset()

    def evaluate(self, model, context):
        yield Measurement(FIRST, 1.0)
        {rest}
"""


@pytest.mark.parametrize(
    ("rest", "status", "code"),
    [
        ("raise ValueError('half-way')", Status.FAILED, "crashed"),
        ("yield Measurement(Metric('second_value', BYTE, Better.NEITHER, 'In bytes.'), 2.0)", Status.FAILED, "wrong-unit"),
        ("yield Measurement(Metric('second_value', ONE, Better.LOWER, 'Directed.'), 2.0)", Status.FAILED, "wrong-unit"),
        ("yield Measurement(Metric('third_value', ONE, Better.NEITHER, 'Undeclared.'), 2.0)", Status.FAILED, "undeclared-metric"),
        ("yield Measurement(FIRST, 2.0)", Status.FAILED, "repeated-metric"),
    ],
)
def test_what_was_yielded_before_a_fault_is_kept(make_plan, tmp_path: Path, rest: str, status: Status, code: str) -> None:
    path = tmp_path / "whole.py"
    path.write_text(WHOLE.format(rest=rest))
    done = outcomes(run(make_plan("whole", plugins=(path,), dataset=None)), "whole")
    assert done["first_value"].value == 1.0
    assert (done[None].status, done[None].code) == (status, code)
    assert len(done) == 2
