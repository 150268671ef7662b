import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from answered import Known, Listed, context_of, found, listed
from scipy import stats

from efficient360.core.figures import Curve, Table
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Failure, Measurement, Outcome
from efficient360.evaluators.conformal import Conformal
from efficient360.execution.plan import configure


def evaluated(examples: Listed, evaluator: Conformal | None = None, seed: int = 0) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as scratch:
        return list((evaluator or Conformal()).evaluate(Known(examples.logits.shape[1]), context_of(examples, Path(scratch), seed=seed)))


def drawn(n: int, classes: int, seed: int, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (n, classes)).astype(np.float32)
    return logits, (logits + rng.gumbel(size=(n, classes))).argmax(axis=1)


FEW = Conformal(methods=("thr",), alphas=(0.1,), splits=4, resamples=50)


def test_every_split_covers_as_the_law_of_its_size_says() -> None:
    outcomes = evaluated(listed(*drawn(800, 6, 0)))
    for method in ("thr", "aps", "raps"):
        for alpha, level in (("10 %", 0.1), ("5 %", 0.05)):
            one = found(outcomes, "coverage", method=method, alpha=alpha)
            rank = int(np.ceil(401 * (1 - level)))
            law = stats.betabinom(400, rank, 401 - rank)
            assert len(one.samples) == 20
            assert one.value == pytest.approx(np.mean(one.samples))
            assert one.interval.low < rank / 401 < one.interval.high
            low, high = law.ppf((0.025, 0.975)) / 400
            assert sum(low <= value <= high for value in one.samples) >= 17
            assert one.interval.method == "beta-binomial"


def test_a_model_that_knows_nothing_names_nearly_all_and_one_that_knows_all_names_one() -> None:
    labels = np.random.default_rng(0).integers(0, 10, 1000)
    blind = evaluated(listed(np.zeros((1000, 10)), labels), dataclasses.replace(FEW, methods=("aps",)))
    # With equal probabilities the k-th class scores (k − u) / 10, as uniform as the true class's score: 90 % of the classes are in.
    assert found(blind, "set_size").value == pytest.approx(9, abs=0.3)
    assert found(blind, "remaining_doubt").value == pytest.approx(np.log(9) / np.log(10), abs=0.02)
    sure = evaluated(listed(np.eye(10)[labels] * 30, labels), FEW)
    assert found(sure, "set_size").value == 1
    assert found(sure, "remaining_doubt").value == 0
    assert found(sure, "singleton_sets").value == 1
    assert found(sure, "empty_sets").value == 0


@pytest.mark.slow
def test_the_interval_of_the_set_size_is_as_wide_as_other_data_would_show() -> None:
    runs = [found(evaluated(listed(*drawn(300, 5, seed, 1.0)), FEW, seed), "set_size") for seed in range(40)]
    expected = np.mean([run.value for run in runs])
    assert sum(run.interval.low <= expected <= run.interval.high for run in runs) >= 35


def test_a_class_and_a_group_that_are_harder_are_covered_less() -> None:
    logits, labels = drawn(1500, 5, 1, 3.0)
    hard = np.random.default_rng(0).random(1500) < 0.3
    logits[hard & (labels == 1)] = logits[hard & (labels == 1)][:, ::-1]
    sides = ["odd" if odd else "plain" for odd in hard]
    many = dataclasses.replace(FEW, splits=20)  # so that every example is tested
    outcomes = evaluated(listed(logits, labels, {"side": sides}), many)
    worst, chance = found(outcomes, "worst_class_coverage"), found(outcomes, "worst_class_coverage_null")
    assert worst.n == int((labels == 1).sum())
    assert worst.interval.high < chance.interval.low
    group, null = found(outcomes, "worst_group_coverage", groups="side"), found(outcomes, "worst_group_coverage_null", groups="side")
    assert group.n == int(hard.sum())
    assert group.interval.high < null.interval.low
    alike = evaluated(listed(*drawn(1500, 5, 1, 3.0), {"side": sides}), many)
    null = found(alike, "worst_group_coverage_null", groups="side").interval
    assert null.low <= found(alike, "worst_group_coverage", groups="side").value <= null.high


