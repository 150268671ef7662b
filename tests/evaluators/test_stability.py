import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from efficient360 import conformance
from efficient360.core.figures import Bars, Gallery, Table
from efficient360.core.measurement import Failure, Measurement, Outcome, Status
from efficient360.core.outcome import Record, to_json
from efficient360.core.statistics import bootstrap_mean
from efficient360.errors import SettingsError
from efficient360.evaluator import Context, Deadline
from efficient360.evaluators.stability import FLIP_RATE, Stability
from efficient360.execution.plan import configure
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.methods.corruptions.flip_rates import most_unstable
from efficient360.methods.corruptions.imagenet_p import PERTURBATIONS
from efficient360.models.model import Model

SUBJECT = conformance.subject()
COLUMN = 12


@dataclass(frozen=True)
class Looker(Model):
    """Logits only, as an artefact has: class 1 where the red of row 5, column 12, is above ``limit``, else 0."""

    limit: float = 0.5

    @property
    def num_classes(self) -> int:
        return 7

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 32, 32)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        seen = (images[:, 0, 5, COLUMN] > self.limit).float()
        return torch.nn.functional.pad(torch.stack([1 - seen, seen], 1), (0, 5), value=-1.0)


def context(folder: Path, batch_size: int = 8) -> Context[Any]:
    folder.mkdir(exist_ok=True)
    return Context(SUBJECT.checkpoint, SUBJECT.examples, None, 0, batch_size, Deadline(), folder)


def run(evaluator: Stability, folder: Path, model: Model | None = None, batch_size: int = 8) -> dict[tuple[str, frozenset], Outcome]:
    where, model = context(folder, batch_size), model or Looker()
    table = score_all(evaluator, model, SUBJECT.examples, where, where.progress)
    return {(o.metric.name, frozenset(o.conditions.items())): o for o in outcomes_of(evaluator, model, table, where)}


def one(found: dict[tuple[str, frozenset], Outcome], metric: str, **conditions: Any) -> Measurement:
    matching = [o for (name, has), o in found.items() if name == metric and conditions.items() <= dict(has).items()]
    assert len(matching) == 1, matching
    assert isinstance(matching[0], Measurement)
    return matching[0]


def pixels() -> np.ndarray:
    return np.concatenate([(batch.images * 255).round().numpy() for batch in SUBJECT.examples.batches(8)])


def test_a_shift_flips_the_answer_exactly_where_the_row_crosses_the_limit(tmp_path: Path) -> None:
    """Shifted by -7 … 8 pixels, column 12 shows columns 19 … 4 of the row: a flip wherever neighbours lie on two sides."""
    row = pixels()[:, 0, 5, 4:20][:, ::-1] / 255 > 0.5
    expected = (row[:, 1:] != row[:, :-1]).mean(axis=1)
    assert 0.2 < expected.mean() < 0.8
    found = one(run(Stability(("translate",), examples=None), tmp_path / "run"), "flip_rate")
    assert found.value == pytest.approx(expected.mean())
    assert found.interval == bootstrap_mean(expected, 0)
    assert (found.n, dict(found.conditions)) == (len(SUBJECT.examples), {"perturbation": "translate", "table": "cifar-p"})


def test_brightness_flips_at_most_once_and_exactly_those_it_carries_over_the_limit(tmp_path: Path) -> None:
    found = one(run(Stability(("brightness",), examples=None), tmp_path / "run"), "flip_rate")
    images = pixels()[:, :, 5, COLUMN] / 255
    value, red = images.max(1), images[:, 0]
    darkest, brightest = (red * np.clip(value + change, 0, 1) / value for change in (-0.225, 0.225))
    crossing = (darkest <= 0.49) & (brightest > 0.51)
    assert crossing.any()
    perhaps = (darkest < 0.51) & (brightest > 0.49)  # a rounded level decides of the others
    assert crossing.sum() <= round(found.value * 30 * len(crossing)) <= perhaps.sum() < len(crossing)


def test_a_model_that_always_says_the_same_never_flips(tmp_path: Path) -> None:
    found = run(Stability(frames=5, examples=None), tmp_path / "run", Looker(2.0))
    rates = [o for (name, _), o in found.items() if name in ("flip_rate", "mean_flip_rate")]
    assert len(rates) == 11
    assert {(o.value, o.interval.low, o.interval.high) for o in rates} == {(0.0, 0.0, 0.0)}
    assert [type(figure) for figure in one(found, "mean_flip_rate").extra] == [Bars, Table]  # nothing to show a picture of


def test_the_mean_is_over_perturbations_with_examples_kept_together(tmp_path: Path) -> None:
    evaluator = Stability(("gaussian_noise", "translate", "scale"), frames=6, examples=None)
    where = context(tmp_path / "run")
    table = score_all(evaluator, Looker(), SUBJECT.examples, where, where.progress)
    found = run(evaluator, tmp_path / "run")
    per_example = np.mean([table.column(FLIP_RATE, {"perturbation": name, "table": "cifar-p", "frames": 6}) for name in evaluator.perturbations], axis=0)
    mean = one(found, "mean_flip_rate", over="gaussian_noise translate scale, at most 6 frames", table="cifar-p")
    assert mean.value == pytest.approx(per_example.mean())
    assert mean.interval == bootstrap_mean(per_example, 0)
    assert not any(name == "mfr" for name, _ in found)


def test_the_whole_is_called_ten_perturbations(tmp_path: Path) -> None:
    evaluator = Stability(PERTURBATIONS[::-1])
    assert evaluator._protocol(context(tmp_path / "run")).averaged_over == "10 perturbations"
    assert Stability(frames=41)._protocol(context(tmp_path / "run")).averaged_over == "10 perturbations"
    assert Stability(frames=30)._protocol(context(tmp_path / "run")).averaged_over == "10 perturbations, at most 30 frames"


