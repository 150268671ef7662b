from typing import Any

import numpy as np
import pytest
from answered import found, listed, logits_of, planted, run
from fairlearn.metrics import MetricFrame, demographic_parity_difference, equalized_odds_difference
from sklearn.metrics import accuracy_score

from efficient360 import conformance
from efficient360.core.figures import Bars, Table
from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.core.statistics import wilson
from efficient360.errors import SettingsError
from efficient360.evaluators.group_fairness import GroupFairness
from efficient360.execution.plan import configure

FEW: dict[str, Any] = {"permutations": 199, "resamples": 199}
PLAIN = GroupFairness(derived=(), **FEW)


def case(accuracy, sizes, classes: int = 5, seed: int = 0):
    labels, predicted, groups = planted(accuracy, sizes, classes, np.random.default_rng(seed))
    return labels, predicted, groups, listed(logits_of(predicted, classes), labels, {"camera": groups})


def test_accuracy_between_groups_is_fairlearns() -> None:
    labels, predicted, groups, examples = case((0.9, 0.7, 0.8), (200, 150, 100))
    outcomes = run(PLAIN, examples)
    by_hand = MetricFrame(metrics=accuracy_score, y_true=labels, y_pred=predicted, sensitive_features=groups)
    assert found(outcomes, "accuracy_difference").value == pytest.approx(by_hand.difference())
    assert found(outcomes, "accuracy_ratio").value == pytest.approx(by_hand.ratio())
    assert found(outcomes, "worst_group_accuracy").value == pytest.approx(by_hand.group_min())
    for group, value in by_hand.by_group.items():
        assert found(outcomes, "group_accuracy", group=group).value == pytest.approx(value)


def test_odds_and_parity_are_fairlearns_one_against_the_rest() -> None:
    labels, predicted, groups, examples = case((0.9, 0.6), (300, 300))
    outcomes = run(PLAIN, examples)
    odds = [equalized_odds_difference(labels == c, predicted == c, sensitive_features=groups) for c in range(5)]
    parity = [demographic_parity_difference(labels == c, predicted == c, sensitive_features=groups) for c in range(5)]
    for name, by_hand in (("equalized_odds_difference", odds), ("demographic_parity_difference", parity)):
        assert found(outcomes, name, classes="mean").value == pytest.approx(np.mean(by_hand))
        assert found(outcomes, name, classes="worst").value == pytest.approx(np.max(by_hand))


def test_two_classes_have_fairlearns_own_numbers() -> None:
    labels, predicted, groups, examples = case((0.9, 0.7), (200, 200), classes=2)
    outcomes = run(PLAIN, examples)
    for which in ("mean", "worst"):
        by_hand = equalized_odds_difference(labels, predicted, sensitive_features=groups)
        assert found(outcomes, "equalized_odds_difference", classes=which).value == pytest.approx(by_hand)
        by_hand = demographic_parity_difference(labels, predicted, sensitive_features=groups)
        assert found(outcomes, "demographic_parity_difference", classes=which).value == pytest.approx(by_hand)


def test_calibration_between_groups_by_hand() -> None:
    """Confidence is 90 % throughout; groups are right in 0.95, 0.75 and 0.60 of cases: over by −5, 15 and 30 points."""
    labels = np.zeros(300, dtype=int)
    predicted = np.concatenate([np.repeat([0, 1], split) for split in ((95, 5), (75, 25), (60, 40))])
    outcomes = run(PLAIN, listed(logits_of(predicted, 3), labels, {"camera": ["a"] * 100 + ["b"] * 100 + ["c"] * 100}))
    assert found(outcomes, "calibration_difference").value == pytest.approx(0.35, abs=1e-6)
    assert found(outcomes, "calibration_p_value").value == 1 / 200


