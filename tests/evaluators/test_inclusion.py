import numpy as np
import pytest
from answered import found, listed, logits_of, planted, run

from efficient360 import conformance
from efficient360.core.figures import Curve, Table
from efficient360.core.measurement import Failure
from efficient360.core.statistics import wilson
from efficient360.errors import SettingsError
from efficient360.evaluators.inclusion import Inclusion
from efficient360.execution.plan import configure

FEW = Inclusion(permutations=499)


def by_class(hits: list[int], size: int = 20):
    """Classes of ``size`` examples each, so many of them right; the wrong ones are called by the next class."""
    labels = np.repeat(np.arange(len(hits)), size)
    right = np.tile(np.arange(size), len(hits)) < np.repeat(hits, size)
    return labels, np.where(right, labels, (labels + 1) % len(hits))


def test_worst_class_by_hand() -> None:
    labels, predicted = by_class([20, 12, 18])
    outcomes = run(FEW, listed(logits_of(predicted, 3), labels))
    worst, chance = found(outcomes, "worst_class_accuracy"), found(outcomes, "worst_class_accuracy_null")
    assert (worst.value, worst.n, worst.interval.low) == (0.6, 20, wilson(12, 20).low)
    assert worst.interval.high == wilson(12, 20, 1 - 2 * (1 - 0.975 ** (1 / 3))).high
    assert worst.value < chance.interval.low < chance.value < 50 / 60
    curve, table = worst.extra
    assert isinstance(curve, Curve)
    assert curve.series[1].y == (0.6, 0.9, 1.0)
    assert isinstance(table, Table)
    names = listed(logits_of(predicted, 3), labels).class_names
    assert table.rows == (
        (names[1], "20", "60.0 %", "38.7 – 78.1 %"),
        (names[2], "20", "90.0 %", "69.9 – 97.2 %"),
        (names[0], "20", "100.0 %", "83.9 – 100.0 %"),
    )


def test_classes_equally_hard_have_a_worst_one_too() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 50)
    predicted = np.where(rng.random(500) < 0.8, labels, (labels + 1) % 10)
    outcomes = run(FEW, listed(logits_of(predicted, 10), labels))
    worst, chance = found(outcomes, "worst_class_accuracy"), found(outcomes, "worst_class_accuracy_null")
    assert worst.value < 0.78
    assert chance.interval.low <= worst.value <= chance.interval.high


def test_lowest_tenth_of_many_classes() -> None:
    labels, predicted = by_class([5, 10, 12, *[18] * 22])
    outcomes = run(FEW, listed(logits_of(predicted, 25), labels))
    tenth = found(outcomes, "lowest_tenth_accuracy")
    assert (tenth.value, tenth.n) == (27 / 60, 60)
    assert tenth.interval.low < tenth.value < tenth.interval.high < found(outcomes, "lowest_tenth_accuracy_null").value
    few = run(FEW, listed(logits_of(labels % 3, 3), labels % 3))
    assert found(few, "lowest_tenth_accuracy").code == "too-few-classes"


def test_worst_group_over_columns_and_where_they_cross() -> None:
    labels, predicted, cameras = planted((0.9, 0.7), (200, 200), 4, np.random.default_rng(0))
    lights = ["day" if i % 2 else "night" for i in range(400)]
    night = np.array([camera == "b" and light == "night" for camera, light in zip(cameras, lights, strict=True)])
    predicted = np.where(night, (labels + 1) % 4, predicted)
    examples = listed(logits_of(predicted, 4), labels, {"camera": cameras, "light": lights})
    worst = found(run(FEW, examples), "worst_group_accuracy")
    assert (worst.value, worst.n, worst.conditions) == (0, 100, {"groups": "camera × light", "group": "b × night"})
    assert found(run(FEW, examples), "worst_group_accuracy_null").value > 0.4
    alone = found(run(Inclusion(permutations=99, crossing=1), examples), "worst_group_accuracy")
    assert alone.conditions == {"groups": "camera", "group": "b"}


def test_data_without_groups_say_so() -> None:
    labels, predicted = by_class([18, 18])
    assert found(run(FEW, listed(logits_of(predicted, 2), labels)), "worst_group_accuracy").code == "no-groups"
    few = listed(logits_of(predicted, 2), labels, {"camera": ["a"] * 20 + ["b"] * 20})
    assert found(run(FEW, few), "worst_group_accuracy").code == "no-comparable-groups"


def test_classes_with_few_examples_are_reported_and_left_out() -> None:
    labels = np.concatenate([np.repeat([0, 1], 20), [2] * 3])
    outcomes = run(FEW, listed(logits_of(np.where(labels == 2, 0, labels), 3), labels))
    (failure,) = [o for o in outcomes if isinstance(o, Failure) and o.code == "small-classes"]
    assert failure.message == "1 of 3 classes have fewer than 10 examples and are left out"
    (worst,) = [o for o in outcomes if o.metric.name == "worst_class_accuracy" and not isinstance(o, Failure)]
    assert worst.value == 1
    sparse = run(FEW, listed(logits_of(labels[-6:] % 3, 3), labels[-6:]))
    assert found(sparse, "worst_class_accuracy").code == "sparse-classes"


@pytest.mark.parametrize("name", ["minimum_class", "minimum_group", "crossing", "permutations"])
def test_settings_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"setting {name} of inclusion is 0") as caught:
        configure(Inclusion, {name: 0})
    assert caught.value.code == "bad-setting"


def test_it_keeps_the_contract() -> None:
    conformance.check(Inclusion(minimum_class=2, minimum_group=4, permutations=99))
