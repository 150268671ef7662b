"""Temperature, calibration error, selective risk and conformal sets against torch-uncertainty, torchmetrics, netcal and torchcp, on the same logits.

pip install torch-uncertainty netcal torchcp tensorboard gpytorch pyro-ppl
python benchmarks/probabilistic_agreement.py CHECKPOINT --dataset cifar10 [--data-dir DIR] [--out FILE]
"""

import argparse
import platform
import sys
import time
import types
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import log_loss

from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.methods.uncertainty.classwise_ece import ResamplingSettings, classwise_ece
from efficient360.methods.uncertainty.conformal_scores import nonconformity_scores, rank_classes
from efficient360.methods.uncertainty.ece import confidence_levels, expected_calibration_error
from efficient360.methods.uncertainty.selective_classification import area_under_generalized_risk, area_under_risk_coverage
from efficient360.methods.uncertainty.split_conformal import ConformalInputs, build_prediction_sets, conformal_threshold, coverage_distribution, draw_splits
from efficient360.methods.uncertainty.temperature_scaling import fit_temperature, scaled_log_probabilities, stratified_halves
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

warnings.filterwarnings("ignore")
SEED, BINS, ALPHA, PENALTY, FREE, SPLITS = 0, 15, 0.1, 0.01, 5, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--max-examples", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    checkpoint = resolve(CheckpointSpec(asked.checkpoint))
    examples = open_dataset(DatasetSpec(asked.dataset, asked.data_dir, max_examples=asked.max_examples), checkpoint, SEED).examples
    model = load_model(checkpoint)
    with torch.inference_mode():
        logits = torch.cat([model(batch.images) for batch in examples.batches(64)]).numpy()
    labels, ids = examples.labels, list(examples.ids)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch-uncertainty", "torchmetrics", "netcal", "torchcp"))
    lines = [
        "# Calibration and prediction sets against other packages",
        "",
        f"Written by `python benchmarks/probabilistic_agreement.py` ({checkpoint.name} on {asked.dataset}, {len(labels):,} images, {packages}, "
        f"torch {torch.__version__.partition('+')[0]}, {platform.machine()}, {asked.threads} thread).",
        "",
        *temperatures(logits, labels, ids),
        "",
        *errors(logits, labels),
        "",
        *conformal(logits, labels, ids),
        "",
    ]
    print("\n".join(lines))
    if asked.out:
        asked.out.write_text("\n".join(lines), encoding="utf-8")