def test_a_planted_gap_is_found_and_the_rest_is_in_order() -> None:
    _, _, _, examples = case((0.9, 0.7), (600, 600))
    outcomes = run(PLAIN, examples)
    gap, excess, p = (found(outcomes, name) for name in ("accuracy_difference", "accuracy_difference_excess", "accuracy_difference_p_value"))
    assert gap.interval.low <= 0.2 <= gap.interval.high
    assert gap.interval.low > 0.1
    assert 0.12 < excess.value < gap.value
    assert excess.interval.low <= excess.value <= excess.interval.high
    assert p.value == 1 / 200
    assert p.interval.low == 0
    summary = found(outcomes, "largest_gap_excess")
    assert (summary.value, summary.conditions) == (excess.value, {"groups": "camera"})
    assert outcomes[0] is summary


def test_what_is_right_alike_has_a_gap_of_about_chance() -> None:
    """Ten groups of 90 at about 89 %: a raw difference of about 10 points is nothing."""
    labels, predicted, _, examples = case((0.89,) * 10, (90,) * 10, seed=1)
    outcomes = run(PLAIN, examples)
    gap, excess = found(outcomes, "accuracy_difference"), found(outcomes, "accuracy_difference_excess")
    alike = np.random.default_rng(0).binomial(90, (labels == predicted).mean(), (4000, 10)) / 90
    assert gap.value - excess.value == pytest.approx(np.ptp(alike, axis=1).mean(), abs=0.007)
    assert gap.value > 0.05
    assert gap.interval.low == 0
    assert found(outcomes, "accuracy_difference_p_value").value > 0.05
    low = found(outcomes, "worst_group_accuracy_null")
    assert low.interval.low <= found(outcomes, "worst_group_accuracy").value <= low.interval.high
    assert low.value < (labels == predicted).mean() - 0.04


def test_small_groups_are_told_shown_and_not_compared() -> None:
    labels, predicted, groups, _ = case((0.9, 0.9, 0.0), (100, 100, 8))
    outcomes = run(PLAIN, listed(logits_of(predicted, 5), labels, {"camera": groups}))
    told = [o for o in outcomes if isinstance(o, Failure) and o.code == "small-groups"]
    assert [o.message for o in told] == ["1 group of camera with fewer than 30 examples not compared: c (8)"]
    small = found(outcomes, "group_accuracy", group="c")
    assert (small.value, small.n, small.interval) == (0.0, 8, wilson(0, 8))
    assert found(outcomes, "accuracy_difference").n == 200
    _, bars, table = found(outcomes, "largest_gap_excess").extra
    assert isinstance(bars, Bars)
    assert bars.labels == ("a (100)", "b (100)", "c (8)")
    assert isinstance(table, Table)
    right = {name: f"{100 * found(outcomes, 'group_accuracy', group=name).value:.1f} %" for name in "abc"}
    assert [row[:4] for row in table.rows] == [("camera", name, size, right[name]) for name, size in (("a", "100"), ("b", "100"), ("c", "8"))]
    assert table.rows[2][-1] == "too few to compare"


def test_columns_are_crossed_and_a_gap_that_hides_where_they_meet_is_found() -> None:
    """Each column alone is fair; right and left of the diagonal are not (Simpson's way round)."""
    first, second = np.repeat([0, 0, 1, 1], 200), np.repeat([0, 1, 0, 1], 200)
    labels = np.zeros(800, dtype=int)
    within = np.tile(np.arange(200), 4)
    predicted = np.where(within < np.where(first == second, 190, 120), 0, 1)
    groups = {"age": ["young" if i else "old" for i in first], "light": ["day" if i else "night" for i in second]}
    outcomes = run(PLAIN, listed(logits_of(predicted, 2), labels, groups))
    assert found(outcomes, "accuracy_difference", groups="age").value == 0
    assert found(outcomes, "accuracy_difference", groups="light").value == 0
    crossed = found(outcomes, "accuracy_difference", groups="age × light")
    assert crossed.value == pytest.approx(0.35)
    assert found(outcomes, "largest_gap_excess").conditions == {"groups": "age × light"}
    assert found(outcomes, "group_accuracy", group="old × night").n == 200
    alone = run(GroupFairness(derived=(), crossing=1, **FEW), listed(logits_of(predicted, 2), labels, groups))
    assert {o.conditions["groups"] for o in alone if o.conditions} == {"age", "light"}


