"""Out-of-distribution detectors against pytorch-ood and the last-layer Laplace approximation against laplace-torch, on the same logits and features.

    python benchmarks/ood_agreement.py CHECKPOINT --dataset cifar10 --data-dir DIR [--images 1000] [--out FILE]

Both sides get what is computed once: logits and features of the evaluated images, of each set and of training images. pytorch-ood and laplace-torch are no
dependencies of the project: run this with an interpreter that has them beside it.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.covariance
import sklearn.neighbors  # noqa: F401 - both sides use scikit-learn, and neither is to pay for importing it
import torch
from clock import Clock
from torch import nn

from efficient360.datasets.class_matching import kept_outputs
from efficient360.datasets.loader import open_dataset, open_split
from efficient360.datasets.others import other_set, unseen_set
from efficient360.datasets.spec import DatasetSpec
from efficient360.evaluator import Deadline
from efficient360.execution.predictions import predict
from efficient360.methods.uncertainty.bootstrap import original_sample
from efficient360.methods.uncertainty.laplace import append_bias_column, fit_last_layer_laplace
from efficient360.methods.uncertainty.model_outputs import ModelOutputs, predict_examples
from efficient360.methods.uncertainty.ood_datasets import OodDataset, OodKind, generated_datasets, ood_dataset
from efficient360.methods.uncertainty.ood_detectors import DETECTORS, LOGIT_DETECTORS, fit_feature_detector
from efficient360.methods.uncertainty.ood_metrics import detection_metrics
from efficient360.methods.uncertainty.predictive_distribution import average_members
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

SEED, ROWS, NEIGHBOURS, DRAWS = 0, 256, 10, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--max-examples", type=int, default=10_000)
    parser.add_argument("--training", type=int, default=5000)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--work", type=Path, help="where predictions are kept between runs")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    work = asked.work or Path(tempfile.mkdtemp())
    name, data = read(asked, work)
    text = "\n".join([f"## {name}, {asked.dataset}", "", *detectors(data), "", *laplace(data), ""])
    print(text)
    if asked.out:
        with asked.out.open("a", encoding="utf-8") as file:
            file.write(text + "\n")


def read(asked: argparse.Namespace, work: Path) -> tuple[str, dict[str, Any]]:
    """Everything that both sides look at."""
    checkpoint = resolve(CheckpointSpec(asked.checkpoint))
    spec = DatasetSpec(asked.dataset, asked.data_dir, max_examples=asked.max_examples)
    dataset = open_dataset(spec, checkpoint, SEED)
    model = load_model(checkpoint, keep=kept_outputs(checkpoint, dataset.card, dataset.examples.class_names))
    known = [*dict.fromkeys((*dataset.examples.class_names, *checkpoint.class_names))]
    sets = [one for one in generated_datasets(known, model.input_size[1:], asked.images, SEED) if isinstance(one, OodDataset)]
    if asked.dataset != "digits":
        sets.append(ood_dataset(other_set("digits", checkpoint, SEED), OodKind.FAR, known, asked.images, SEED))
    if dataset.unseen:
        sets.append(ood_dataset(unseen_set(dataset, asked.data_dir, checkpoint, SEED), OodKind.NEAR, known, 2 * asked.images, SEED))

    def outputs_on(examples: Any, name: str) -> ModelOutputs:
        if hasattr(examples, "table"):
            folder = work / f"{checkpoint.name}-{name.replace(' ', '-')}-{len(examples)}"
            folder.mkdir(parents=True, exist_ok=True)
            examples = predict(model, examples, folder, ROWS, 0, Deadline(), lambda done, total: None)
        return predict_examples(model, examples, ROWS)

    training = open_split(dataset.card, "train", asked.data_dir, checkpoint, SEED)
    part = training.subset(asked.training, SEED)
    return checkpoint.name, {
        "model": model,
        "inside": outputs_on(dataset.examples, "test"),
        "labels": dataset.examples.labels,
        "training": outputs_on(part, "train"),
        "training_labels": part.labels,
        "stands_for": len(training) / len(part),
        "sets": [(one.name, str(one.kind), outputs_on(one.examples, one.name)) for one in sets],
    }


def measured(inside: np.ndarray, outside: np.ndarray) -> tuple[float, float]:
    """AUROC and FPR95, ours."""
    metrics = detection_metrics(inside, outside, original_sample(len(inside)), original_sample(len(outside)))
    return float(metrics.auroc[0]), float(metrics.fpr95[0])


def measured_by_peer(inside: torch.Tensor, outside: torch.Tensor) -> tuple[float, float]:
    """The same from pytorch-ood, whose scores are high outside. Its own FPR95 takes the outside for positive: sides are changed for ours."""
    from pytorch_ood.metrics.functional import auroc, fpr_at_tpr

    scores = torch.cat([inside, outside]).double()
    other_side = torch.arange(len(scores)) >= len(inside)
    return float(auroc(scores, torch.where(other_side, -1, 0))), float(fpr_at_tpr(-scores, torch.where(other_side, 0, -1)))


def tensor(rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows))


def asked_of(name: str, outputs: ModelOutputs) -> torch.Tensor:
    """What pytorch-ood's detector looks at; its KNN leaves bringing features to length 1 to its users."""
    if name in LOGIT_DETECTORS:
        return tensor(outputs.logits)
    return nn.functional.normalize(tensor(outputs.features)) if name == "knn" else tensor(outputs.features)


