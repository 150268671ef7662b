from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from shifted_datasets import STEP, BrightnessModel, ShiftedDataset, by_metric_and_shift, parquet, png, run, run_in

from efficient360 import conformance
from efficient360.core.figures import Bars, Gallery, Table
from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.core.statistics import newcombe, newcombe_paired, wilson
from efficient360.errors import SettingsError
from efficient360.evaluators.natural_shift import NaturalShift
from efficient360.execution.plan import configure


def test_other_examples_are_an_independent_sample(tmp_path: Path) -> None:
    """Clean: 6 of 8 right. Shifted: 3 of 5."""
    dataset = ShiftedDataset(tmp_path).clean([0, 1, 2, 3, 4, 5, 9, 9], range(8)).add("fog", [0, 1, 2, 8, 8], range(5))
    measured = run(dataset)
    accuracy, baseline, gap = (measured[name, "fog"] for name in ("shift_accuracy", "shift_baseline", "shift_gap"))
    assert (accuracy.value, accuracy.n, accuracy.interval) == (3 / 5, 5, wilson(3, 5))
    assert (baseline.value, baseline.n, baseline.interval) == (6 / 8, 8, wilson(6, 8))
    assert gap.value == pytest.approx(6 / 8 - 3 / 5)
    assert gap.interval == newcombe(6, 8, 3, 5)
    assert len(measured) == 3


def test_versions_of_the_same_examples_are_compared_in_pairs(tmp_path: Path) -> None:
    """By id, whatever the order: a is right both times, b and c only clean, d only shifted, e never."""
    dataset = ShiftedDataset(tmp_path).clean([0, 1, 2, 9, 9], range(5), "abcde").add("fog", [8, 3, 8, 8, 0], [4, 3, 2, 1, 0], "edcba")
    gap = run(dataset)["shift_gap", "fog"]
    assert gap.value == pytest.approx(3 / 5 - 2 / 5)
    assert gap.interval == newcombe_paired(1, 2, 1, 1)


def test_of_versions_only_those_of_evaluated_examples_are_run(tmp_path: Path) -> None:
    labels = [i % 5 for i in range(20)]
    ids = [f"picture {i}" for i in range(20)]
    dataset = ShiftedDataset(tmp_path).clean(labels, labels, ids).add("fog", [label if i % 2 else 9 for i, label in enumerate(labels)], labels, ids)
    context = dataset.context(tmp_path / "scratch", max_examples=10)
    model = BrightnessModel()
    measured = by_metric_and_shift(run_in(context, model=model))
    kept = [int(name.removeprefix("picture ")) for name in context.examples.ids]
    assert measured["shift_accuracy", "fog"].value == pytest.approx(np.mean([i % 2 for i in kept]))
    assert measured["shift_accuracy", "fog"].n == 10
    assert measured["shift_gap", "fog"].interval.method == "newcombe-paired"


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        ((), [0, 1, 2, 3, 4]),
        (("a", "b", "c", "d", "e"), [1, 2, 3, 4, 0]),
        (("a", "v", "w", "x", "y"), [0, 1, 2, 3, 4]),
    ],
    ids=["running numbers", "the same ids with other labels", "few in common"],
)
def test_what_happens_to_share_ids_is_no_pair(tmp_path: Path, ids: Sequence[str], labels: list[int]) -> None:
    dataset = ShiftedDataset(tmp_path).clean(range(5), range(5), "abcde" if ids else ()).add("fog", range(5), labels, ids)
    gap = run(dataset)["shift_gap", "fog"]
    assert gap.interval.method == "newcombe"
    assert gap.n == 5


def test_a_set_of_some_classes_is_answered_among_these_on_both_sides(tmp_path: Path) -> None:
    """Of the classes 4, 7 and 9, what looks like 5 is nearest to 4, and like 6 to 7.

    Clean images of these classes: 4 answered with 4, 7 with 4 (looks like 5), 9 with 7 (looks like 6): one of three. Shifted: three of four.
    """
    dataset = ShiftedDataset(tmp_path).clean([0, 4, 5, 6], [0, 4, 7, 9])
    dataset.add("fog", [5, 6, 9, 5], ["four", "seven", "nine", "seven"], classes=[9, 4, 7], labels=["nine", "four", "seven"])
    measured = run(dataset)
    assert measured["shift_accuracy", "fog"].value == 3 / 4
    assert (measured["shift_baseline", "fog"].value, measured["shift_baseline", "fog"].n) == (1 / 3, 3)
    assert measured["shift_gap", "fog"].value == pytest.approx(1 / 3 - 3 / 4)
    assert measured["shift_gap", "fog"].interval == newcombe(1, 3, 3, 4)


def test_without_a_clean_image_of_its_classes_there_is_no_gap(tmp_path: Path) -> None:
    dataset = ShiftedDataset(tmp_path).clean([0, 1], [0, 1]).add("fog", [5, 6], [5, 6], classes=list(range(10))).add("rain", [5, 6], [0, 1], classes=[5, 6])
    measured = run(dataset)
    assert measured["shift_accuracy", "rain"].value == 1
    for metric in ("shift_baseline", "shift_gap"):
        assert isinstance(measured[metric, "rain"], Failure)
        assert measured[metric, "rain"].code == "no-clean-examples"
        assert isinstance(measured[metric, "fog"], Measurement)


