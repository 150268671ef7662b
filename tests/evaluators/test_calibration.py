from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss
from torch import Tensor

from efficient360.batch import Batch
from efficient360.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.errors import OutOfTime, SettingsError
from efficient360.evaluator import Context, Deadline, Measurement, Model, ScoreTable
from efficient360.evaluators.calibration import AURC, BRIER, CONFIDENCE, CORRECT, ECE, NLL, Calibration
from efficient360.figures import Curve


@final
class Logits(Model):
    """A model that is never run: the shared pass has its logits."""

    num_classes = 4
    input_size = (3, 8, 8)

    def __call__(self, images: Tensor) -> Tensor:
        raise AssertionError("calibration reads cached logits")


def batch_of(logits: Tensor, labels: Tensor) -> Batch:
    return Batch(tuple(map(str, range(len(labels)))), labels, lambda: torch.zeros(len(labels), 3, 8, 8), 0, clean_logits=logits)


def columns(logits: Tensor, labels: Tensor) -> dict[str, np.ndarray]:
    return {s.metric.name: s.values.double().numpy() for s in Calibration().score(Logits(), batch_of(logits, labels))}


def context(seed: int = 0, deadline: Deadline | None = None) -> Context:
    checkpoint = Checkpoint(CheckpointSpec("x"), "x", "x", {}, Origin.FILE, None, "0", Preprocessing((3, 8, 8), (0.5,), (0.5,)), 4)
    return Context(checkpoint, None, None, seed, 8, deadline or Deadline(), Path())


def finish(confidence: np.ndarray, correct: np.ndarray, seed: int = 0, **settings: int) -> dict[str, Measurement]:
    values = {(CONFIDENCE.name, frozenset()): confidence.astype(float), (CORRECT.name, frozenset()): correct.astype(float)}
    table = ScoreTable([str(i) for i in range(len(correct))], np.zeros(len(correct), np.int64), {}, 4, values)
    outcomes: Iterator[object] = Calibration(**settings).finish(table, context(seed))
    found = {o.metric.name: o for o in outcomes if isinstance(o, Measurement)}
    assert set(found) == {"ece", "ece_null", "ece_excess", "overconfidence", "aurc"}
    return found


def sampled(n: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of a model that is right ``shift`` less often than it says."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.4, 0.95, n)
    return confidence, rng.random(n) < confidence - shift


LOGITS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.randint(4, (50,), generator=torch.Generator().manual_seed(1))


def test_a_table_worked_by_hand() -> None:
    # Probabilities 1/2, 1/4, 1/4 (logits ln 2, 0, 0); the truth is the first, then the second class.
    found = columns(torch.tensor([[2.0, 1.0, 1.0]] * 2).log(), torch.tensor([0, 1]))
    np.testing.assert_allclose(found["nll"], [np.log(2), np.log(4)], rtol=1e-6)
    np.testing.assert_allclose(found["brier"], [1 / 4 + 1 / 16 + 1 / 16, 1 / 4 + 9 / 16 + 1 / 16], rtol=1e-6)
    np.testing.assert_allclose(found["confidence"], [0.5, 0.5], rtol=1e-6)
    assert found["correct"].tolist() == [1, 0]


def test_against_scikit_learn() -> None:
    found = columns(LOGITS, LABELS)
    probability = LOGITS.double().softmax(1).numpy()
    assert found["nll"].mean() == pytest.approx(log_loss(LABELS.numpy(), probability, labels=range(4)))
    theirs = brier_score_loss(LABELS.numpy(), probability, labels=range(4), scale_by_half=False)
    assert found["brier"].mean() == pytest.approx(theirs)


def test_logits_beyond_the_range_of_exp_stay_finite_and_within_bounds() -> None:
    found = columns(torch.tensor([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]]), torch.tensor([0, 1]))
    assert found["nll"].tolist() == [0.0, 2e4]
    assert found["brier"].tolist() == [0.0, 2.0]
    assert found["confidence"].tolist() == [1.0, 1.0]


def test_the_batch_size_changes_no_digit() -> None:
    whole = columns(LOGITS, LABELS)
    for size in (1, 7):
        parts = [columns(logits, labels) for logits, labels in zip(LOGITS.split(size), LABELS.split(size), strict=True)]
        for name, values in whole.items():
            assert np.concatenate([p[name] for p in parts]).tolist() == values.tolist()


def test_it_yields_what_it_declares() -> None:
    scored = [s.metric for s in Calibration().score(Logits(), batch_of(LOGITS, LABELS))]
    assert scored == [NLL, BRIER, CONFIDENCE, CORRECT]
    assert CORRECT in Calibration.columns
    assert CORRECT not in Calibration.metrics


