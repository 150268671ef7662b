from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pytest
import torch
from answered import Listed, found, listed, run
from sklearn.metrics import brier_score_loss, log_loss
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.core.figures import Curve, Table
from efficient360.errors import SettingsError
from efficient360.evaluator import Failure, Measurement, Model
from efficient360.evaluators.calibration import Calibration
from efficient360.execution.plan import configure
from efficient360.methods.uncertainty.calibration_metrics import AURC, BRIER, CONFIDENCE, CORRECT, ECE, NLL
from efficient360.methods.uncertainty.calibration_summary import study_calibration
from efficient360.methods.uncertainty.ece import confidence_levels
from efficient360.methods.uncertainty.temperature_scaling import cross_fit_temperatures


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


def finish(confidence: np.ndarray, correct: np.ndarray, seed: int = 0, **settings: Any) -> dict[str, Measurement]:
    """What the evaluator says of examples of two classes with these confidences, raw."""
    predicted = np.arange(len(correct)) % 2
    odds = np.log(np.clip(confidence, 1e-9, None) / np.clip(1 - confidence, 1e-9, None))
    logits = np.where(predicted[:, None] == np.arange(2), odds[:, None], 0.0)
    examples = Exact(torch.from_numpy(logits), np.where(correct == 1, predicted, 1 - predicted), np.zeros(len(correct)), ["a", "b"])
    outcomes = run(Calibration(**settings), examples, seed)
    return {o.metric.name: o for o in outcomes if isinstance(o, Measurement) and not o.conditions}


@dataclass(frozen=True)
class Exact(Listed):
    """Examples whose logits keep their double precision."""


def sampled(n: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of a model that is right ``shift`` less often than it says."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, 0.95, n)
    return confidence, rng.random(n) < confidence - shift


LOGITS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.randint(4, (50,), generator=torch.Generator().manual_seed(1))


def test_a_table_worked_by_hand() -> None:
    # Probabilities 1/2, 1/4, 1/4 (logits ln 2, 0, 0); the truth is the first, then the second class.
    seen = columns(torch.tensor([[2.0, 1.0, 1.0]] * 2).log(), torch.tensor([0, 1]))
    np.testing.assert_allclose(seen["nll"], [np.log(2), np.log(4)], rtol=1e-6)
    np.testing.assert_allclose(seen["brier"], [1 / 4 + 1 / 16 + 1 / 16, 1 / 4 + 9 / 16 + 1 / 16], rtol=1e-6)
    np.testing.assert_allclose(seen["confidence"], [0.5, 0.5], rtol=1e-6)
    assert seen["correct"].tolist() == [1, 0]


def test_against_scikit_learn() -> None:
    seen = columns(LOGITS, LABELS)
    probability = LOGITS.double().softmax(1).numpy()
    assert seen["nll"].mean() == pytest.approx(log_loss(LABELS.numpy(), probability, labels=range(4)))
    theirs = brier_score_loss(LABELS.numpy(), probability, labels=range(4), scale_by_half=False)
    assert seen["brier"].mean() == pytest.approx(theirs)


def test_logits_beyond_the_range_of_exp_stay_finite_and_within_bounds() -> None:
    seen = columns(torch.tensor([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]]), torch.tensor([0, 1]))
    assert seen["nll"].tolist() == [0.0, 2e4]
    assert seen["brier"].tolist() == [0.0, 2.0]
    assert seen["confidence"].tolist() == [1.0, 1.0]


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
    seen = finish(*sampled(2000, 0), resamples=200)
    excess = seen["ece_excess"]
    assert seen["ece"].value == pytest.approx(seen["ece_null"].value, rel=0.5)
    assert excess.interval.low < 0 < excess.interval.high
    assert seen["ece_null"].interval.low < seen["ece"].value < seen["ece_null"].interval.high
    assert abs(seen["overconfidence"].value) < 0.03


def studied(confidence: np.ndarray, correct: np.ndarray, seed: int = 0, resamples: int = 100) -> dict[str, Measurement]:
    study = study_calibration(confidence_levels(confidence, correct), 15, resamples, ([seed, 0], [seed, 1]), lambda: None)
    return {m.metric.name: m for m in study.measurements({})}