def test_a_set_that_can_t_be_had_takes_no_other_with_it(tmp_path: Path) -> None:
    dataset = ShiftedDataset(tmp_path).clean(range(5), range(5)).entry("gone", str(tmp_path / "none.parquet"))
    torn = parquet(tmp_path / "torn.parquet", [png(0), b"no image"], [0, 1])
    dataset.entry("torn", torn).add("fog", range(5), range(5))
    measured = run(dataset)
    for name, code in (("gone", "no-files"), ("torn", "corrupt-image")):
        failure = measured["all", name]
        assert isinstance(failure, Failure)
        assert (failure.status, failure.code) == (Status.FAILED, code)
        assert failure.message
        assert failure.hint
    assert measured["shift_accuracy", "fog"].value == 1
    assert len(measured) == 5


def test_logits_that_are_no_numbers_fail_that_set_only(tmp_path: Path) -> None:
    dataset = ShiftedDataset(tmp_path).clean(range(5), range(5)).add("glare", [0, 9], [0, 9]).add("fog", [0, 1], [0, 1])
    measured = run(dataset, model=BrightnessModel(broken_at=STEP * 8))
    assert measured["all", "glare"].code == "non-finite-logits"
    assert "glare/1 of Glare" in measured["all", "glare"].message
    assert isinstance(measured["shift_gap", "fog"], Measurement)


def test_a_card_without_shifts_says_so(tmp_path: Path) -> None:
    (outcome,) = run_in(ShiftedDataset(tmp_path).clean([0, 1], [0, 1]).context(tmp_path / "scratch"))
    assert isinstance(outcome, Failure)
    assert (outcome.status, outcome.code, outcome.metric) == (Status.UNSUPPORTED, "no-shifts", None)


def test_chosen_ones_in_the_order_given_and_unknown_ones_refused(tmp_path: Path) -> None:
    dataset = ShiftedDataset(tmp_path).clean([0, 1], [0, 1]).add("fog", [0, 1], [0, 1]).add("rain", [0, 1], [0, 1]).add("snow", [0, 1], [0, 1])
    measured = run(dataset, NaturalShift(shifts=("snow", "fog", "snow")))
    assert [shift for metric, shift in measured if metric == "shift_accuracy"] == ["snow", "fog"]
    with pytest.raises(SettingsError) as caught:
        run(dataset, NaturalShift(shifts=("hail",)))
    assert caught.value.code == "unknown-shift"
    assert caught.value.hint.startswith("known: fog, rain, snow")


@pytest.mark.parametrize(("wrong", "name"), [({"examples": 0}, "examples"), ({"mistakes": -1}, "mistakes")])
def test_settings_out_of_range_are_refused(wrong: dict, name: str) -> None:
    with pytest.raises(SettingsError, match=f"setting {name} of natural_shift") as caught:
        configure(NaturalShift, wrong)
    assert caught.value.code == "bad-setting"


@pytest.mark.parametrize(("setting", "n"), [(None, 20), (10, 10), (500, 40)])
def test_as_many_as_there_are_clean_ones_unless_asked_otherwise(tmp_path: Path, setting: int | None, n: int) -> None:
    """Stratified: every class keeps its share, and the image of class 9 is always wrong."""
    labels = [c % 10 for c in range(40)]
    dataset = ShiftedDataset(tmp_path).clean(labels[:20], labels[:20]).add("fog", [c if c < 9 else 0 for c in labels], labels)
    accuracy = run(dataset, NaturalShift(examples=setting))["shift_accuracy", "fog"]
    assert (accuracy.n, accuracy.value) == (n, pytest.approx(0.9))


def test_figures(tmp_path: Path) -> None:
    dataset = ShiftedDataset(tmp_path).clean([0, 1, 2, 9], range(4), "abcd")
    dataset.add("fog", [0, 9, 9, 4], range(4), "abcd").add("few", [1, 7], [0, 1], classes=[0, 9])
    measured = run(dataset, NaturalShift(mistakes=1))
    bars, table, gallery = measured["shift_accuracy", "fog"].extra
    assert isinstance(bars, Bars)
    assert bars.labels == ("Fog: clean", "Fog: shifted", "Few: clean", "Few: shifted")
    assert bars.values == (3 / 4, 1 / 4, 1.0, 1.0)
    assert (bars.low[1], bars.high[1]) == (wilson(1, 4).low, wilson(1, 4).high)
    assert isinstance(table, Table)
    assert [row[:5] for row in table.rows] == [("Fog", "4", "4", "all", "paired: the same examples"), ("Few", "2", "1", "2", "independent samples")]
    assert isinstance(gallery, Gallery)
    assert gallery.title == "Most confident errors on Fog"
    (picture,) = gallery.pictures
    assert picture.caption == "predicted 9, true 1"
    assert picture.detail.startswith("b, confidence ")
    assert measured["shift_accuracy", "few"].extra == ()
    assert all(not isinstance(figure, Gallery) for figure in run(dataset, NaturalShift(mistakes=0))["shift_accuracy", "fog"].extra)


def test_it_keeps_the_contract() -> None:
    conformance.check(NaturalShift())
