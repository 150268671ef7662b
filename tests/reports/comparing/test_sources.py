"""Per-example values behind a metric, whatever their names: each rule gives the number that its evaluator reports."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from compared_runs import ECE, NLL, TOP1, share, table
from efficient360.core.groupings import quantile_groups
from efficient360.core.measurement import ONE, Better, Interval, Measurement, Metric
from efficient360.core.outcome import Record
from efficient360.methods.attribution.scoring import cross_fitted_best
from efficient360.methods.fairness.group_accuracy import accuracy_disparity, count_hits
from efficient360.methods.inclusiveness.relative_accuracy import relative_accuracy
from efficient360.methods.uncertainty.ece import confidence_levels, expected_calibration_error
from efficient360.methods.uncertainty.selective_classification import accuracy_at_coverage, area_under_generalized_risk, area_under_risk_coverage
from efficient360.reports.comparing.sources import values_behind

RNG = np.random.default_rng(0)
N = 200
RIGHT = (RNG.random(N) < 0.8).astype(float)


def record(evaluator: str, name: str, value: float, conditions: Mapping[str, Any] = {}, settings: Mapping[str, Any] = {}, width: float = 0.1) -> Record:
    metric = Metric(name, ONE, Better.HIGHER, "Made up.")
    return Record(evaluator, Measurement(metric, value, N, Interval(value - width, value + width, "bootstrap"), conditions), settings=settings)


def corrupted() -> dict[tuple[str, str, str], np.ndarray]:
    keys = [f'{{"corruption": "{name}", "severity": {severity}}}' for name in ("fog", "snow") for severity in (1, 2)]
    return {("corruption", "correct", '{"severity": 0}'): RIGHT} | {("corruption", "correct", key): (RNG.random(N) < 0.6).astype(float) for key in keys}


@pytest.mark.parametrize(
    ("name", "conditions", "of"),
    [
        ("corruption_accuracy", {"severity": 0}, lambda clean, c: clean),
        ("corruption_accuracy", {"over": "2 corruptions, 2 severities", "table": "cifar-c"}, lambda clean, c: c.mean(1)),
        ("corruption_accuracy", {"severity": 2, "over": "2 corruptions"}, lambda clean, c: c[:, [1, 3]].mean(1)),
        ("corruption_accuracy", {"corruption": "snow", "over": "2 severities"}, lambda clean, c: c[:, 2:].mean(1)),
        ("mean_corruption_error", {"over": "2 corruptions, 2 severities"}, lambda clean, c: 1 - c.mean(1)),
        ("relative_corruption_error", {"over": "2 corruptions, 2 severities"}, lambda clean, c: clean - c.mean(1)),
    ],
)
def test_accuracy_under_corruption_comes_from_correct(name: str, conditions: dict[str, Any], of: Any) -> None:
    columns = corrupted()
    clean, *rest = columns.values()
    expected = of(clean, np.stack(rest, 1))
    found = values_behind(record("corruption", name, float(expected.mean()), conditions), table(columns))
    assert found is not None
    assert found.values[:, 0] == pytest.approx(expected)


def test_values_that_do_not_give_the_number_again_are_not_taken() -> None:
    columns = corrupted()
    assert values_behind(record("corruption", "corruption_accuracy", 0.123, {"over": "2 corruptions, 2 severities"}), table(columns)) is None
    assert values_behind(share(TOP1, RIGHT * 0), table({("accuracy", "top1", "{}"): RIGHT})) is None
    assert values_behind(share(TOP1, RIGHT), table({("accuracy", "top1", "{}"): RIGHT})) is not None


def test_robust_accuracy_comes_from_where_and_to_what_an_example_fell() -> None:
    right, fell_at, fell_to = np.array([1, 1, 1, 1, 0.0]), np.array([0, 1, 1, 2, 0.0]), np.array([0, 0, 1, 2, 2.0])
    conditions = '{"attack": "worst case", "norm": "linf"}'
    columns = {("adversarial", "right", "{}"): right, ("adversarial", "fell_at", conditions): fell_at, ("adversarial", "fell_to", conditions): fell_to}
    settings = {"scout_linf": [0.5], "linf": [4.0]}
    for attack, epsilon, expected in (
        ("apgd-ce", "0.5/255", [0, 1, 1, 1, 0]),  # the scouted ε, under the first attack only
        ("worst case", "4/255", [0, 0, 0, 1, 0]),
        ("apgd-ce", "4/255", [0, 0, 1, 1, 0]),  # the third fell to the second attack
        ("apgd-ce + apgd-t", "4/255", [0, 0, 0, 1, 0]),
    ):
        m = record("adversarial", "robust_accuracy", float(np.mean(expected)), {"norm": "linf", "epsilon": epsilon, "attack": attack}, settings)
        found = values_behind(m, table(columns))
        assert found is not None, attack
        assert found.values[:, 0].tolist() == expected


def test_attacks_that_ran_on_every_image_have_columns_of_their_own() -> None:
    columns = {
        ("black_box", "right", "{}"): np.array([1, 1, 0.0]),
        ("black_box", "fell_at", '{"attack": "square", "norm": "linf"}'): np.array([1, 2, 0.0]),
        ("black_box", "fell_at", '{"attack": "rays", "norm": "linf"}'): np.array([2, 0, 0.0]),
    }
    settings = {"norm": "linf", "epsilons": [1, 8]}
    for attack, expected in (("square", [1, 1, 0]), ("rays", [1, 0, 0]), ("worst case", [1, 0, 0])):
        m = record("black_box", "robust_accuracy", float(np.mean(expected)), {"norm": "linf", "epsilon": "1/255", "attack": attack}, settings)
        found = values_behind(m, table(columns))
        assert found is not None
        assert found.values[:, 0].tolist() == expected


def test_relative_accuracy_is_a_ratio_of_means() -> None:
    low, blur = (RIGHT * (RNG.random(N) < share_) for share_ in (0.5, 0.9))
    expected = relative_accuracy(RIGHT.astype(bool), np.column_stack([low, blur]).astype(bool), 99, np.random.default_rng(0))
    assert expected is not None
    columns = {
        ("capture_conditions", "clean_correct", "{}"): RIGHT,
        ("capture_conditions", "capture_accuracy", '{"capture": "low_light"}'): low,
        ("capture_conditions", "capture_accuracy", '{"capture": "motion_blur"}'): blur,
    }
    assert values_behind(record("capture_conditions", "mean_capture_ratio", expected.mean), table(columns)) is not None
    assert values_behind(record("capture_conditions", "capture_ratio", float(expected.ratios[1]), {"capture": "motion_blur"}), table(columns)) is not None
    assert values_behind(record("capture_conditions", "capture_ratio", float(expected.ratios[0]), {"capture": "motion_blur"}), table(columns)) is None


def test_calibration_and_selective_prediction_are_sorted_anew() -> None:
    confidence = np.round(RNG.random(N), 2)  # with ties
    levels = confidence_levels(confidence, RIGHT)
    columns = {("calibration", "confidence", "{}"): confidence, ("calibration", "correct", "{}"): RIGHT}
    ece = float(expected_calibration_error(levels, 7)[0])
    assert values_behind(record("calibration", "ece", ece, settings={"bins": 7}), table(columns)) is not None
    assert values_behind(record("uncertainty", "ece", ece, {"method": "point"}, {"bins": 7}), table(columns)) is not None
    assert values_behind(record("uncertainty", "ece", ece, {"method": "laplace"}, {"bins": 7}), table(columns)) is None
    assert values_behind(record("calibration", "ece", ece, {"temperature": "fitted"}, {"bins": 7}), table(columns)) is None
    over = float((confidence - RIGHT).mean())
    assert values_behind(record("calibration", "overconfidence", over), table(columns)) is not None
    unique = RNG.permutation(N) / N  # of ties the order counts, and any will do
    columns = {("calibration", "confidence", "{}"): unique, ("calibration", "correct", "{}"): RIGHT}
    levels = confidence_levels(unique, RIGHT)
    for name, value, conditions in (
        ("aurc", float(area_under_risk_coverage(levels)[0]), {}),
        ("augrc", float(area_under_generalized_risk(levels)[0]), {}),
        ("accuracy_at_coverage", accuracy_at_coverage(levels, 0.8)[0], {"coverage": "80 %"}),
    ):
        assert values_behind(record("calibration", name, value, conditions), table(columns)) is not None, name


def test_gaps_between_groups_that_pixels_tell() -> None:
    trait = RNG.random(N)
    grouping = quantile_groups("brightness (proxy)", trait, 3)
    counts = count_hits(grouping.codes, RIGHT, 3)
    disparity = accuracy_disparity(counts, 1000, 200, np.random.default_rng(1), lambda: None)
    columns = {("accuracy", "top1", "{}"): RIGHT, ("group_fairness", "brightness", "{}"): trait, ("group_fairness", "confidence", "{}"): RIGHT * 0.9}
    settings = {"derived": ["brightness"], "levels": 3, "minimum": 30}
    groups = {"groups": "brightness (proxy)"}
    spread = float(counts.rates.max() - counts.rates.min())
    for name, value, conditions in (
        ("accuracy_difference", spread, groups),
        ("accuracy_ratio", float(counts.rates.min() / counts.rates.max()), groups),
        ("worst_group_accuracy", float(counts.rates.min()), groups),
        ("group_accuracy", float(counts.rates[1]), {**groups, "group": "2 of 3"}),
        ("accuracy_difference_excess", disparity.versus_null.excess, groups),
        ("largest_gap_excess", disparity.versus_null.excess, groups),
    ):
        found = values_behind(record("group_fairness", name, value, conditions, settings), table(columns))
        assert found is not None, name
        assert found.value() == pytest.approx(value, abs=0.003 if "excess" in name else 1e-9)
    assert values_behind(record("group_fairness", "accuracy_difference", spread, {"groups": "sex"}, settings), table(columns)) is None


def test_the_best_explainer_is_chosen_as_its_evaluator_does() -> None:
    scores = {name: RNG.normal(size=15) for name in ("a", "b", "random")}
    columns = {("faithfulness", "faithfulness", f'{{"explainer": "{name}"}}'): values for name, values in scores.items()}
    best = cross_fitted_best({name: values for name, values in scores.items() if name != "random"}).values
    found = values_behind(record("faithfulness", "best_faithfulness", float(best.mean())), table(columns))
    assert found is not None
    assert found.values[:, 0] == pytest.approx(best)


def test_what_is_followed_through_the_blocks_is_of_the_last_one() -> None:
    first, last = RNG.random((2, N))
    columns = {("feature_spectrum", "block_token_rank", f'{{"block": {block}}}'): values for block, values in ((2, first), (10, last))}
    found = values_behind(record("feature_spectrum", "token_rank", float(last.mean())), table(columns))
    assert found is not None
    assert found.values[:, 0] == pytest.approx(last)


def test_metrics_of_other_evaluators_have_values_under_their_own_name_only() -> None:
    nll = RNG.random(N)
    assert values_behind(share(NLL, nll, "mine"), table({("mine", "nll", "{}"): nll})) is not None
    assert values_behind(share(ECE, nll, "mine"), table({("mine", "nll", "{}"): nll})) is None