def test_the_order_of_examples_changes_nothing_and_the_seed_does() -> None:
    logits, labels = drawn(200, 4, 2)
    examples = listed(logits, labels)
    order = np.random.default_rng(0).permutation(200)

    class Shuffled(Listed):
        @property
        def ids(self) -> list[str]:
            return [f"test/{i}" for i in order]

    shuffled = Shuffled(examples.logits[order], labels[order], examples.shades, examples.class_names)
    values = [{(o.metric.name, *o.conditions.values()): o.value for o in evaluated(e) if isinstance(o, Measurement)} for e in (examples, shuffled)]
    assert values[1] == pytest.approx(values[0])
    other = {(o.metric.name, *o.conditions.values()): o.value for o in evaluated(examples, seed=1) if isinstance(o, Measurement)}
    assert other["coverage", "aps", "10 %"] != values[0]["coverage", "aps", "10 %"]


def test_the_pictures() -> None:
    outcomes = evaluated(listed(*drawn(400, 5, 3)))
    figures = [figure for o in outcomes if isinstance(o, Measurement) for figure in o.extra]
    summary, curve, strata = figures
    assert isinstance(curve, Curve)
    assert [series.name for series in curve.series] == ["THR", "APS", "RAPS"]
    size = found(outcomes, "set_size", method="aps", alpha="10 %")
    assert curve.series[1].y[curve.series[1].x.index(0.9)] == pytest.approx(size.value)
    assert all(np.diff(series.y).min() >= 0 for series in curve.series)
    assert isinstance(summary, Table)
    assert [row[0] for row in summary.rows] == ["THR", "THR", "APS", "APS", "RAPS", "RAPS"]
    assert isinstance(strata, Table)
    assert strata.title == "Coverage by set size, 90.0 % nominal"


def test_too_few_examples_to_calibrate_are_said_so() -> None:
    outcomes = evaluated(listed(*drawn(30, 3, 4)))
    (missing,) = [o for o in outcomes if isinstance(o, Failure) and o.metric is None]
    assert missing.code == "too-few-examples"
    assert missing.conditions == {"alpha": "5 %"}
    assert "15 calibration examples are too few for a miscoverage of 0.05" in missing.message
    assert found(outcomes, "set_size", method="thr").conditions["alpha"] == "10 %"
    assert "fewer than two of class have 30 examples" in found(outcomes, "worst_class_coverage", method="thr").message
    assert [type(o) for o in evaluated(listed(*drawn(10, 3, 4)))] == [Failure, Failure]


def test_sets_of_too_few_alike_are_said_so() -> None:
    failure = found(evaluated(listed(*drawn(100, 3, 4)), dataclasses.replace(FEW, minimum=101)), "sscv")
    assert failure.message == "no stratum of set size has 101 examples"


def test_one_class_is_no_choice() -> None:
    with pytest.raises(Unsupported, match="fewer than two classes") as caught:
        evaluated(listed(np.zeros((50, 1)), np.zeros(50)))
    assert caught.value.code == "too-few-classes"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("methods", ()),
        ("methods", ("thr", "thr")),
        ("methods", ("lac",)),
        ("alphas", ()),
        ("alphas", (0.1, 0.1)),
        ("alphas", (0.0,)),
        ("alphas", (1.0,)),
        ("splits", 0),
        ("share", 0.0),
        ("share", 1.0),
        ("raps_penalty", -0.1),
        ("raps_free", -1),
        ("minimum", 0),
        ("resamples", 1),
        ("raps_penalty", float("nan")),
    ],
)
def test_a_setting_out_of_range_is_refused(setting: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"the setting {setting} of conformal ") as caught:
        configure(Conformal, {setting: value})
    assert caught.value.code == "bad-setting"
