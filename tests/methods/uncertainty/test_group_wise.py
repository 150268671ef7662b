import numpy as np
import pytest

from efficient360.core.groupings import group_by
from efficient360.methods.uncertainty.calibration_error import calibration_error
from efficient360.methods.uncertainty.confidence_levels import levels_of
from efficient360.methods.uncertainty.group_wise import group_wise
from efficient360.methods.uncertainty.part_errors import PartErrors


def found(sizes: list[int], shifts: list[float], seed: int = 0, minimum: int = 30) -> tuple[PartErrors | None, np.ndarray, np.ndarray]:
    """Groups whose confidences overstate by ``shifts``."""
    rng = np.random.default_rng(seed)
    names = np.repeat(list("abcdef")[: len(sizes)], sizes)
    confidence = rng.uniform(0.5, 0.9, len(names))
    correct = (rng.random(len(names)) < confidence - np.repeat(shifts, sizes)).astype(float)
    return group_wise(confidence, correct, group_by("side", names.tolist()), minimum, 10, 100, [seed], lambda: None), confidence, correct


def test_each_group_has_the_calibration_error_of_its_own_examples() -> None:
    of, confidence, correct = found([50, 200], [0.0, 0.1])
    assert of is not None
    assert of.values == pytest.approx([float(calibration_error(levels_of(confidence[p], correct[p]), 10)[0]) for p in (slice(50), slice(50, None))])
    assert of.gaps == pytest.approx([float((confidence - correct)[p].mean()) for p in (slice(50), slice(50, None))])


def test_a_small_group_shows_more_by_chance_and_no_excess() -> None:
    runs = [found([40, 800], [0.0, 0.0], seed)[0] for seed in range(12)]
    assert np.mean([of.values[0] for of in runs]) > 2.5 * np.mean([of.values[1] for of in runs])
    excess = np.array([of.excesses for of in runs])
    assert (abs(excess.mean(axis=0)) < 3 * excess.std(axis=0) / np.sqrt(12)).all()
    worst = np.array([of.worst_excess().value for of in runs])
    assert abs(worst.mean()) < 3 * worst.std() / np.sqrt(12)


def test_a_group_that_is_too_sure_is_the_worst() -> None:
    of = found([800, 800, 800], [0.0, 0.2, 0.0])[0]
    assert of.names[of.order[0]] == "b"
    excess = of.worst_excess()
    assert excess.interval.low < 0.2 < excess.interval.high + 0.02
    assert excess.value == pytest.approx(0.2, abs=0.05)


def test_groups_too_small_are_left_out_and_one_alone_is_no_comparison() -> None:
    assert found([50, 10, 60], [0, 0, 0])[0].names == ("a", "c")
    assert found([50, 10], [0, 0])[0] is None