def test_figures_are_bars_pairs_and_the_protocol(tmp_path: Path) -> None:
    found = run(Stability(("gaussian_noise", "translate", "tilt"), examples=None), tmp_path / "run")
    bars, pairs, protocol = one(found, "mean_flip_rate").extra
    assert isinstance(bars, Bars)
    assert bars.labels == ("gaussian noise", "translate", "tilt")
    assert bars.values == tuple(one(found, "flip_rate", perturbation=name).value for name in ("gaussian_noise", "translate", "tilt"))
    assert bars.low == tuple(one(found, "flip_rate", perturbation=name).interval.low for name in ("gaussian_noise", "translate", "tilt"))
    assert isinstance(pairs, Gallery)
    pictures = pairs.pictures
    assert len(pictures) % 2 == 0
    for before, after in zip(pictures[::2], pictures[1::2], strict=True):
        assert {before.caption, after.caption} == {"class 0", "class 1"}
        assert before.image != after.image
        assert before.detail.partition(",")[0] == after.detail.partition(",")[0]
    details = {p.detail.partition(", ")[0]: p.detail.partition(", ")[2] for p in pictures[::2]}
    assert details["gaussian noise"] == "clean"
    assert details["translate"].startswith("frame ")
    assert isinstance(protocol, Table)
    assert ("frames", "31 16 31") in protocol.rows
    assert ("strengths", "cifar-p") in protocol.rows
    assert ("digest of the examples", SUBJECT.examples.digest[:16]) in protocol.rows


def test_pictures_are_of_what_flips_most_and_of_several_examples() -> None:
    rates = {"a": np.array([0.0, 0.1, 0.0]), "b": np.array([0.0, 0.9, 0.9]), "c": np.zeros(3), "d": np.array([0.0, 0.3, 0.0]), "e": np.full(3, 0.01)}
    assert most_unstable(rates) == [("b", 1), ("d", 1), ("a", 1)]
    assert most_unstable({"a": np.array([0.5, 0.5]), "b": np.array([0.2, 0.3]), "c": np.zeros(2)}) == [("a", 0), ("b", 1)]


@pytest.mark.parametrize("size", [1, 5])
def test_the_batch_size_changes_nothing(tmp_path: Path, size: int) -> None:
    evaluator = Stability(("shot_noise", "snow", "tilt"), frames=3, examples=None)
    assert run(evaluator, tmp_path / "a", SUBJECT.model, size) == run(evaluator, tmp_path / "b", SUBJECT.model, 16)


def reported(found: dict[tuple[str, frozenset], Outcome], path: Path) -> str:
    path.write_text(json.dumps({"checkpoint": {"name": "other"}, "outcomes": [to_json(Record("stability", o)) for o in found.values()]}))
    return str(path)


def test_another_runs_report_divides(tmp_path: Path) -> None:
    """Against itself a model has an mFR of 1; against another, the mean of the ratios."""
    settings: dict[str, Any] = {"perturbations": ("translate", "scale"), "examples": None}
    mine, theirs = run(Stability(**settings), tmp_path / "a"), run(Stability(**settings), tmp_path / "b", Looker(0.8))
    same = run(Stability(**settings, reference=reported(mine, tmp_path / "mine.json")), tmp_path / "a")
    assert one(same, "mfr", reference="other", over="translate scale", table="cifar-p").value == pytest.approx(1)
    divided = run(Stability(**settings, reference=reported(theirs, tmp_path / "theirs.json")), tmp_path / "a")
    ratios = [one(mine, "flip_rate", perturbation=p).value / one(theirs, "flip_rate", perturbation=p).value for p in ("translate", "scale")]
    assert one(divided, "mfr").value == pytest.approx(np.mean(ratios))
    assert ratios[0] != pytest.approx(1)


def test_nothing_is_divided_by_a_model_that_never_flips_or_was_measured_otherwise(tmp_path: Path) -> None:
    still = reported(run(Stability(("translate",), examples=None), tmp_path / "a", Looker(2.0)), tmp_path / "still.json")
    failure = next(o for o in run(Stability(("translate",), examples=None, reference=still), tmp_path / "b").values() if isinstance(o, Failure))
    assert (failure.status, failure.code, failure.metric.name) == (Status.UNSUPPORTED, "flawless-reference", "mfr")
    assert "translate" in failure.message
    failure = next(o for o in run(Stability(("translate",), frames=5, examples=None, reference=still), tmp_path / "c").values() if isinstance(o, Failure))
    assert failure.code == "other-protocol"
    assert "frames differ" in failure.message


def test_a_report_without_stability_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"checkpoint": {"name": "a"}, "outcomes": []}))
    with pytest.raises(SettingsError) as raised:
        run(Stability(("translate",), frames=2, reference=str(path)), tmp_path / "run")
    assert raised.value.code == "bad-reference"


def test_it_takes_two_hundred_examples_by_default() -> None:
    assert (Stability().sample_size(), Stability(examples=None).sample_size()) == (200, None)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("perturbations", ["wobble"]),
        ("perturbations", []),
        ("perturbations", ["tilt", "tilt"]),
        ("table", "cifar-c"),
        ("frames", 1),
        ("examples", 0),
        ("reference", "alexnet"),
    ],
)
def test_settings_are_refused_with_a_hint(setting: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"setting {setting} of stability") as raised:
        configure(Stability, {setting: value})
    assert raised.value.code == "bad-setting"
    assert raised.value.hint
