import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from efficient360.core.groupings import group_by
from efficient360.methods.uncertainty.classwise_ece import ResamplingSettings, SubgroupErrors, classwise_ece, groupwise_ece
from efficient360.methods.uncertainty.ece import confidence_levels, expected_calibration_error


def classwise(probability: np.ndarray, labels: np.ndarray, bins: int = 15, draws: int = 50, seed: int = 0) -> SubgroupErrors:
    names = [f"class {k}" for k in range(probability.shape[1])]
    return classwise_ece(probability, labels, names, ResamplingSettings(bins, draws, lambda: None), [seed])


def labelled(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels that follow them."""
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.full(classes, 0.5), n)
    return probability, (probability.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, classes - 1)


def test_a_table_worked_by_hand() -> None:
    # One bin. Class 0: mean probability 0.5, it occurs in 1 of 2. Class 1: 0.3 against 1/2. Class 2: 0.2 against 0.
    errors = classwise(np.array([[0.6, 0.2, 0.2], [0.4, 0.4, 0.2]]), np.array([0, 1]), bins=1)
    assert errors.values == pytest.approx([0.0, 0.2, 0.2])
    assert errors.overconfidence == pytest.approx([0.0, -0.2, 0.2])
    assert errors.mean().value == pytest.approx(0.4 / 3)
    assert errors.sizes.tolist() == [1, 1, 0]


@pytest.mark.parametrize("n", [40, 1500])
def test_each_class_is_one_against_the_rest(n: int) -> None:
    probability, labels = labelled(n, 4, n)
    probability[::3] = np.round(probability[::3], 1)  # ties
    alone = [float(expected_calibration_error(confidence_levels(probability[:, k], labels == k), 15)[0]) for k in range(4)]
    assert classwise(probability, labels).values == pytest.approx(alone)


def test_against_torchmetrics_where_bins_of_equal_mass_and_of_equal_width_are_the_same() -> None:
    first = (np.arange(600) + 0.5) / 600
    labels = np.random.default_rng(0).integers(0, 2, 600)
    errors = classwise(np.stack([first, 1 - first], axis=1), labels)
    theirs = [float(binary_calibration_error(torch.tensor(p), torch.tensor(labels == k).int(), n_bins=15)) for k, p in enumerate((first, 1 - first))]
    assert errors.values == pytest.approx(theirs, abs=1e-6)


def test_the_null_of_one_bin_is_known_in_closed_form() -> None:
    # Two classes of probability 1/2, n = 4: E|2 − hits| / 4 = (2·1/16 + 1·4/16) · 2 / 4 = 0.1875 for either, and both are the same in every draw.
    errors = classwise(np.full((4, 2), 0.5), np.array([0, 0, 1, 1]), bins=1, draws=20_000)
    assert errors.null_means == pytest.approx([0.1875, 0.1875], abs=0.004)
    assert (errors.null[:, 0] == errors.null[:, 1]).all()


def test_the_resamples_of_one_bin_have_the_spread_of_a_binomial() -> None:
    # All of probability 0.3, 60 of 100 of the class: the gap of a resample is 0.3 − Binomial(100, 0.6) / 100.
    errors = classwise(np.tile([0.3, 0.7], (100, 1)), np.repeat([0, 1], [60, 40]), bins=1, draws=2000)
    assert errors.resampled[:, 0].mean() == pytest.approx(0.3, abs=0.004)
    assert errors.resampled[:, 0].std() == pytest.approx(np.sqrt(0.6 * 0.4 / 100), rel=0.06)


def test_a_calibrated_model_has_no_excess_in_the_mean_nor_in_the_worst_class() -> None:
    excesses = [classwise(*labelled(400, 5, seed), draws=60, seed=seed) for seed in range(30)]
    worst = np.array([errors.worst_excess().value for errors in excesses])
    assert abs(np.mean([errors.mean_excess().value for errors in excesses])) < 0.003
    assert abs(worst.mean()) < 3 * worst.std() / np.sqrt(30)
    assert np.mean([errors.excesses.max() for errors in excesses]) > 0.01  # what the worst would show uncorrected


def test_a_class_that_is_off_is_found_with_its_direction() -> None:
    probability, labels = labelled(4000, 5, 1)
    moved = labels.copy()
    moved[(labels == 2) & (np.random.default_rng(0).random(4000) < 0.5)] = 4
    errors = classwise(probability, moved)
    assert errors.by_excess[:2] in ([2, 4], [4, 2])
    assert errors.overconfidence[2] == pytest.approx(0.1, abs=0.02)
    assert errors.overconfidence[4] == pytest.approx(-0.1, abs=0.02)
    excess = errors.worst_excess()
    assert excess.interval.low > 0.05
    assert excess.interval.low < excess.value < excess.interval.high


def groupwise(sizes: list[int], shifts: list[float], seed: int = 0, minimum: int = 30) -> tuple[SubgroupErrors | None, np.ndarray, np.ndarray]:
    """Groups whose confidences overstate by ``shifts``."""
    rng = np.random.default_rng(seed)
    names = np.repeat(list("abcdef")[: len(sizes)], sizes)
    confidence = rng.uniform(0.5, 0.9, len(names))
    correct = (rng.random(len(names)) < confidence - np.repeat(shifts, sizes)).astype(float)
    return groupwise_ece(confidence, correct, group_by("side", names.tolist()), minimum, ResamplingSettings(10, 100, lambda: None), [seed]), confidence, correct


def test_each_group_has_the_calibration_error_of_its_own_examples() -> None:
    errors, confidence, correct = groupwise([50, 200], [0.0, 0.1])
    assert errors is not None
    assert errors.values == pytest.approx(
        [float(expected_calibration_error(confidence_levels(confidence[p], correct[p]), 10)[0]) for p in (slice(50), slice(50, None))]
    )
    assert errors.overconfidence == pytest.approx([float((confidence - correct)[p].mean()) for p in (slice(50), slice(50, None))])


def test_a_small_group_shows_more_by_chance_and_no_excess() -> None:
    runs = [groupwise([40, 800], [0.0, 0.0], seed)[0] for seed in range(12)]
    assert np.mean([errors.values[0] for errors in runs]) > 2.5 * np.mean([errors.values[1] for errors in runs])
    excess = np.array([errors.excesses for errors in runs])
    assert (abs(excess.mean(axis=0)) < 3 * excess.std(axis=0) / np.sqrt(12)).all()
    worst = np.array([errors.worst_excess().value for errors in runs])
    assert abs(worst.mean()) < 3 * worst.std() / np.sqrt(12)


def test_a_group_that_is_too_sure_is_the_worst() -> None:
    errors = groupwise([800, 800, 800], [0.0, 0.2, 0.0])[0]
    assert errors.names[errors.by_excess[0]] == "b"
    excess = errors.worst_excess()
    assert excess.interval.low < 0.2 < excess.interval.high + 0.02
    assert excess.value == pytest.approx(0.2, abs=0.05)


def test_groups_too_small_are_left_out_and_one_alone_is_no_comparison() -> None:
    assert groupwise([50, 10, 60], [0, 0, 0])[0].names == ("a", "c")
    assert groupwise([50, 10], [0, 0])[0] is None