@pytest.mark.parametrize("shift", [0.2, -0.04])
def test_a_shift_that_is_known_is_found(shift: float) -> None:
    # The gap is the same everywhere, so the ECE is its size, within 3 standard errors of 0.0035.
    seen = studied(*sampled(20_000, 1, shift))
    assert seen["ece"].value == pytest.approx(abs(shift), abs=0.011)
    assert seen["ece_excess"].value == seen["ece"].value - seen["ece_null"].value
    assert seen["ece_excess"].interval.low > 0
    assert seen["ece"].value > seen["ece_null"].interval.high
    over = finish(*sampled(1000, 1, shift), resamples=100)["overconfidence"]
    assert over.interval.low < shift < over.interval.high


@pytest.mark.slow
def test_the_intervals_of_the_ece_and_its_excess_cover_what_they_say() -> None:
    seen = [studied(*sampled(500, seed), resamples=200) for seed in range(200)]
    excess = [f["ece_excess"].interval for f in seen]
    assert np.mean([i.low <= 0 <= i.high for i in excess]) >= 0.93
    expected = np.mean([f["ece"].value for f in seen])
    covered = np.mean([f["ece"].interval.low <= expected <= f["ece"].interval.high for f in seen])
    assert covered >= 0.9


def test_every_value_lies_in_its_interval() -> None:
    seen = finish(*sampled(300, 2), resamples=100)
    for measurement in seen.values():
        assert measurement.interval.low <= measurement.value <= measurement.interval.high
        assert measurement.n == 300
    assert {m.metric.name: m.interval.method for m in seen.values()} == {
        "nll": "bootstrap-t",
        "brier": "bootstrap-t",
        "confidence": "bootstrap-t",
        "ece": "centred-bootstrap",
        "ece_null": "calibrated-resamples",
        "ece_excess": "centred-bootstrap",
        "overconfidence": "bootstrap-t",
        "temperature": "sandwich",
        "classwise_ece": "centred-bootstrap",
        "aurc": "bootstrap",
        "augrc": "bootstrap",
    }


def test_the_same_seed_gives_the_same_numbers_and_another_other_ones() -> None:
    data = sampled(200, 3)
    first, again, other = (finish(*data, seed=s, resamples=50) for s in (4, 4, 5))
    assert first == again
    assert first["ece_null"].value != other["ece_null"].value
    assert first["ece"].value == other["ece"].value


def test_the_diagrams() -> None:
    confidence, correct = sampled(90, 5)
    seen = finish(confidence, correct, bins=3, resamples=10)
    (diagram,) = seen[ECE.name].extra
    assert isinstance(diagram, Curve)
    diagonal, points, scaled = diagram.series
    assert scaled.name == "temperature-scaled"
    assert (diagonal.x, diagonal.y, diagonal.style) == ((0, 1), (0, 1), "reference")
    order = np.argsort(confidence)
    assert points.x == pytest.approx([confidence[part].mean() for part in np.split(order, 3)])
    assert points.y == pytest.approx([correct[part].mean() for part in np.split(order, 3)])
    assert all(low < y < high for low, y, high in zip(points.low, points.y, points.high, strict=True))
    (curve,) = seen[AURC.name].extra
    assert isinstance(curve, Curve)
    chance, model = curve.series
    assert chance.y == pytest.approx([1 - correct.mean()] * 2)
    assert model.y[-1] == pytest.approx(1 - correct.mean())
    assert model.x[-1] == 1


def test_one_example_is_enough() -> None:
    seen = finish(np.array([0.75]), np.array([1]), resamples=20)
    assert seen["ece"].value == pytest.approx(0.25)
    assert seen["ece"].interval.high - seen["ece"].interval.low < 1e-12
    assert seen["aurc"].value == seen["augrc"].value == 0


