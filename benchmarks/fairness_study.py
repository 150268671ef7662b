"""Group fairness against fairlearn called by hand, and how often it raises a false alarm or misses a gap.

    python benchmarks/fairness_study.py equality CHECKPOINT --data-dir DIR [--examples 10000]
    python benchmarks/fairness_study.py faces
    python benchmarks/fairness_study.py alarms [--repeats 200]

``equality`` runs the evaluator on CIFAR-10 with groups taken from the pixels and compares every number with fairlearn's. ``faces`` makes a data set of
FairFace's columns whose drawn faces tell their gender, with ten points more of them mislabelled in one group, and reads it through the FairFace card.
``alarms`` makes data sets of 1,600 examples in four groups, alike or with one of them ten points worse, and counts p-values of 5 % or less.
"""

import argparse
import math
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fairlearn.metrics import MetricFrame, demographic_parity_difference, equalized_odds_difference
from sklearn.metrics import accuracy_score

from datasets import ClassLabel, Dataset, Features, Image, Value
from efficient360.conformance import subject
from efficient360.core.groupings import group_by, quantile_groups
from efficient360.core.measurement import Measurement
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.evaluator import Context, Deadline
from efficient360.evaluators.group_fairness import TRAITS, GroupFairness
from efficient360.execution.predictions import predict
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.methods.fairness.analysis import FairnessOptions, analyse_grouping
from efficient360.methods.fairness.disparity import GroupedPredictions
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import Model
from efficient360.models.references import resolve
from efficient360.storage.row_log import RowLog

AGES = ["0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"]
RACES = ["East Asian", "Indian", "Black", "White", "Middle Eastern", "Latino_Hispanic", "Southeast Asian"]


def measured(model, examples, evaluator, checkpoint):
    """The evaluator's table and outcomes, and how long scoring and finishing took."""
    with tempfile.TemporaryDirectory() as folder:
        log = RowLog(Path(folder) / "logits.f32", model.num_classes)
        predicted = predict(model, examples, log, 256, 0, Deadline(), lambda done, total: None)
        context = Context(checkpoint, predicted, None, 0, 256, Deadline(), Path(folder))
        began = time.perf_counter()
        table = score_all(evaluator, model, predicted, context, context.progress)
        middle = time.perf_counter()
        outcomes = outcomes_of(evaluator, model, table, context)
        return table, outcomes, middle - began, time.perf_counter() - middle


def compare(labels, predicted, groups, outcomes, name: str) -> float:
    """Largest difference from fairlearn over everything told of one grouping."""
    told = {(o.metric.name, *map(str, o.conditions.values())): o.value for o in outcomes if isinstance(o, Measurement) and o.conditions.get("groups") == name}
    frame = MetricFrame(metrics=accuracy_score, y_true=labels, y_pred=predicted, sensitive_features=groups)
    classes = range(int(labels.max()) + 1)
    odds = [equalized_odds_difference(labels == c, predicted == c, sensitive_features=groups) for c in classes]
    parity = [demographic_parity_difference(labels == c, predicted == c, sensitive_features=groups) for c in classes]
    theirs = {
        ("accuracy_difference", name): frame.difference(),
        ("accuracy_ratio", name): frame.ratio(),
        ("worst_group_accuracy", name): frame.group_min(),
        ("equalized_odds_difference", name, "mean"): np.mean(odds),
        ("equalized_odds_difference", name, "worst"): np.max(odds),
        ("demographic_parity_difference", name, "mean"): np.mean(parity),
        ("demographic_parity_difference", name, "worst"): np.max(parity),
    } | {("group_accuracy", name, str(group)): value for group, value in frame.by_group.items()}
    worst = max(abs(told[key] - value) for key, value in theirs.items())
    gap, p = told["accuracy_difference", name], told["accuracy_difference_p_value", name]
    print(f"| {name} | {len(theirs)} | {worst:.1e} | {100 * gap:.1f} | {100 * told['accuracy_difference_excess', name]:.1f} | {p:.2g} |")
    return worst


HEAD = "| grouping | numbers compared | largest difference from fairlearn | accuracy difference, points | beyond chance | p |\n" + "| --- " * 6 + "|"


def equality(options: argparse.Namespace) -> None:
    checkpoint = resolve(CheckpointSpec(options.checkpoint))
    spec = DatasetSpec("cifar10", options.data_dir, max_examples=options.examples)
    examples = open_dataset(spec, checkpoint, 0).examples
    evaluator = GroupFairness(minimum_class=1)
    table, outcomes, scoring, finishing = measured(load_model(checkpoint), examples, evaluator, checkpoint)
    predicted = table.columns["prediction", frozenset()].astype(int)
    print(HEAD)
    for name in evaluator.derived:
        grouping = quantile_groups(f"{name.replace('_', ' ')} (proxy)", table.column(TRAITS[name]), 3)
        compare(table.labels, predicted, [grouping.names[code] for code in grouping.codes], outcomes, grouping.name)
    print(f"\n{len(examples)} images; scoring (decoding for the proxies) {scoring:.1f} s, finishing {finishing:.1f} s")


@dataclass(frozen=True)
class Reader(Model):
    """Tells the gender of a drawn face by its hair, which is dark or light."""

    num_classes = 2
    input_size = (3, 32, 32)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        hair = images[:, :, 3:7, 12:20].mean((1, 2, 3))
        return torch.stack([0.5 - hair, hair - 0.5], dim=1) * 6