def timed(work: Callable[[], Any], repeats: int = 5) -> tuple[Any, float]:
    """Result and the least of several times, seconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - began)
    return found, min(times)


def temperatures(logits: np.ndarray, labels: np.ndarray, ids: list[str]) -> list[str]:
    """Fitted on one half, the ECE of the other half before and after."""
    from netcal.scaling import TemperatureScaling
    from torch.utils.data import DataLoader, TensorDataset
    from torch_uncertainty.post_processing import TemperatureScaler

    first = stratified_halves(labels, ids, SEED)

    def uncertainty() -> float:
        scaler = TemperatureScaler(model=torch.nn.Identity())
        scaler.fit(DataLoader(TensorDataset(torch.from_numpy(logits[first]), torch.from_numpy(labels[first])), batch_size=10_000), progress=False)
        return float(1 / scaler.inv_temp if hasattr(scaler, "inv_temp") else scaler.temperature[0])

    def netcal() -> float:
        scaler = TemperatureScaling()
        scaler.fit(np.exp(scaled_log_probabilities(logits[first], np.ones(int(first.sum()))).astype(np.float64)), labels[first])
        return float(1 / np.ravel(scaler.temperature)[0])

    ours, seconds = timed(lambda: fit_temperature(logits[first], labels[first]))
    rows = [f"| ours | {ours.value:.5f} ({ours.interval.low:.3f} – {ours.interval.high:.3f}) | {_after(logits, labels, ~first, ours.value)} | 1 |"]
    for name, work in (("torch-uncertainty", uncertainty), ("netcal", netcal)):
        try:
            value, spent = timed(work, 3)
            rows.append(f"| {name} | {value:.5f} | {_after(logits, labels, ~first, value)} | {seconds / spent:.3f} |")
        except Exception as error:  # a peer that does not run is told, not hidden
            rows.append(f"| {name} | did not run: {type(error).__name__} | | |")
    return [
        "## Temperature",
        "",
        f"Fitted on one half of the images; NLL and ECE are the other half's. Before: {_after(logits, labels, ~first, 1.0)}.",
        "",
        "| who | temperature | NLL, ECE after | our time ÷ theirs |",
        "| --- | --- | --- | --- |",
        *rows,
    ]


def _after(logits: np.ndarray, labels: np.ndarray, part: np.ndarray, temperature: float) -> str:
    log_probability = scaled_log_probabilities(logits[part], np.full(int(part.sum()), temperature)).astype(np.float64)
    confidence, correct = np.exp(log_probability.max(axis=1)), log_probability.argmax(axis=1) == labels[part]
    nll = -log_probability[np.arange(len(log_probability)), labels[part]].mean()
    return f"{nll:.4f} nat, {100 * expected_calibration_error(confidence_levels(np.minimum(confidence, 1.0), correct), BINS)[0]:.2f} %"


def errors(logits: np.ndarray, labels: np.ndarray) -> list[str]:
    """Values on the raw logits."""
    from netcal.metrics import ECE
    from torch_uncertainty.metrics.classification import AUGRC, AURC, BrierScore, CalibrationError
    from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

    n, classes = logits.shape
    tensor, truth = torch.from_numpy(logits).double().softmax(1), torch.from_numpy(labels)
    probability = tensor.numpy()
    confidence, correct = probability.max(axis=1), probability.argmax(axis=1) == labels
    levels = confidence_levels(confidence, correct)
    brier = float(np.square(probability - np.eye(classes)[labels]).sum(axis=1).mean())
    ours, seconds = timed(lambda: (expected_calibration_error(levels, BINS)[0], area_under_risk_coverage(levels)[0], area_under_generalized_risk(levels)[0]))

    def theirs() -> list[float]:
        metrics = (CalibrationError("multiclass", adaptive=True, num_bins=BINS, num_classes=classes), AURC(), AUGRC())
        return [float(metric(tensor, truth)) for metric in metrics]

    other, spent = timed(theirs)
    first = 1.0 - correct[np.argsort(-confidence, kind="stable")[0]]
    # Theirs is the mean over coverages 1/n … 1; ours begins at 0.
    augrc = other[2] * (1 - 1 / n) + first / (2 * n * n)
    by_class = classwise_ece(probability, labels, [str(k) for k in range(classes)], ResamplingSettings(BINS, 2, lambda: None), [SEED]).values.mean()
    alone = [expected_calibration_error(confidence_levels(probability[:, k], labels == k), BINS)[0] for k in range(classes)]
    wide = [float(binary_calibration_error(tensor[:, k], (truth == k).int(), n_bins=BINS)) for k in range(classes)]
    nll = float(-np.log(probability[np.arange(n), labels]).mean())
    score = BrierScore(num_classes=classes)
    rows = [
        ("NLL", nll, "scikit-learn", float(log_loss(labels, probability, labels=range(classes)))),
        ("Brier score", brier, "torch-uncertainty", float(score(tensor, truth))),
        ("ECE, equal mass", float(ours[0]), "torch-uncertainty (adaptive)", other[0]),
        ("ECE, equal mass", float(ours[0]), "torchmetrics, equal width", float(multiclass_calibration_error(tensor, truth, classes, n_bins=BINS))),
        ("ECE, equal mass", float(ours[0]), "netcal ECE, equal width", float(ECE(BINS).measure(probability, labels))),
        ("class-wise ECE", float(by_class), "one against the rest, class by class", float(np.mean(alone))),
        ("class-wise ECE", float(by_class), "torchmetrics, equal width", float(np.mean(wide))),
        ("AURC", float(ours[1]), "torch-uncertainty, trapezoids from coverage 1/n", other[1]),
        ("AUGRC", float(ours[2]), "torch-uncertainty, from coverage 0", augrc),
    ]
    return [
        "## Errors",
        "",
        "| what | ours | who | theirs | difference |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {what} | {value:.6f} | {who} | {their:.6f} | {value - their:+.1e} |" for what, value, who, their in rows),
        "",
        f"ECE, AURC and AUGRC together took {1000 * seconds:.1f} ms here and {1000 * spent:.1f} ms in torch-uncertainty: a ratio of {seconds / spent:.2f}.",
    ]


def conformal(logits: np.ndarray, labels: np.ndarray, ids: list[str]) -> list[str]:
    """Thresholds and sets of the same split without the lot, then coverage over twenty splits with it."""
    stand_in: Any = types.ModuleType("torchsort")  # torchcp's training losses want it; its scores don't
    stand_in.soft_rank = stand_in.soft_sort = None
    sys.modules.setdefault("torchsort", stand_in)
    from torchcp.classification.predictor import SplitPredictor
    from torchcp.classification.score import APS, LAC, RAPS

    drawn = draw_splits(ids, SPLITS, 0.5, SEED)
    calibrating = drawn.calibration[:, 0]
    tensor, truth = torch.from_numpy(logits), torch.from_numpy(labels)
    peers = {"thr": LAC(), "aps": APS(randomized=False), "raps": RAPS(randomized=False, penalty=PENALTY, kreg=FREE)}
    of, mine = timed(lambda: rank_classes(logits, labels))  # once for all three, as the evaluator does
    rows, theirs = [], 0.0
    for name, score in nonconformity_scores(PENALTY, FREE).items():

        def ours(score: Any = score) -> tuple[float, np.ndarray, np.ndarray]:
            scores = score.scores(of.probability, np.zeros(len(labels)))
            true = np.take_along_axis(scores, of.true_rank[:, None], axis=1)[:, 0]
            cut = conformal_threshold(true[calibrating], ALPHA)
            return cut, (scores[~calibrating] <= cut).sum(axis=1), true[~calibrating] <= cut

        def peer(name: str = name) -> tuple[float, torch.Tensor]:
            predictor = SplitPredictor(peers[name], alpha=ALPHA)
            predictor.calculate_threshold(tensor[calibrating], truth[calibrating], ALPHA)
            return float(predictor.q_hat), predictor.predict_with_logits(tensor[~calibrating])

        (cut, sizes, covered), seconds = timed(ours)
        (other, sets), spent = timed(peer)
        mine, theirs = mine + seconds, theirs + spent
        their_covered = sets.gather(1, truth[~calibrating][:, None])[:, 0].numpy().astype(bool)
        alike = ((sets.sum(1).numpy() == sizes) & (their_covered == covered)).mean()
        their_size = float(sets.sum(1).float().mean())
        rows.append(
            f"| {name} | {cut:.6f} | {other:.6f} | {covered.mean():.4f} | {their_covered.mean():.4f} | {sizes.mean():.4f} | {their_size:.4f} "
            f"| {100 * alike:.2f} % |"
        )
    return [
        "## Prediction sets",
        "",
        f"One split, α = {ALPHA}, APS and RAPS without the lot, so that both packages must give the same sets.",
        "",
        "| method | our threshold | torchcp's | our coverage | torchcp's | our size | torchcp's | same set |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
        f"All three took {mine / theirs:.2f} of torchcp's time.",
        "",
        *_many(logits, labels, drawn),
    ]


def _many(logits: np.ndarray, labels: np.ndarray, drawn: Any) -> list[str]:
    inputs = ConformalInputs(rank_classes(logits, labels), drawn, lambda: None)
    tested = int(drawn.test[:, 0].sum())
    low, high = coverage_distribution(drawn.calibration_size, tested, ALPHA).ppf((0.025, 0.975)) / tested
    rows = []
    for name, score in nonconformity_scores(PENALTY, FREE).items():
        (sets,) = build_prediction_sets(score, inputs, (ALPHA,), (), np.ones((1, len(labels)))).sets
        coverages = sets.coverages
        within = int(((coverages >= low - 1e-12) & (coverages <= high + 1e-12)).sum())
        rows.append(f"| {name} | {coverages.mean():.4f} | {coverages.min():.4f} – {coverages.max():.4f} | {within} of {SPLITS} | {sets.mean_size:.3f} |")
    return [
        f"{SPLITS} random splits, {drawn.calibration_size:,} to calibrate and {tested:,} to test, with the lot. By the beta-binomial law 95 % of splits cover "
        f"{100 * low:.2f} – {100 * high:.2f} %.",
        "",
        "| method | mean coverage | lowest – highest | within the law | mean size |",
        "| --- | --- | --- | --- | --- |",
        *rows,
    ]


if __name__ == "__main__":
    main()