def peer_of(name: str, training: ModelOutputs, labels: np.ndarray) -> Callable[[torch.Tensor], torch.Tensor]:
    """The score of pytorch-ood's detector, fitted."""
    from pytorch_ood.detector import KNN, EnergyBased, Mahalanobis, MaxLogit, MaxSoftmax

    if name in LOGIT_DETECTORS:
        return {"msp": MaxSoftmax, "energy": EnergyBased, "max-logit": MaxLogit}[name](None).predict_logits
    fresh = Mahalanobis(None) if name == "mahalanobis" else KNN(None, k=NEIGHBOURS)
    return fresh.fit_features(asked_of(name, training), tensor(labels)).predict_features


def ours_on_all(name: str, data: dict[str, Any]) -> list[tuple[float, float]]:
    score = (
        LOGIT_DETECTORS[name].score if name in LOGIT_DETECTORS else fit_feature_detector(name, data["training"].features, data["training_labels"], NEIGHBOURS)
    )
    own = score(data["inside"])
    return [measured(own, score(outputs)) for _, _, outputs in data["sets"]]


def peer_on_all(name: str, data: dict[str, Any]) -> list[tuple[float, float]]:
    score = peer_of(name, data["training"], data["training_labels"])
    own = score(asked_of(name, data["inside"]))
    return [measured_by_peer(own, score(asked_of(name, outputs))) for _, _, outputs in data["sets"]]