def face(skin: int, hair: int, rng: np.random.Generator) -> dict[str, object]:
    y, x = np.mgrid[:32, :32]
    image = np.full((32, 32, 3), rng.integers(90, 160), dtype=np.float64)
    head = ((x - 16) / 9) ** 2 + ((y - 17) / 12) ** 2 <= 1
    image[head] = (skin, 0.8 * skin, 0.65 * skin)
    image[head & (y < 10)] = hair
    image[(np.abs(x - 12) < 2) & (np.abs(y - 15) < 2)] = image[(np.abs(x - 20) < 2) & (np.abs(y - 15) < 2)] = 20
    pixels = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    return {"bytes": b"P6 32 32 255\n" + pixels.tobytes(), "path": None}


def faces(_options: argparse.Namespace) -> None:
    rng, n = np.random.default_rng(0), 4900
    race, age, gender = np.arange(n) % 7, rng.integers(0, 9, n), rng.integers(0, 2, n)
    wrong = rng.random(n) < np.where(race == 3, 0.15, 0.05)
    said = np.where(wrong, 1 - gender, gender)
    columns = {
        "image": [face(80 + 25 * r, 210 if s else 30, rng) for r, s in zip(race, said, strict=True)],
        "age": age,
        "gender": gender,
        "race": race,
        "service_test": [False] * n,
    }
    features = Features(
        {
            "image": Image(decode=False),
            "age": ClassLabel(names=AGES),
            "gender": ClassLabel(names=["Male", "Female"]),
            "race": ClassLabel(names=RACES),
            "service_test": Value("bool"),
        }
    )
    checkpoint = subject().checkpoint
    with tempfile.TemporaryDirectory() as folder:
        Dataset.from_dict(columns, features=features).to_parquet(Path(folder) / "validation-00000-of-00001.parquet")
        examples = open_dataset(DatasetSpec("fairface", Path(folder)), checkpoint, 0).examples
        table, outcomes, _, finishing = measured(Reader(), examples, GroupFairness(derived=(), minimum_class=1), checkpoint)
    predicted = table.columns["prediction", frozenset()].astype(int)
    print(f"{n} drawn faces; the group {RACES[3]} is answered ten points worse\n\n{HEAD}")
    for column in ("race", "age"):
        compare(table.labels, predicted, list(table.groups[column]), outcomes, column)
    (gap,) = [o for o in outcomes if o.metric.name == "accuracy_difference" and o.conditions == {"groups": "race"}]
    print(f"\nby race {100 * gap.value:.1f} points, 95 % interval {100 * gap.interval.low:.1f} – {100 * gap.interval.high:.1f}")
    (summary,) = [o for o in outcomes if o.metric.name == "largest_gap_excess"]
    print("\n".join("; ".join(map(str, row)) for row in summary.extra[-1].rows if row[0] == "race"))
    print(f"finishing {finishing:.1f} s")


def alarms(options: argparse.Namespace) -> None:
    rng, counts = np.random.default_rng(0), {}
    analysis_options = FairnessOptions(30, 10, 499, 499, lambda: None)
    for repeat in range(options.repeats):
        for kind, accuracy in (("alike", (0.85,) * 4), ("ten points", (0.85, 0.85, 0.85, 0.75))):
            codes = np.repeat(np.arange(4), 400)
            labels = rng.integers(0, 4, 1600)
            right = rng.random(1600) < np.asarray(accuracy)[codes]
            predicted = np.where(right, labels, (labels + rng.integers(1, 4, 1600)) % 4)
            confidence = np.full(1600, np.mean(accuracy))
            predictions = GroupedPredictions(labels, predicted, confidence, codes, 4)
            analysis = analyse_grouping(predictions, group_by("group", ["abcd"[c] for c in codes]), analysis_options, [repeat])
            true = max(accuracy) - min(accuracy)
            row = counts.setdefault(kind, {"accuracy": 0, "odds": 0, "parity": 0, "calibration": 0, "covered": 0, "raw": []})
            row["accuracy"] += analysis.accuracy.versus_null.p_value <= 0.05
            row["odds"] += analysis.equalized_odds[1].versus_null.p_value <= 0.05
            row["parity"] += analysis.demographic_parity[1].versus_null.p_value <= 0.05
            row["calibration"] += analysis.calibration[0].versus_null.p_value <= 0.05
            row["covered"] += analysis.accuracy.interval.low <= true <= analysis.accuracy.interval.high
            row["raw"].append((analysis.compared_groups.difference, analysis.accuracy.versus_null.excess))
    print("| groups | accuracy p ≤ 5 % | odds (worst class) | parity (worst class) | calibration | interval holds the true gap | raw gap | beyond chance |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind, row in counts.items():
        shares = [f"{row[k]} of {options.repeats}" for k in ("accuracy", "odds", "parity", "calibration", "covered")]
        raw, excess = np.mean(row["raw"], axis=0)
        print(f"| {kind} | {' | '.join(shares)} | {100 * raw:.1f} pt | {100 * excess:.1f} pt |")
    half = 1.96 * math.sqrt(0.05 * 0.95 / options.repeats)
    print(f"\nexpected false alarms: 5 % ± {100 * half:.1f}")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("equality")
    one.add_argument("checkpoint")
    one.add_argument("--data-dir", type=Path)
    one.add_argument("--examples", type=int, default=10000)
    one.set_defaults(run=equality)
    commands.add_parser("faces").set_defaults(run=faces)
    two = commands.add_parser("alarms")
    two.add_argument("--repeats", type=int, default=200)
    two.set_defaults(run=alarms)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main(sys.argv[1:])
