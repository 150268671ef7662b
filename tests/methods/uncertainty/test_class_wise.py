import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from efficient360.methods.uncertainty.calibration_error import calibration_error
from efficient360.methods.uncertainty.class_wise import Effort, class_wise
from efficient360.methods.uncertainty.confidence_levels import levels_of
from efficient360.methods.uncertainty.part_errors import PartErrors


def found(probability: np.ndarray, labels: np.ndarray, bins: int = 15, draws: int = 50, seed: int = 0) -> PartErrors:
    names = [f"class {k}" for k in range(probability.shape[1])]
    return class_wise(probability, labels, names, Effort(bins, draws, lambda: None), [seed])


def drawn(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels that follow them."""
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.full(classes, 0.5), n)
    return probability, (probability.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, classes - 1)


def test_a_table_worked_by_hand() -> None:
    # One bin. Class 0: mean probability 0.5, it occurs in 1 of 2. Class 1: 0.3 against 1/2. Class 2: 0.2 against 0.
    of = found(np.array([[0.6, 0.2, 0.2], [0.4, 0.4, 0.2]]), np.array([0, 1]), bins=1)
    assert of.values == pytest.approx([0.0, 0.2, 0.2])
    assert of.gaps == pytest.approx([0.0, -0.2, 0.2])
    assert of.mean().value == pytest.approx(0.4 / 3)
    assert of.sizes.tolist() == [1, 1, 0]


@pytest.mark.parametrize("n", [40, 1500])
def test_each_class_is_one_against_the_rest(n: int) -> None:
    probability, labels = drawn(n, 4, n)
    probability[::3] = np.round(probability[::3], 1)  # ties
    alone = [float(calibration_error(levels_of(probability[:, k], labels == k), 15)[0]) for k in range(4)]
    assert found(probability, labels).values == pytest.approx(alone)


def test_against_torchmetrics_where_bins_of_equal_mass_and_of_equal_width_are_the_same() -> None:
    first = (np.arange(600) + 0.5) / 600
    labels = np.random.default_rng(0).integers(0, 2, 600)
    of = found(np.stack([first, 1 - first], axis=1), labels)
    theirs = [float(binary_calibration_error(torch.tensor(p), torch.tensor(labels == k).int(), n_bins=15)) for k, p in enumerate((first, 1 - first))]
    assert of.values == pytest.approx(theirs, abs=1e-6)


def test_the_null_of_one_bin_is_known_in_closed_form() -> None:
    # Two classes of probability 1/2, n = 4: E|2 − hits| / 4 = (2·1/16 + 1·4/16) · 2 / 4 = 0.1875 for either, and both are the same in every draw.
    of = found(np.full((4, 2), 0.5), np.array([0, 0, 1, 1]), bins=1, draws=20_000)
    assert of.chance == pytest.approx([0.1875, 0.1875], abs=0.004)
    assert (of.null[:, 0] == of.null[:, 1]).all()


def test_the_resamples_of_one_bin_have_the_spread_of_a_binomial() -> None:
    # All of probability 0.3, 60 of 100 of the class: the gap of a resample is 0.3 − Binomial(100, 0.6) / 100.
    of = found(np.tile([0.3, 0.7], (100, 1)), np.repeat([0, 1], [60, 40]), bins=1, draws=2000)
    assert of.resampled[:, 0].mean() == pytest.approx(0.3, abs=0.004)
    assert of.resampled[:, 0].std() == pytest.approx(np.sqrt(0.6 * 0.4 / 100), rel=0.06)


def test_a_calibrated_model_has_no_excess_in_the_mean_nor_in_the_worst_class() -> None:
    excesses = [found(*drawn(400, 5, seed), draws=60, seed=seed) for seed in range(30)]
    worst = np.array([of.worst_excess().value for of in excesses])
    assert abs(np.mean([of.mean_excess().value for of in excesses])) < 0.003
    assert abs(worst.mean()) < 3 * worst.std() / np.sqrt(30)
    assert np.mean([of.excesses.max() for of in excesses]) > 0.01  # what the worst would show uncorrected


def test_a_class_that_is_off_is_found_with_its_direction() -> None:
    probability, labels = drawn(4000, 5, 1)
    moved = labels.copy()
    moved[(labels == 2) & (np.random.default_rng(0).random(4000) < 0.5)] = 4
    of = found(probability, moved)
    assert of.order[:2] in ([2, 4], [4, 2])
    assert of.gaps[2] == pytest.approx(0.1, abs=0.02)
    assert of.gaps[4] == pytest.approx(-0.1, abs=0.02)
    excess = of.worst_excess()
    assert excess.interval.low > 0.05
    assert excess.interval.low < excess.value < excess.interval.high
