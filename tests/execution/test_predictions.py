from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from efficient360.conformance import EXAMPLES, context_of, subject
from efficient360.core.batch import Batch
from efficient360.core.measurement import Failure, Measurement
from efficient360.errors import OutOfTime, Unsupported
from efficient360.evaluator import Deadline
from efficient360.execution import runner
from efficient360.execution.events import Event, Finished
from efficient360.execution.plan import Plan
from efficient360.execution.predictions import predict
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import Model, TorchModel
from efficient360.models.references import resolve

SMALL = {"num_classes": 6}


def model_of(architecture: str, keep: tuple[int, ...] | None = None, **arguments: Any) -> TorchModel:
    return load_model(resolve(CheckpointSpec(architecture, arguments={**SMALL, **arguments}, random_weights=True)), keep=keep)


def images(size: int) -> torch.Tensor:
    return torch.rand((2, 3, size, size), generator=torch.Generator().manual_seed(3))


def test_features_are_what_the_classifier_turns_into_logits() -> None:
    on = subject()
    given = images(32)
    logits, features = on.model.logits_and_features(given)
    assert features is not None
    assert torch.equal(logits, on.model(given))
    torch.testing.assert_close(features, on.model.features(given), rtol=0, atol=1e-6)
    torch.testing.assert_close(on.model.classifier()(features), logits, rtol=0, atol=1e-6)


def test_the_classifier_of_kept_classes_gives_their_logits() -> None:
    model = model_of("vit_tiny_patch16_224", (4, 1), img_size=32, patch_size=8, embed_dim=24, depth=1, num_heads=3)
    before = torch.get_rng_state()
    logits, features = model.logits_and_features(images(32))
    assert features is not None
    torch.testing.assert_close(model.classifier()(features), logits, rtol=0, atol=1e-6)
    assert torch.equal(before, torch.get_rng_state())


def test_two_heads_are_no_linear_classifier_but_have_features() -> None:
    model = model_of("deit_tiny_distilled_patch16_224", img_size=32, patch_size=8, embed_dim=24, depth=1, num_heads=3)
    logits, features = model.logits_and_features(images(32))
    assert features is not None
    assert torch.equal(logits, model(images(32)))
    assert torch.equal(features, model.features(images(32)))
    with pytest.raises(Unsupported, match="does not end in one linear classifier"):
        model.classifier()


@pytest.mark.parametrize(("architecture", "size"), [("pvt_v2_b0", 64), ("mobilevit_xxs", 64), ("resnet18", 64)])
def test_hierarchies_hybrids_and_convolutional_networks_too(architecture: str, size: int) -> None:
    model = model_of(architecture)
    logits, features = model.logits_and_features(images(size))
    assert features is not None
    torch.testing.assert_close(model.classifier()(features), logits, rtol=1e-5, atol=1e-5)
    expected = timm.create_model(architecture, **SMALL).num_features
    assert features.shape == (2, expected)


class Artefact(Model):
    """Logits only."""

    num_classes = 7
    input_size = (3, 32, 32)

    def __call__(self, given: torch.Tensor) -> torch.Tensor:
        return given.mean((2, 3)) @ torch.ones(3, 7)


def test_an_artefact_gives_logits_alone(tmp_path: Path) -> None:
    found = predict(Artefact(), subject().examples, tmp_path, 5, 0, Deadline(), lambda *_: None)
    assert found.features is None
    assert all(batch.clean_features is None and batch.clean_logits is not None for batch in found.batches(7))