def wrongly_sure(n: int, temperature: float, seed: int, groups: bool = False) -> Listed:
    """Calibrated logits of five classes, multiplied by ``temperature``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 5))
    labels = (logits + rng.gumbel(size=(n, 5))).argmax(axis=1)
    return listed(logits * temperature, labels, {"side": ["left", "right"] * (n // 2), "name": [str(i) for i in range(n)]} if groups else None)


def test_scaling_gives_the_temperature_back_and_mends_what_it_did() -> None:
    outcomes = run(Calibration(resamples=100, draws=50), wrongly_sure(2500, 2.0, 0))
    temperature = found(outcomes, "temperature")
    assert temperature.interval.low < 2 < temperature.interval.high
    assert temperature.value == pytest.approx(2, rel=0.1)
    for name in ("nll", "brier", "ece", "ece_excess", "classwise_ece"):
        raw, scaled = (next(o for o in outcomes if o.metric.name == name and bool(o.conditions) is given) for given in (False, True))
        assert scaled.conditions == {"temperature": "fitted"}
        assert scaled.value < raw.value
        assert scaled.interval.low <= scaled.value <= scaled.interval.high
    mended = found(outcomes, "ece_excess", temperature="fitted")
    assert mended.interval.low < 0.004
    assert mended.value == pytest.approx(0, abs=0.015)
    assert found(outcomes, "classwise_ece_excess", temperature="fitted", over="worst class").interval.low < 0.004
    # The first of a metric is the raw one: what reads it without conditions gets that.
    assert next(o for o in outcomes if o.metric.name == "brier").conditions == {}


def test_scaled_scores_are_those_of_scaled_probabilities() -> None:
    examples = wrongly_sure(300, 0.5, 1)
    outcomes = run(Calibration(resamples=10, draws=5), examples)
    temperatures = cross_fit_temperatures(examples.logits.numpy(), examples.labels, examples.ids, 0)
    probability = (examples.logits.double() / torch.from_numpy(temperatures)[:, None]).softmax(1).numpy()
    assert found(outcomes, "nll", temperature="fitted").value == pytest.approx(log_loss(examples.labels, probability, labels=range(5)), rel=1e-5)
    theirs = brier_score_loss(examples.labels, probability, labels=range(5), scale_by_half=False)
    assert found(outcomes, "brier", temperature="fitted").value == pytest.approx(theirs, rel=1e-5)


def test_without_a_wrong_answer_there_is_no_temperature_and_the_rest_stands() -> None:
    labels = np.arange(60) % 4
    outcomes = run(Calibration(resamples=10, draws=5), listed(np.eye(4)[labels] * 3, labels))
    missing = found(outcomes, "temperature")
    assert isinstance(missing, Failure)
    assert (missing.status, missing.code) == ("unsupported", "no-temperature")
    assert {o.metric.name for o in outcomes if isinstance(o, Measurement)} >= {"nll", "brier", "ece", "ece_excess", "classwise_ece", "aurc", "augrc"}
    (diagram,) = [f for o in outcomes if isinstance(o, Measurement) for f in o.extra if f.title == "Reliability diagram"]
    assert [series.name for series in diagram.series] == ["perfect calibration", "uncalibrated"]


def test_accuracy_at_coverage_is_that_of_the_surest() -> None:
    examples = wrongly_sure(1000, 1.0, 2)
    outcomes = run(Calibration(resamples=10, draws=5, coverages=(0.5, 1.0)), examples)
    confidence, predicted = examples.logits.softmax(1).max(1)
    correct = predicted.numpy() == examples.labels
    half = found(outcomes, "accuracy_at_coverage", coverage="50 %")
    assert half.value == pytest.approx(correct[np.argsort(-confidence.numpy())[:500]].mean())
    assert half.n == 500
    assert found(outcomes, "accuracy_at_coverage", coverage="100 %").value == pytest.approx(correct.mean())


def test_groups_are_told_where_they_are_large_enough() -> None:
    outcomes = run(Calibration(resamples=10, draws=50), wrongly_sure(400, 1.0, 3, groups=True))
    worst, mean = (found(outcomes, "groupwise_ece_excess", groups="side", over=over) for over in ("worst group", "mean of the groups"))
    assert worst.n == mean.n == 400
    assert mean.interval.low < 0 < mean.interval.high
    missing = found(outcomes, "groupwise_ece_excess", groups="name")
    assert missing.code == "small-groups"
    assert missing.message == "fewer than two groups of name have 30 examples"


def test_the_tables_are_short() -> None:
    rng = np.random.default_rng(0)
    outcomes = run(Calibration(resamples=5, draws=5), listed(rng.normal(size=(300, 20)), rng.integers(0, 20, 300)))
    (table,) = [f for o in outcomes if isinstance(o, Measurement) for f in o.extra if isinstance(f, Table)]
    assert table.title == "Calibration by class: the 8 largest excess errors of 20"
    assert len(table.rows) == 8


@pytest.mark.parametrize(
    ("setting", "value"), [("bins", 0), ("resamples", 1), ("draws", 1), ("minimum", 0), ("coverages", (0.0,)), ("coverages", (1.1,)), ("coverages", (0.5, 0.5))]
)
def test_a_setting_out_of_range_is_refused(setting: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"the setting {setting} of calibration ") as caught:
        configure(Calibration, {setting: value})
    assert caught.value.code == "bad-setting"