def detectors(data: dict[str, Any]) -> list[str]:
    clock = Clock()
    lines = [
        f"Detectors beside pytorch-ood {version('pytorch-ood')}, whose figures stand in brackets: {len(data['inside'].logits):,} images in distribution, "
        f"{len(data['training_labels']):,} training images, k = {NEIGHBOURS}.",
        "",
        "| detector | set | kind | images | AUROC | FPR95 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    summary = ["", "| detector | largest difference | ours, s | pytorch-ood, s | ratio |", "| --- | --- | --- | --- | --- |"]
    for name in DETECTORS:
        ours = clock.take(f"{name} ours", partial(ours_on_all, name, data))
        theirs = clock.take(f"{name} theirs", partial(peer_on_all, name, data))
        for (dataset, kind, outputs), own, other_side in zip(data["sets"], ours, theirs, strict=True):
            both = [f"{a:.4f} ({b:.4f})" for a, b in zip(own, other_side, strict=True)]
            lines.append(f"| {name} | {dataset} | {kind} | {len(outputs.logits):,} | {both[0]} | {both[1]} |")
        mine, peers = clock.seconds[f"{name} ours"], clock.seconds[f"{name} theirs"]
        summary.append(f"| {name} | {np.abs(np.array(ours) - np.array(theirs)).max():.1e} | {mine:.3f} | {peers:.3f} | {mine / peers:.2g} |")
    return lines + summary


def laplace(data: dict[str, Any]) -> list[str]:
    from laplace import Laplace
    from torch.utils.data import DataLoader, TensorDataset

    inside, training, labels, truth = data["inside"], data["training"], data["training_labels"], data["labels"]
    layer: nn.Linear = data["model"].classifier().double()
    ours, theirs = Clock(), Clock()
    fitted = ours.take("fit", lambda: fit_last_layer_laplace(layer, training, 1.0))
    mine = ours.take("predict", lambda: average_members(fitted.sample_logits(inside.features, DRAWS, SEED, lambda: None)).probability)
    layer.requires_grad_(requires_grad=True)
    loader = DataLoader(TensorDataset(torch.from_numpy(training.features).double(), torch.from_numpy(labels)), batch_size=ROWS)

    def fit() -> Any:
        found = Laplace(layer, "classification", subset_of_weights="all", hessian_structure="full", prior_precision=1.0)
        found.fit(loader)
        found.optimize_prior_precision(method="marglik")
        return found

    torch.manual_seed(SEED)
    peer = theirs.take("fit", fit)
    wide = torch.from_numpy(inside.features).double()
    theirs_mean = theirs.take("predict", lambda: torch.cat([peer(some, pred_type="glm", link_approx="mc", n_samples=DRAWS) for some in wide.split(ROWS)]))
    probability = theirs_mean.detach().numpy()
    precision = float(peer.prior_precision.mean())
    # The variance of each logit, both under our prior: what the curvature says, whatever the prior's choice.
    peer.prior_precision = torch.tensor(fitted.precision, dtype=torch.float64)
    _, their_variance = peer._glm_predictive_distribution(wide[:50])
    rows = append_bias_column(inside.features[:50], fitted.weights.shape[1])
    k, d = fitted.weights.shape
    covariance = np.stack([fitted.curvature.to_weights(one.reshape(k, d)).ravel() for one in np.eye(k * d)], axis=1)
    covariance = (covariance / (fitted.curvature.eigenvalues.ravel() + fitted.precision)) @ covariance.T
    blocks = np.einsum("nd,kdle,ne->nkl", rows, covariance.reshape(k, d, k, d), rows)
    off = float(np.abs(blocks - their_variance.detach().numpy()).max() / np.abs(blocks).max())
    plain = average_members([inside.logits]).probability
    nll = lambda p: float(-np.log(p[np.arange(len(truth)), truth]).mean())  # noqa: E731
    return [
        f"Last-layer Laplace beside laplace-torch {version('laplace-torch')}: the whole matrix of {k * d:,} weights on the same {len(labels):,} features, "
        f"which stand for themselves alone here; {DRAWS} draws.",
        "",
        "| | ours | laplace-torch |",
        "| --- | --- | --- |",
        f"| prior precision by marginal likelihood | {fitted.precision:.4g} | {precision:.4g} |",
        f"| NLL (plain answer {nll(plain):.4f}) | {nll(mine):.4f} | {nll(probability):.4f} |",
        f"| fit, s | {ours.seconds['fit']:.2f} | {theirs.seconds['fit']:.2f} (ratio {ours.seconds['fit'] / theirs.seconds['fit']:.2g}) |",
        f"| predict, s | {ours.seconds['predict']:.2f} | {theirs.seconds['predict']:.2f} (ratio {ours.seconds['predict'] / theirs.seconds['predict']:.2g}) |",
        "",
        f"Covariance of the logits under one prior: largest relative difference {off:.1e}. Largest difference of a mean probability, both of "
        f"{DRAWS} draws: {np.abs(mine - probability).max():.3f}.",
    ]


if __name__ == "__main__":
    main()
