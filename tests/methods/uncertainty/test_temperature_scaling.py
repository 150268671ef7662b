import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.temperature_scaling import cross_fit_temperatures, fit_temperature, scaled_log_probabilities, stratified_halves


def calibrated(n: int, classes: int, seed: int, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels drawn from their softmax: calibrated as they stand, so that their own temperature is 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (n, classes))
    return logits, (logits + rng.gumbel(size=(n, classes))).argmax(axis=1)


def ids_of(n: int) -> list[str]:
    return [f"test/{i}" for i in range(n)]


@pytest.mark.parametrize("gap", [0.5, 3.0, 12.0])
def test_two_classes_worked_by_hand(gap: float) -> None:
    # Every example has the logits (gap, 0), and 3 of 4 are of the first class: the best probability is 3/4, so gap / T = ln 3.
    logits, labels = np.tile([gap, 0.0], (8, 1)), np.array([0, 0, 0, 1] * 2)
    assert fit_temperature(logits, labels).value == pytest.approx(gap / np.log(3), rel=1e-8)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_temperature_that_is_known_is_given_back(temperature: float) -> None:
    logits, labels = calibrated(20_000, 10, 0)
    temperature_fit = fit_temperature(logits * temperature, labels)
    assert temperature_fit.value == pytest.approx(temperature, rel=0.03)
    assert temperature_fit.interval.low < temperature < temperature_fit.interval.high
    assert temperature_fit.interval.high / temperature_fit.interval.low < 1.1


def test_against_a_search_of_the_likelihood_itself() -> None:
    logits, labels = calibrated(500, 5, 1)
    tensor = torch.from_numpy(logits * 1.7)
    searched = minimize_scalar(lambda t: float(torch.nn.functional.cross_entropy(tensor / t, torch.from_numpy(labels))), bounds=(0.1, 10), method="bounded")
    assert fit_temperature(logits * 1.7, labels).value == pytest.approx(searched.x, rel=1e-4)


def test_logits_many_times_as_large_have_a_temperature_as_many_times_as_large() -> None:
    logits, labels = calibrated(300, 4, 2)
    temperature_fit, tenfold = fit_temperature(logits, labels), fit_temperature(10 * logits, labels)
    assert tenfold.value == pytest.approx(10 * temperature_fit.value, rel=1e-7)
    assert tenfold.interval.low == pytest.approx(10 * temperature_fit.interval.low, rel=1e-6)


@pytest.mark.slow
def test_the_interval_covers_what_it_says() -> None:
    fits = [fit_temperature(*calibrated(300, 4, seed)).interval for seed in range(200)]
    assert 180 <= sum(i.low <= 1 <= i.high for i in fits) <= 198  # 95 % of 200 is 190, give or take 3 standard errors of 3.1


@pytest.mark.parametrize(
    ("labels", "words"),
    [([0, 1, 2], "almost no misclassified example"), ([1, 2, 0], "no higher than those of the others")],
    ids=["always-right", "always-wrong"],
)
def test_where_no_temperature_is_best_there_is_none(labels: list[int], words: str) -> None:
    with pytest.raises(Unsupported, match=words) as caught:
        fit_temperature(np.eye(3) * 5, np.array(labels))
    assert caught.value.code == "no-temperature"


def test_a_single_example_can_not_be_halved() -> None:
    with pytest.raises(Unsupported, match="single example"):
        cross_fit_temperatures(np.eye(3)[:1], np.array([0]), ids_of(1), 0)


def test_every_example_is_scaled_by_what_the_other_half_gives() -> None:
    logits, labels = calibrated(400, 4, 3)
    temperatures = cross_fit_temperatures(logits, labels, ids_of(400), 0)
    first = stratified_halves(labels, ids_of(400), 0)
    assert set(temperatures[first]) == {fit_temperature(logits[~first], labels[~first]).value}
    assert set(temperatures[~first]) == {fit_temperature(logits[first], labels[first]).value}


def test_the_halves_have_as_many_of_each_class_and_hang_on_ids_and_seed_alone() -> None:
    labels, ids = np.random.default_rng(0).integers(0, 7, 301), ids_of(301)
    first = stratified_halves(labels, ids, 0)
    assert abs(int(first.sum()) - 150.5) == 0.5
    assert max(abs(int((first & (labels == k)).sum()) - int((~first & (labels == k)).sum())) for k in range(7)) <= 1
    order = np.random.default_rng(1).permutation(301)
    assert (stratified_halves(labels[order], [ids[i] for i in order], 0) == first[order]).all()
    assert (stratified_halves(labels, ids, 1) != first).any()


def test_scaled_log_probabilities_are_those_of_torch() -> None:
    logits, _ = calibrated(9000, 3, 4)
    temperatures = np.linspace(0.5, 3, 9000)
    theirs = (torch.from_numpy(logits) / torch.from_numpy(temperatures)[:, None]).log_softmax(1).numpy()
    np.testing.assert_allclose(scaled_log_probabilities(logits, temperatures), theirs, rtol=1e-6, atol=1e-7)