def test_proxies_serve_any_data_set_and_are_called_so() -> None:
    """Bright images are answered worse; the data set names no groups."""
    rng = np.random.default_rng(1)
    shades = rng.permutation(300) % 256
    labels = np.zeros(300, dtype=int)
    predicted = np.where(shades > np.quantile(shades, 0.7), rng.integers(0, 2, 300), 0)
    outcomes = run(GroupFairness(derived=("brightness", "contrast"), **FEW), listed(logits_of(predicted, 2), labels, shades=shades.astype(float)))
    summary = found(outcomes, "largest_gap_excess")
    assert summary.conditions == {"groups": "brightness (proxy)"}
    assert found(outcomes, "group_accuracy", group="lowest of 3").value == 1
    assert found(outcomes, "group_accuracy", groups="brightness (proxy)", group="highest of 3").value < 0.8
    # Every image is of one shade: there is no contrast to group by.
    flat = next(o for o in outcomes if isinstance(o, Failure) and o.conditions == {"groups": "contrast (proxy)"})
    assert (flat.status, flat.code) == (Status.UNSUPPORTED, "too-few-groups")


def test_columns_of_the_data_set_decide_the_summary_where_there_are_any() -> None:
    labels, predicted, groups, _ = case((0.4, 0.4), (200, 200))
    shades = np.where(labels == predicted, 10.0, 200.0)  # as a proxy brightness tells right from wrong
    examples = listed(logits_of(predicted, 5), labels, {"camera": groups}, shades)
    outcomes = run(GroupFairness(derived=("brightness",), levels=2, **FEW), examples)
    assert found(outcomes, "accuracy_difference", groups="brightness (proxy)").value == 1
    assert found(outcomes, "largest_gap_excess").conditions == {"groups": "camera"}
    table, *_, groups = found(outcomes, "largest_gap_excess").extra
    (classes, _) = found(outcomes, "largest_odds_excess").extra
    assert classes.title == "Rates of each class by camera"
    assert [row[0] for row in table.rows] == ["camera", "brightness (proxy)"]
    assert [row[0] for row in groups.rows] == ["camera"] * 2 + ["brightness (proxy)"] * 2


def test_p_values_are_corrected_for_the_number_of_groupings() -> None:
    labels, predicted, groups, alone = case((0.9, 0.8), (150, 150), seed=3)
    raw = found(run(PLAIN, alone), "accuracy_difference_p_value").value
    rng = np.random.default_rng(0)
    noise = {f"noise {i}": [str(v) for v in rng.integers(0, 2, 300)] for i in range(3)}
    outcomes = run(GroupFairness(derived=(), crossing=1, **FEW), listed(logits_of(predicted, 5), labels, {"camera": groups, **noise}))
    assert found(outcomes, "accuracy_difference_p_value", groups="camera").value == pytest.approx(4 * raw)


def test_a_grouping_draws_the_same_whatever_stands_beside_it() -> None:
    labels, predicted, groups, alone = case((0.9, 0.8), (150, 150))
    beside = listed(logits_of(predicted, 5), labels, {"a first": groups[::-1], "camera": groups})
    both = run(PLAIN, beside)
    assert found(both, "accuracy_difference_excess", groups="camera") == found(run(PLAIN, alone), "accuracy_difference_excess")
    assert found(run(PLAIN, alone, seed=1), "accuracy_difference_excess").value != found(run(PLAIN, alone), "accuracy_difference_excess").value


def test_no_right_answer_has_no_ratio_and_no_gap() -> None:
    labels = np.zeros(100, dtype=int)
    outcomes = run(PLAIN, listed(logits_of(labels + 1, 2), labels, {"camera": ["a"] * 50 + ["b"] * 50}))
    assert found(outcomes, "accuracy_ratio").code == "never-right"
    assert found(outcomes, "accuracy_difference").value == 0
    assert found(outcomes, "accuracy_difference_p_value").value == 1