def test_a_calibrated_model_has_no_excess() -> None:
    found = finish(*sampled(4000, 0), resamples=300)
    excess = found["ece_excess"]
    assert found["ece"].value == pytest.approx(found["ece_null"].value, rel=0.5)
    assert excess.interval.low < 0 < excess.interval.high
    assert found["ece_null"].interval.low < found["ece"].value < found["ece_null"].interval.high
    assert abs(found["overconfidence"].value) < 0.02


@pytest.mark.parametrize("shift", [0.2, -0.04])
def test_a_shift_that_is_known_is_found(shift: float) -> None:
    found = finish(*sampled(20_000, 1, shift), resamples=100)
    # The gap is the same everywhere, so the ECE is its size and the overconfidence its value, within 3 standard errors of 0.0035.
    assert found["ece"].value == pytest.approx(abs(shift), abs=0.011)
    assert found["overconfidence"].value == pytest.approx(shift, abs=0.011)
    assert found["overconfidence"].interval.low < shift < found["overconfidence"].interval.high
    assert found["ece_excess"].value == found["ece"].value - found["ece_null"].value
    assert found["ece_excess"].interval.low > 0
    assert found["ece"].value > found["ece_null"].interval.high


@pytest.mark.slow
def test_the_intervals_of_the_ece_and_its_excess_cover_what_they_say() -> None:
    found = [finish(*sampled(500, seed), resamples=200) for seed in range(200)]
    excess = [f["ece_excess"].interval for f in found]
    assert np.mean([i.low <= 0 <= i.high for i in excess]) >= 0.93
    expected = np.mean([f["ece"].value for f in found])
    covered = np.mean([f["ece"].interval.low <= expected <= f["ece"].interval.high for f in found])
    assert covered >= 0.9


def test_every_value_lies_in_its_interval() -> None:
    found = finish(*sampled(300, 2), resamples=100)
    for measurement in found.values():
        assert measurement.interval.low <= measurement.value <= measurement.interval.high
        assert measurement.n == 300
    assert {m.metric.name: m.interval.method for m in found.values()} == {
        "ece": "centred-bootstrap", "ece_null": "calibrated-resamples", "ece_excess": "centred-bootstrap",
        "overconfidence": "bootstrap", "aurc": "bootstrap",
    }


def test_the_same_seed_gives_the_same_numbers_and_another_other_ones() -> None:
    data = sampled(200, 3)
    first, again, other = (finish(*data, seed=s, resamples=50) for s in (4, 4, 5))
    assert first == again
    assert first["ece_null"].value != other["ece_null"].value
    assert first["ece"].value == other["ece"].value


def test_the_diagrams() -> None:
    confidence, correct = sampled(90, 5)
    found = finish(confidence, correct, bins=3, resamples=10)
    (diagram,) = found[ECE.name].extra
    assert isinstance(diagram, Curve)
    diagonal, points = diagram.series
    assert (diagonal.x, diagonal.y, diagonal.style) == ((0, 1), (0, 1), "reference")
    order = np.argsort(confidence)
    assert points.x == pytest.approx([confidence[part].mean() for part in np.split(order, 3)])
    assert points.y == pytest.approx([correct[part].mean() for part in np.split(order, 3)])
    assert all(low < y < high for low, y, high in zip(points.low, points.y, points.high, strict=True))
    (curve,) = found[AURC.name].extra
    assert isinstance(curve, Curve)
    chance, model = curve.series
    assert chance.y == pytest.approx([1 - correct.mean()] * 2)
    assert model.y[-1] == pytest.approx(1 - correct.mean())
    assert model.x[-1] == 1


def test_one_example_is_enough() -> None:
    found = finish(np.array([0.75]), np.array([1]), resamples=20)
    assert found["ece"].value == 0.25
    assert found["ece"].interval.low == found["ece"].interval.high == 0.25
    assert found["aurc"].value == 0


@pytest.mark.parametrize(("setting", "value"), [("bins", 0), ("resamples", 1)])
def test_a_setting_out_of_range_is_refused(setting: str, value: int) -> None:
    with pytest.raises(SettingsError, match=f"{setting} of calibration is {value}") as caught:
        Calibration(**{setting: value})
    assert caught.value.code == "bad-setting"


def test_the_time_budget_ends_it() -> None:
    values = {(CONFIDENCE.name, frozenset()): np.array([0.5]), (CORRECT.name, frozenset()): np.array([1.0])}
    table = ScoreTable(["0"], np.zeros(1, np.int64), {}, 4, values)
    with pytest.raises(OutOfTime):
        list(Calibration().finish(table, context(deadline=Deadline(at=0.0))))