def whole(batches: list[Batch]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.cat([b.clean_logits for b in batches]), torch.cat([b.clean_features for b in batches])  # type: ignore[misc]


def test_a_pass_that_was_interrupted_gives_the_same(tmp_path: Path) -> None:
    on = subject()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    reference = predict(on.model, on.examples, tmp_path / "a", 5, 0, Deadline(), lambda *_: None)

    def stop(done: int, _total: int) -> None:
        if done == 10:
            raise OutOfTime("time-budget", "stopped", "go on")

    with pytest.raises(OutOfTime):
        predict(on.model, on.examples, tmp_path / "b", 5, 0, Deadline(), stop)
    # A kill between the two logs leaves one of them a batch ahead.
    with (tmp_path / "b" / "logits.f32").open("ab") as file:
        file.write(np.zeros(7, np.float32).tobytes())
    resumed = predict(on.model, on.examples, tmp_path / "b", 5, 0, Deadline(), lambda *_: None)
    for one, other in zip(whole(list(reference.batches(24))), whole(list(resumed.batches(7))), strict=True):
        assert torch.equal(one, other)


def test_parts_keep_their_own_rows(tmp_path: Path) -> None:
    on = subject()
    found = context_of(on, tmp_path, 8).predicted(on.examples)
    ids = [on.examples.ids[i] for i in (20, 3, 4, 11)]
    (batch,) = found.select(ids).batches(10)
    (clean,) = found.batches(EXAMPLES)
    assert batch.ids == tuple(ids)
    assert batch.clean_features is not None
    assert clean.clean_features is not None
    assert torch.equal(batch.clean_features, clean.clean_features[[20, 3, 4, 11]])
    torch.testing.assert_close(on.model.classifier()(batch.clean_features), on.model(batch.images), rtol=0, atol=1e-5)


PLUGIN = '''
from dataclasses import dataclass
from typing import ClassVar, final

from efficient360.evaluator import *


@final
@dataclass(frozen=True)
class {name}(Evaluator):
    """Counts examples of three sorts."""

    name: ClassVar = "{name_}"
    version: ClassVar = 1
    metrics: ClassVar = (Metric("seen", ONE, Better.NEITHER, "How many."), Metric("width", ONE, Better.NEITHER, "Of the features."))
    needs: ClassVar = frozenset({{Need.EXAMPLES, Need.TRAINING_SPLIT}})
    beside: str = "digits"

    def others(self):
        return (self.beside,) if self.beside else ()

    def evaluate(self, model, context):
        asked = {{"clean": context.examples, "training": context.training.subset(30, context.seed)}}
        asked |= {{name: other.test().subset(20, context.seed) for name, other in context.others.items()}}
        for sort, examples in asked.items():
            batches = list(context.predicted(examples).batches(8))
            assert all((model(b.images) - b.clean_logits).abs().max() < 1e-5 for b in batches)
            yield Measurement(self.metrics[0], float(sum(len(b) for b in batches)), conditions={{"sort": sort}})
            yield Measurement(self.metrics[1], float(batches[0].clean_features.shape[1]), conditions={{"sort": sort}})
'''


def written(tmp_path: Path, name: str) -> Path:
    path = tmp_path / f"{name}.py"
    path.write_text(PLUGIN.format(name=name.capitalize(), name_=name))
    return path


def run(plan: Plan) -> list[Event]:
    events: list[Event] = []
    runner.run(plan, events.append)
    return events


def test_two_evaluators_share_every_pass(make_plan, tmp_path: Path) -> None:
    path = written(tmp_path, "first")
    path.write_text(path.read_text() + PLUGIN.format(name="Second", name_="second"))
    plan = make_plan("first", "second", plugins=(path,))
    events = run(plan)
    for done in (e for e in events if isinstance(e, Finished)):
        found = {(r.metric.name, r.outcome.conditions["sort"]): r.outcome for r in done.records}
        assert all(isinstance(o, Measurement) for o in found.values())
        assert {key: o.value for key, o in found.items() if key[0] == "seen"} == {("seen", "clean"): 60, ("seen", "training"): 30, ("seen", "digits"): 20}
        assert {o.value for key, o in found.items() if key[0] == "width"} == {32}
    assert len(list((plan.out / "work").glob("beside-*/predictions-*"))) == 3
    assert not list((plan.out / "work").glob("predictions-*"))  # those are computed without foreign code


def test_foreign_code_reads_what_was_computed_without_it_and_writes_beside(make_plan, tmp_path: Path) -> None:
    plan = make_plan("calibration", "first", plugins=(written(tmp_path, "first"),))
    run(plan)
    (ours,) = (plan.out / "work").glob("predictions-*")
    beside = {path.name for path in (plan.out / "work").glob("beside-*/predictions-*")}
    assert len(beside) == 2
    assert ours.name not in beside


def test_another_data_set_in_the_settings_is_another_key(make_plan, tmp_path: Path) -> None:
    from efficient360.execution.plan import Step

    plugins = (written(tmp_path, "first"),)
    run(make_plan("first", plugins=plugins))
    again = run(make_plan("first", plugins=plugins))
    assert again[-1].cached
    assert not run(make_plan(plugins=plugins, steps=(Step("first", {"beside": ""}),)))[-1].cached
    (record,) = run(make_plan(plugins=plugins, steps=(Step("first", {"beside": "nowhere"}),)))[-1].records
    assert isinstance(record.outcome, Failure)
    assert "there is no data set called 'nowhere'" in record.outcome.message