def test_gaps_within_classes_that_cancel_out_are_found() -> None:
    """One group is worse at class 0 and better at class 1: accuracy is equal, the odds are not."""
    labels, groups = np.tile(np.repeat([0, 1], 200), 2), ["a"] * 400 + ["b"] * 400
    within = np.tile(np.arange(200), 4)
    predicted = np.where(within < np.repeat([190, 130, 130, 190], 200), labels, 1 - labels)
    outcomes = run(PLAIN, listed(logits_of(predicted, 2), labels, {"camera": groups}))
    assert found(outcomes, "accuracy_difference").value == 0
    assert found(outcomes, "equalized_odds_difference", classes="mean").value == pytest.approx(0.3)
    assert found(outcomes, "equalized_odds_p_value", classes="mean").value == 1 / 200
    assert found(outcomes, "largest_odds_excess").value == found(outcomes, "equalized_odds_excess", classes="mean").value > 0.2
    assert found(outcomes, "largest_odds_excess").conditions == {"groups": "camera"}


def test_classes_too_rare_in_a_group_have_no_rates() -> None:
    labels = np.concatenate([np.zeros(60, dtype=int), np.ones(60, dtype=int)])
    outcomes = run(PLAIN, listed(logits_of(labels, 2), labels, {"camera": ["a"] * 60 + ["b"] * 60}))
    assert found(outcomes, "equalized_odds_difference").code == "sparse-classes"
    assert isinstance(found(outcomes, "demographic_parity_difference", classes="worst"), Measurement)


def test_without_groups_large_enough_the_summary_is_a_gap() -> None:
    labels, predicted, groups, _ = case((0.9, 0.9), (20, 20))
    outcomes = run(PLAIN, listed(logits_of(predicted, 5), labels, {"camera": groups}))
    assert found(outcomes, "largest_gap_excess").code == "no-comparable-groups"
    assert found(outcomes, "accuracy_difference").code == "too-few-groups"
    nothing = run(PLAIN, listed(logits_of(predicted, 5), labels))
    assert [o.code for o in nothing] == ["no-comparable-groups", "sparse-classes"]


def test_a_column_of_names_is_no_grouping() -> None:
    labels, predicted, _, _ = case((0.9, 0.9), (200, 200))
    outcomes = run(PLAIN, listed(logits_of(predicted, 5), labels, {"file": [f"{i}.png" for i in range(400)]}))
    assert [o.code for o in outcomes] == ["no-comparable-groups", "sparse-classes", "too-many-groups"]
    assert "400 groups" in outcomes[2].message


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"derived": ("skin",)}, "derived"),
        ({"derived": ("contrast", "contrast")}, "derived"),
        ({"levels": 1}, "levels"),
        ({"crossing": 0}, "crossing"),
        ({"minimum": 1}, "minimum"),
        ({"minimum_class": 0}, "minimum_class"),
        ({"permutations": 9}, "permutations"),
        ({"resamples": 9}, "resamples"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict, name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(GroupFairness, wrong)
    assert caught.value.code == "bad-setting"
    assert name in caught.value.message


@pytest.mark.slow
def test_it_keeps_the_contract_with_groups_that_compare() -> None:
    conformance.check(GroupFairness(minimum=4, minimum_class=1, **FEW))


@pytest.mark.slow
@pytest.mark.exhaustive
def test_false_alarms_come_as_often_as_they_may_and_planted_gaps_are_found() -> None:
    """Sixty data sets each: four groups alike give a p-value below 5 % about three times; a gap of ten points is found, with its interval."""
    rng = np.random.default_rng(0)
    evaluator = GroupFairness(derived=(), permutations=199, resamples=199)
    alarms, finds, covered = 0, 0, 0
    for _ in range(60):
        for accuracy in ((0.85,) * 4, (0.85, 0.85, 0.85, 0.75)):
            labels, predicted, groups = planted(accuracy, (400,) * 4, 4, rng)
            outcomes = run(evaluator, listed(logits_of(predicted, 4), labels, {"camera": groups}))
            p, gap = found(outcomes, "accuracy_difference_p_value").value, found(outcomes, "accuracy_difference")
            if len(set(accuracy)) == 1:
                alarms += p <= 0.05
                continue
            finds += p <= 0.05
            covered += gap.interval.low <= 0.1 <= gap.interval.high
    assert alarms <= 8  # P(more than 8 of 60 at 5 %) is 0.2 %
    assert finds >= 54
    assert covered >= 54
