"""One replicate of every kind of interval, with the truth that it is of: what interval_coverage.py counts."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from efficient360.core.measurement import Interval
from efficient360.core.statistics import bootstrap_mean, median_interval, newcombe, newcombe_paired, percentiles, student
from efficient360.deployment.devices.timing import quantile_interval
from efficient360.evaluators.accuracy import balanced_accuracy_interval, class_recall
from efficient360.methods.adversarial.attack_curve import median_perturbation
from efficient360.methods.fairness.criteria import EqualizedOdds
from efficient360.methods.fairness.disparity import Disparity, GroupedPredictions, measure_disparity
from efficient360.methods.fairness.group_accuracy import GroupCounts, bootstrap_errors, difference_interval, ratio_interval
from efficient360.methods.fairness.worst_groups import worst_k
from efficient360.methods.inclusiveness.relative_accuracy import relative_accuracy
from efficient360.methods.privacy.private_accuracy import ratio_interval as paired_ratio_interval
from efficient360.methods.privacy.roc import auc_interval, roc
from efficient360.methods.privacy.strongest_attack import highest_auc_interval
from efficient360.methods.uncertainty.calibration_summary import study_calibration
from efficient360.methods.uncertainty.classwise_ece import ResamplingSettings, classwise_ece
from efficient360.methods.uncertainty.ece import confidence_levels
from efficient360.methods.uncertainty.model_outputs import ModelOutputs
from efficient360.methods.uncertainty.ood_datasets import OodKind
from efficient360.methods.uncertainty.ood_detectors import feature_detector
from efficient360.methods.uncertainty.ood_summary import evaluate_detector, shared_bootstrap
from efficient360.methods.uncertainty.temperature_scaling import fit_temperature

Rng = np.random.Generator
Draw = Callable[[Rng], tuple[Interval, float]]
"""One replicate: an interval, and the truth that it is of."""


def nothing() -> None:
    pass


# Proportions and means


def difference(paired: bool, n: int) -> Draw:
    def draw(rng: Rng) -> tuple[Interval, float]:
        p, q = 0.88, 0.85
        if paired:
            cells = rng.multinomial(n, [0.83, p - 0.83, q - 0.83, 1 - p - q + 0.83])
            return newcombe_paired(*map(int, cells)), p - q
        return newcombe(int(rng.binomial(n, p)), n, int(rng.binomial(n, q)), n), p - q

    return draw


def mean_of(distribution: str, n: int) -> Draw:
    truths = {"normal": 0.0, "exponential": 1.0, "lognormal": math.exp(0.5), "mostly zero": 0.15}

    def draw(rng: Rng) -> tuple[Interval, float]:
        exponential = rng.exponential(1, n)
        values = {
            "normal": rng.normal(0, 1, n),
            "exponential": exponential,
            "lognormal": rng.lognormal(0, 1, n),
            "mostly zero": exponential * (rng.random(n) < 0.15),
        }[distribution]
        return bootstrap_mean(values, int(rng.integers(2**31))), truths[distribution]

    return draw


def few_seeds(n: int) -> Draw:
    return lambda rng: (student(rng.normal(0, 1, n), "student-t over seeds"), 0.0)


def median_of(n: int) -> Draw:
    return lambda rng: (median_interval(rng.lognormal(0, 1, n)), 1.0)


# Latency: a run is six blocks of ten calls; truth is what the median of many runs would be


@dataclass(frozen=True)
class Noise:
    """Standard deviations on the log scale: of a call, of the drift within a run (and its time constant in blocks), between processes, between runs."""

    call: float = 0.01
    drift: float = 0.0
    memory: float = 1.0
    process: float = 0.0
    run: float = 0.0


def timed_run(noise: Noise, processes: int, rng: Rng) -> list[tuple[int, np.ndarray]]:
    blocks, calls = 6, 10
    keep = math.exp(-1 / (noise.memory * calls))
    level, offset, logs = rng.normal(0, 1), rng.normal(0, noise.run), []
    starts = rng.normal(0, noise.process, processes)
    for block in range(blocks):
        row = []
        for _ in range(calls):
            level = keep * level + math.sqrt(1 - keep**2) * rng.normal()
            row.append(offset + starts[block * processes // blocks] + noise.drift * level + noise.call * rng.normal())
        logs.append((block * processes // blocks, np.exp(np.array(row))))
    return logs


def latency(noise: Noise, processes: int = 3, percent: float = 50) -> Draw:
    spread = math.sqrt(noise.call**2 + noise.drift**2)
    truth = math.exp(float(stats.norm.ppf(percent / 100)) * spread)

    def draw(rng: Rng) -> tuple[Interval, float]:
        blocks = timed_run(noise, processes, rng)
        return quantile_interval(float(np.percentile(np.concatenate([b for _, b in blocks]), percent)), blocks, percent), truth

    return draw


def old_latency(noise: Noise) -> Draw:
    """The interval of before: a bootstrap over the six blocks of one process."""

    def draw(rng: Rng) -> tuple[Interval, float]:
        blocks = [b for _, b in timed_run(noise, 1, rng)]
        picks = rng.integers(6, size=(300, 6))
        return percentiles(np.median(np.stack(blocks)[picks].reshape(300, -1), axis=1), "block-bootstrap"), 1.0

    return draw


# Scores: AUROC, out-of-distribution detection, membership attacks


def normal_auc(shift: float) -> float:
    return float(stats.norm.cdf(shift / math.sqrt(2)))


def membership(shift: float, n: int) -> Draw:
    def draw(rng: Rng) -> tuple[Interval, float]:
        return auc_interval(roc(rng.normal(shift, 1, n), rng.normal(0, 1, n)).auc, n, n), normal_auc(shift)

    return draw


def strongest(shifts: tuple[float, ...], n: int, correlation: float) -> Draw:
    truth = normal_auc(max(shifts))

    def draw(rng: Rng) -> tuple[Interval, float]:
        sides = []
        for offset in (np.array(shifts), np.zeros(len(shifts))):
            common, own = rng.normal(0, 1, (n, 1)), rng.normal(0, 1, (n, len(shifts)))
            sides.append(offset + math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own)
        return highest_auc_interval([(sides[0][:, i], sides[1][:, i]) for i in range(len(shifts))], int(rng.integers(2**31))), truth

    return draw


def one_attacks_interval(count: int, n: int) -> Draw:
    """The interval of before: that of a single attack around the highest of several AUCs, none of which finds anything."""

    def draw(rng: Rng) -> tuple[Interval, float]:
        auc = max(roc(rng.normal(0, 1, n), rng.normal(0, 1, n)).auc for _ in range(count))
        return auc_interval(auc, n, n), 0.5

    return draw


def detection(metric: str, shift: float, n: int) -> Draw:
    truth = {"auroc": normal_auc(shift), "fpr95": float(stats.norm.sf(stats.norm.ppf(0.05) + shift))}[metric]

    def draw(rng: Rng) -> tuple[Interval, float]:
        scores, bootstrap = (rng.normal(shift, 1, n), rng.normal(0, 1, n)), shared_bootstrap(n, 300, int(rng.integers(2**31)))
        return interval_of(list(evaluate_detector("msp", "set", OodKind.FAR, scores, (), bootstrap).measurements()), metric), truth

    return draw


def interval_of(measurements: list, metric: str) -> Interval:
    return next(m.interval for m in measurements if m.metric.name == metric)


def bank(name: str, refitted: bool) -> Draw:
    """Eight features; the other images crowd into a corner, so that few of the 300 training images decide for all of them."""
    dimensions, corner = 8, np.full(8, 0.55)

    def outputs(features: np.ndarray) -> ModelOutputs:
        return ModelOutputs(np.zeros((len(features), 2), np.float32), features)

    def sides(rng: Rng, n: int) -> tuple[ModelOutputs, ModelOutputs]:
        return outputs(1 + rng.normal(0, 1, (n, dimensions))), outputs(1 + corner + rng.normal(0, 0.35, (n, dimensions)))

    def fitted(rng: Rng):
        return feature_detector(name, 1 + rng.normal(0, 1, (300, dimensions)), rng.integers(0, 2, 300), 10)

    apart = np.random.default_rng(360)
    aucs = []
    for _ in range(150):
        score = fitted(apart).score
        own, other = (score(side) for side in sides(apart, 1500))
        aucs.append(roc(own, other).auc)
    truth = float(np.mean(aucs))

    def draw(rng: Rng) -> tuple[Interval, float]:
        detector, (own, other) = fitted(rng), sides(rng, 300)
        assert detector.refit is not None
        refits = [detector.refit(rng) for _ in range(20)] if refitted else []
        scores, bootstrap = (detector.score(own), detector.score(other)), shared_bootstrap(300, 300, int(rng.integers(2**31)))
        result = evaluate_detector(name, "set", OodKind.FAR, scores, [(refit(own), refit(other)) for refit in refits], bootstrap)
        return interval_of(list(result.measurements()), "auroc"), truth

    return draw


# Calibration


def logits_of(n: int, scale: float, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Logits ``(n, 5)`` that are ``scale`` times too large, with their labels."""
    true = rng.normal(0, 1.5, (n, 5))
    labels = (true + rng.gumbel(0, 1, true.shape)).argmax(1)
    return scale * true, labels


