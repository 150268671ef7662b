"""Stored outcomes are another's as soon as anything differs that the numbers depend on."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pytest
from PIL import Image

from efficient360.core.measurement import Measurement, Metric, Outcome, Status
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import PluginError
from efficient360.evaluator import Context, Evaluator, Model, Need
from efficient360.evaluators.accuracy import TOP1, Accuracy
from efficient360.evaluators.adversarial import Adversarial
from efficient360.evaluators.black_box import BlackBox
from efficient360.evaluators.calibration import Calibration
from efficient360.evaluators.capture_conditions import CaptureConditions
from efficient360.evaluators.conformal import Conformal
from efficient360.evaluators.faithfulness import Faithfulness
from efficient360.evaluators.group_fairness import GroupFairness
from efficient360.evaluators.inclusion import Inclusion
from efficient360.evaluators.membership_inference import MembershipInference
from efficient360.evaluators.natural_shift import NaturalShift
from efficient360.evaluators.stability import Stability
from efficient360.execution import runner
from efficient360.execution.cache_key import key_of
from efficient360.execution.events import Finished
from efficient360.execution.plan import Plan, Step
from efficient360.execution.session import InMemory, Session, open_session
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.storage.outcomes import Store


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in range(10):
            folder = tmp_path / "images" / split / str(label)
            folder.mkdir(parents=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / "a.png")
    return tmp_path / "images"


def keys(folders: Path, tiny: Path, tmp_path: Path) -> tuple[str, str]:
    plan = Plan(
        checkpoint=CheckpointSpec(str(tiny)),
        dataset=DatasetSpec(f"imagefolder:{folders}"),
        protocol="test",
        steps=(),
        out=tmp_path / "run",
        batch_size=4,
    )
    with ExitStack() as stack:
        session = open_session(plan, Store(plan.out), lambda _: None, stack, InMemory())
        return key_of(session, Accuracy()), key_of(session, MembershipInference())


def test_another_training_image_is_another_key_of_those_who_look_at_it_alone(folders: Path, tiny: Path, tmp_path: Path) -> None:
    first, again = keys(folders, tiny, tmp_path), keys(folders, tiny, tmp_path)
    assert first == again
    Image.fromarray(np.zeros((32, 32, 3), dtype=np.uint8)).save(folders / "train" / "3" / "a.png")
    accuracy, membership = keys(folders, tiny, tmp_path)
    assert accuracy == first[0]
    assert membership != first[1]


@pytest.fixture
def session(make_plan) -> Iterator[Session]:
    with opened(make_plan()) as opened_session:
        yield opened_session


@contextmanager
def opened(plan: Plan) -> Iterator[Session]:
    with ExitStack() as stack:
        yield open_session(plan, Store(plan.out), lambda _: None, stack, InMemory())


@pytest.mark.parametrize(
    ("evaluator", "drawn", "other"),
    [
        (Accuracy(), Accuracy(mistakes=3), Accuracy(resamples=999)),
        (Adversarial(), Adversarial(shown=1), Adversarial(steps=20)),
        (BlackBox(), BlackBox(shown=0), BlackBox(queries=20)),
        (CaptureConditions(), CaptureConditions(pictures=0), CaptureConditions(images=3)),
        (Faithfulness(), Faithfulness(shown=0), Faithfulness(steps=20)),
        (NaturalShift(), NaturalShift(mistakes=0), NaturalShift(examples=3)),
    ],
    ids=lambda evaluator: evaluator.name,
)
def test_settings_that_only_draw_do_not_count(session: Session, evaluator: Any, drawn: Any, other: Any) -> None:
    assert key_of(session, drawn) == key_of(session, evaluator)
    assert key_of(session, other) != key_of(session, evaluator)


ATTACK = "from efficient360.methods.adversarial.square import Square\n{comment}\nATTACK = Square({queries})\n"


def test_an_attack_of_ones_own_counts_by_its_code(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    keys = []
    for comment, queries in (("", 10), ("# mine", 10), ("", 200)):
        file.write_text(ATTACK.format(comment=comment, queries=queries))
        keys.append(key_of(session, BlackBox(attacks=(str(file),))))
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]


@pytest.mark.parametrize("kind", ["surrogate", "reference", "regions", "masks", "shadows"])
def test_every_file_that_a_setting_names_counts_by_what_is_in_it(session: Session, tmp_path: Path, kind: str) -> None:
    def evaluator() -> Any:
        match kind:
            case "surrogate":
                return Adversarial(surrogate=str(file))
            case "reference":
                return Stability(reference=str(file))
            case "regions":
                return Faithfulness(regions=str(file))
            case "masks":
                return Faithfulness(regions=str(folder))
            case _:
                return MembershipInference(shadow_checkpoints={str(folder): str(file)})

    folder = tmp_path / "folder"
    folder.mkdir()
    file, mask = tmp_path / "file.csv", folder / "a.png"
    keys = []
    for right, colour in (("1", 255), ("0.5", 128)):
        file.write_text(f"id,left,top,right,bottom\na,0,0,{right},1\n")
        Image.new("L", (4, 4), colour).save(mask)
        for path in (file, mask):
            os.utime(path, (315532800, 315532800))  # the time stamp says nothing
        keys.append(key_of(session, evaluator()))
    assert keys[0] != keys[1]


def test_group_columns_count_for_those_who_look_at_groups(make_plan) -> None:
    keys = []
    for groups in ((), ("style",)):
        with opened(make_plan()) as session:
            assert session.dataset is not None
            examples = dataclasses.replace(session.dataset.examples, groups={name: ["a"] * len(session.dataset.examples) for name in groups})
            grouped = dataclasses.replace(session, dataset=dataclasses.replace(session.dataset, examples=examples))
            keys.append([key_of(grouped, evaluator) for evaluator in (Accuracy(), GroupFairness(), Inclusion(), Calibration(), Conformal())])
    assert [a == b for a, b in zip(*keys, strict=True)] == [True, False, False, False, False]


@final
@dataclass(frozen=True)
class Mine(Evaluator):
    """Its settings are of any kind."""

    name: ClassVar[str] = "mine"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (TOP1,)
    needs: ClassVar[frozenset[Need]] = frozenset()
    setting: Any = None
    depends: Any = None

    def cache_dependencies(self) -> Mapping[str, object]:
        return {"depends": self.depends}

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        yield Measurement(TOP1, 0.5)


@pytest.mark.parametrize("unknown", [object(), len, np.zeros(2)])
def test_unknown_objects_are_refused(session: Session, unknown: object) -> None:
    for evaluator in (Mine(unknown), Mine([unknown]), Mine(depends={"a": unknown})):
        with pytest.raises(PluginError) as caught:
            key_of(session, evaluator)
        assert caught.value.code == "not-plain"


def test_an_evaluator_whose_results_cannot_be_told_apart_fails_alone(make_plan) -> None:
    plan = make_plan("mine", "parameters")
    events: list[Any] = []
    runner.run(plan, events.append, InMemory(evaluators={"mine": Mine(object())}))
    parameters, mine = (e.records[0].outcome for e in events if isinstance(e, Finished))
    assert (mine.status, mine.code) == (Status.FAILED, "not-plain")
    assert isinstance(parameters, Measurement)


def test_clean_predictions_are_not_taken_from_other_images(folders: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that the sample of a large split's fingerprint passes over: stale logits would score the old one."""
    monkeypatch.setattr(ExampleSet, "fingerprint", "the same")
    plan = Plan(CheckpointSpec(str(tiny)), DatasetSpec(f"imagefolder:{folders}"), "test", (Step("accuracy", {}),), tmp_path / "run", batch_size=4)
    runner.run(plan, lambda _: None)
    Image.fromarray(np.zeros((32, 32, 3), dtype=np.uint8)).save(folders / "test" / "3" / "a.png")
    runner.run(dataclasses.replace(plan, steps=plan.steps, out=_without_report(plan.out)), lambda _: None)
    assert len(list((plan.out / "work").glob("predictions-*"))) == 2


def _without_report(folder: Path) -> Path:
    (folder / "report.json").unlink(missing_ok=True)
    return folder