def confidences(n: int, scale: float, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = logits_of(n, scale, rng)
    probability = np.exp(logits - logits.max(1, keepdims=True))
    probability /= probability.sum(1, keepdims=True)
    return probability.max(1), (probability.argmax(1) == labels).astype(float)


def calibration(metric: str, scale: float, n: int) -> Draw:
    large = study_calibration(confidence_levels(*confidences(400_000, scale, np.random.default_rng(360))), 15, 2, ([0], [1]), nothing)
    truth = {"ece": large.ece, "excess": 0.0, "aurc": large.aurc, "augrc": large.augrc}[metric]
    if metric == "excess" and scale != 1:  # what n images show beyond what n images of a calibrated model would
        apart = [study_calibration(confidence_levels(*confidences(n, scale, np.random.default_rng([7, i]))), 15, 50, ([i], [i]), nothing) for i in range(300)]
        truth = float(np.mean([study.ece - study.null.mean() for study in apart]))

    def draw(rng: Rng) -> tuple[Interval, float]:
        seeds = [int(rng.integers(2**31))], [int(rng.integers(2**31))]
        study = study_calibration(confidence_levels(*confidences(n, scale, rng)), 15, 300, seeds, nothing)
        if metric in ("aurc", "augrc"):
            return percentiles({"aurc": study.aurcs, "augrc": study.augrcs}[metric], "bootstrap"), truth
        ece, _, excess = (m.interval for m in study.measurements({}))
        return (ece if metric == "ece" else excess), truth  # type: ignore[return-value]

    return draw


def temperature(n: int) -> Draw:
    def draw(rng: Rng) -> tuple[Interval, float]:
        return fit_temperature(*logits_of(n, 1.6, rng)).interval, 1.6

    return draw


def classwise(n: int) -> Draw:
    def draw(rng: Rng) -> tuple[Interval, float]:
        logits, labels = logits_of(n, 1.0, rng)
        probability = np.exp(logits)
        settings = ResamplingSettings(15, 200, nothing)
        errors = classwise_ece(probability / probability.sum(1, keepdims=True), labels, list("abcde"), settings, [int(rng.integers(2**31))])
        return errors.mean_excess().interval, 0.0

    return draw


# Groups and classes


def grouped(groups: int, gap: float, rng: Rng, n: int = 897, classes: int = 10, accuracy: float = 0.89) -> GroupedPredictions:
    codes, labels = np.sort(rng.integers(0, groups, n)), rng.integers(0, classes, n)
    confidence = rng.beta(8, 1, n)
    right = rng.random(n) < accuracy - gap * (codes == 0)
    predicted = np.where(right, labels, (labels + rng.integers(1, classes, n)) % classes)
    return GroupedPredictions(labels, predicted, confidence, codes, classes)


def disparity(make: Callable[[GroupedPredictions], Disparity], summary: int, groups: int, gap: float) -> Draw:
    apart = np.random.default_rng(360)
    large = make(grouped(groups, gap, apart, n=1_500_000))
    truth = float(large.differences(large.observed())[0, summary]) if gap else 0.0

    def draw(rng: Rng) -> tuple[Interval, float]:
        return measure_disparity(make(grouped(groups, gap, rng)), 2, 300, rng, nothing)[summary].interval, truth

    return draw


def odds(predictions: GroupedPredictions) -> Disparity:
    return EqualizedOdds(predictions, 10)


def hits_of(rates: np.ndarray, size: int, rng: Rng) -> GroupCounts:
    return GroupCounts(rng.binomial(size, rates), np.full(len(rates), size))


def group_gap(rates: np.ndarray, size: int, ratio: bool) -> Draw:
    truth = float(rates.min() / rates.max()) if ratio else float(np.ptp(rates))

    def draw(rng: Rng) -> tuple[Interval, float]:
        counts = hits_of(rates, size, rng)
        return (ratio_interval if ratio else difference_interval)(counts, bootstrap_errors(counts, 500, rng)), truth

    return draw


def lowest(rates: np.ndarray, size: int, k: int) -> Draw:
    truth = float(np.sort(rates)[:k].mean())
    return lambda rng: (worst_k(hits_of(rates, size, rng), k, 500, [int(rng.integers(2**31))]).interval, truth)


def selected_wilson(rates: np.ndarray, size: int) -> Draw:
    """The interval of before: Wilson's of the class that came out lowest."""

    def draw(rng: Rng) -> tuple[Interval, float]:
        counts = hits_of(rates, size, rng)
        return counts.interval(counts.worst), float(rates.min())

    return draw


def balanced(size: int) -> Draw:
    rates = np.linspace(0.7, 0.98, 10)

    def draw(rng: Rng) -> tuple[Interval, float]:
        labels = np.repeat(np.arange(10), size)
        recall = class_recall(labels, (rng.random(len(labels)) < rates[labels]).astype(float))
        return balanced_accuracy_interval(recall, int(rng.integers(2**31)), 500), float(rates.mean())

    return draw


def relative(n: int) -> Draw:
    def draw(rng: Rng) -> tuple[Interval, float]:
        hard = rng.random(n)
        degraded = np.stack([hard + rng.normal(0, 0.05, n) < p for p in (0.8, 0.6, 0.4)], axis=1)
        result = relative_accuracy(hard < 0.9, degraded, 500, rng)
        assert result is not None
        return result.mean_interval, 0.6 / 0.9

    return draw


def paired_ratio(n: int) -> Draw:
    def draw(rng: Rng) -> tuple[Interval, float]:
        both = rng.choice(4, n, p=[0.8, 0.04, 0.08, 0.08])
        return paired_ratio_interval(both <= 1, (both == 0) | (both == 2), int(rng.integers(2**31))), 0.84 / 0.88

    return draw


def perturbation(n: int) -> Draw:
    epsilons = [0.5, 1, 2, 4, 8]
    reached = stats.lognorm(0.8, scale=1.6)
    shares = np.concatenate([[0.0], reached.cdf(epsilons)])
    truth = float(np.interp(0.5, shares, [0.0, *epsilons]))

    def draw(rng: Rng) -> tuple[Interval, float]:
        result = median_perturbation(np.searchsorted(epsilons, reached.rvs(n, random_state=rng)), epsilons, int(rng.integers(2**31)))
        assert result is not None
        return result.interval, truth

    return draw
