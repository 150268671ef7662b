"""Membership inference on a checkpoint that learned its images by heart and on one that didn't, checked by independent implementations.

    python benchmarks/membership_study.py prepare --data-dir DIR --folder DIR [--members 1000] [--epochs 40]
    python benchmarks/membership_study.py attack CHECKPOINT --data-dir DIR --folder DIR [--shadows 16] [--minutes 5] [--set KEY=VALUE ...]
    python benchmarks/membership_study.py table FOLDER FOLDER --privacy DIR [--out FILE]

``prepare`` writes Parquet files of ``--members`` training and as many test images, and a small ViT trained on the former until it errs on none; ``attack``
stops after its minutes and goes on when called again. ``table`` computes every attack once more: the signals from timm's logits by the statistics of
tensorflow-privacy, LiRA by its ``advanced_mia``, AUC and TPR by scikit-learn, RMIA pair by pair as its equation stands. ``--privacy`` is where the wheel of
tensorflow-privacy 0.8.11 is unpacked; the two modules used need no TensorFlow. The shadow models' answers are those that our run left, as is who is inside.
"""

import argparse
import importlib
import json
import platform
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score, roc_curve

from datasets import load_dataset
from efficient360.cli import parser as cli
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.evaluator import Deadline
from efficient360.methods.privacy import lira, rmia
from efficient360.methods.privacy.member_pairs import pair_members
from efficient360.methods.privacy.metrics import AUC, TPR
from efficient360.methods.privacy.shadow_training import ShadowRecipe, build_shadow, random_halves, train_shadow
from efficient360.methods.privacy.threshold_attacks import GRADIENT_NORM
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.references import resolve
from efficient360.storage.pixel_store import stored
from efficient360.storage.row_log import RowLog

SEED, SIZE, CLASSES = 0, (3, 32, 32), 10
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 128, "depth": 4, "num_heads": 4, "num_classes": CLASSES}
Scores = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("prepare")
    first.set_defaults(run=prepare)
    first.add_argument("--data-dir", type=Path, required=True)
    first.add_argument("--members", type=int, default=1000)
    first.add_argument("--epochs", type=int, default=40)
    second = commands.add_parser("attack")
    second.set_defaults(run=attack)
    second.add_argument("checkpoint")
    second.add_argument("--data-dir", type=Path, required=True)
    second.add_argument("--shadows", type=int, default=16)
    second.add_argument("--minutes", type=float, default=5)
    second.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more settings of membership_inference")
    for one in (first, second):
        one.add_argument("--folder", type=Path, required=True)
    third = commands.add_parser("table")
    third.set_defaults(run=table)
    third.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    third.add_argument("--privacy", type=Path, required=True)
    third.add_argument("--out", type=Path)
    asked = parser.parse_args()
    asked.run(asked)


def prepare(asked: argparse.Namespace) -> None:
    """The small data set and the checkpoint that knows its training split by heart."""
    kept = asked.folder / "data"
    kept.mkdir(parents=True, exist_ok=True)
    whole = load_dataset("parquet", data_files={split: str(asked.data_dir / f"{split}-*.parquet") for split in ("train", "test")})
    for split in ("train", "test"):
        chosen = whole[split].train_test_split(asked.members, stratify_by_column="label", seed=SEED)["test"]
        chosen.to_parquet(kept / f"{split}-00000-of-00001.parquet")
    shape = Preprocessing(SIZE, MEAN, STD, "bilinear")
    checkpoint = Checkpoint(CheckpointSpec("-"), "-", "vit_tiny_patch16_224", VIT, Origin.RANDOM, None, "-", shape, CLASSES)
    examples = open_dataset(DatasetSpec("cifar10", kept, "train"), checkpoint, SEED).examples
    pixels = stored(asked.folder / "pixels.u8", [examples], SIZE, 64, Deadline(), lambda *_: None)
    recipe = ShadowRecipe(epochs=asked.epochs)
    module = build_shadow(recipe, checkpoint, CLASSES, SEED)
    train_shadow(module, pixels, examples.labels, np.arange(len(examples)), recipe, SEED, Deadline(), lambda *_: None)
    with torch.inference_mode():
        right = float((module(pixels.images(np.arange(len(examples)))).argmax(1).numpy() == examples.labels).mean())
    save_file(dict(module.network.state_dict()), asked.folder / "vit-by-heart.safetensors", metadata={"format": "pt"})
    card = {
        "name": "vit-by-heart",
        "architecture": checkpoint.architecture,
        "model_args": VIT,
        "input_size": SIZE,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "mean": MEAN,
        "std": STD,
        "num_classes": CLASSES,
        "class_names": list(examples.class_names),
        "training": {"data": f"{len(examples)} images of the cifar10 train split", "schedule": f"{asked.epochs} epochs, no augmentation"},
        "measured": {"train_top1": right},
    }
    (asked.folder / "vit-by-heart.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    print(f"right on {right:.1%} of its {len(examples)} training images")


def attack(asked: argparse.Namespace) -> None:
    """Our evaluator, as its user calls it."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    settings = [f"shadows={asked.shadows}", *asked.set]
    typed = ["evaluate", asked.checkpoint, "--dataset", "cifar10", "--data-dir", str(asked.data_dir), "--only", "accuracy,membership_inference"]
    typed += [part for one in settings for part in ("--set", f"membership_inference.{one}")]
    (asked.folder / "asked.json").write_text(json.dumps({"checkpoint": asked.checkpoint, "data": str(asked.data_dir), "shadows": asked.shadows}))
    sys.exit(cli.run_command([*typed, "--seed", str(SEED), "--max-minutes", str(asked.minutes), "--out", str(asked.folder)]))


def table(asked: argparse.Namespace) -> None:
    """Both implementations' figures, and how far they differ."""
    sys.path.insert(0, str(asked.privacy))
    for name in ("tensorflow_privacy", "tensorflow_privacy.privacy", "tensorflow_privacy.privacy.privacy_tests"):
        package = types.ModuleType(name)  # their own __init__ files import TensorFlow
        package.__path__ = [str(asked.privacy / name.replace(".", "/"))]
        sys.modules[name] = package
    folder = "tensorflow_privacy.privacy.privacy_tests.membership_inference_attack"
    sys.modules[folder] = package = types.ModuleType(folder)
    package.__path__ = [str(asked.privacy / folder.replace(".", "/"))]
    theirs = importlib.import_module(f"{folder}.advanced_mia")
    lines = [
        "# Membership inference, and the same attacks by other implementations",
        "",
        f"Written by `python benchmarks/membership_study.py` (tensorflow-privacy 0.8.11's `advanced_mia`, scikit-learn, "
        f"torch {torch.__version__.partition('+')[0]}, {platform.machine()}). **gap**: largest difference of the AUC and of the TPR from theirs.",
        "",
        "| checkpoint | top-1, evaluated split | members | attack | AUC | TPR at 1 % FPR | gap |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run in asked.folders:
        lines += rows(run, theirs)
    print("\n".join(lines))
    if asked.out:
        asked.out.write_text("\n".join([*lines, ""]), encoding="utf-8")


def rows(run: Path, theirs: Any) -> list[str]:
    """One line an attack."""
    report, told = (json.loads((run / name).read_text(encoding="utf-8")) for name in ("report.json", "asked.json"))
    ours: dict[str, dict[str, dict[str, Any]]] = {}
    top1 = 0.0
    for one in report["outcomes"]:
        if one["kind"] == "measurement" and one["metric"] in (AUC.name, TPR.name) and one["conditions"].get("fpr", "1 %") == "1 %":
            ours.setdefault(one["conditions"]["attack"], {})[one["metric"]] = one
        top1 = one["value"] if one["metric"] == "top1" else top1
    scores, n = independent(told, next((run / "work").glob("membership_inference-*")), theirs)
    lines = []
    for name, found in ours.items():
        auc, tpr = found[AUC.name], found.get(TPR.name)
        gap = "one checkpoint's own gradients: no peer" if name == GRADIENT_NORM else f"{difference(scores[name], n, auc['value'], tpr and tpr['value']):.0e}"
        lines.append(f"| {report['checkpoint']['name']} | {top1:.1%} | {n:,} | {name} | {shown(auc)} | {shown(tpr)} | {gap} |")
    return lines


def difference(scores: np.ndarray, n: int, auc: float, tpr: float | None) -> float:
    """From scikit-learn's figures of the independent scores; AUC ties count half in both."""
    truth = np.arange(2 * n) < n
    gap = abs(float(roc_auc_score(truth, scores)) - auc)
    false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
    return gap if tpr is None else max(gap, abs(float(true[false <= 0.01 + 1e-12].max()) - tpr))


def independent(told: dict[str, Any], scratch: Path, theirs: Any) -> tuple[Scores, int]:
    """Every attack's scores, members first, higher for likelier members; and how many there are on a side."""
    checkpoint = resolve(CheckpointSpec(told["checkpoint"]))
    training, evaluated = (open_dataset(DatasetSpec("cifar10", Path(told["data"]), split), checkpoint, SEED).examples for split in ("train", "test"))
    n = len(RowLog(scratch / "signals-members.f64", 4, "float64"))
    chosen = pair_members(training, evaluated, None, SEED)
    if len(chosen) != n:
        raise SystemExit("some images are in both splits and were left out: this study takes data where none do")
    model = load_model(checkpoint)
    with torch.inference_mode():
        logits = torch.cat([model(batch.images) for side in (chosen.members, chosen.nonmembers) for batch in side.batches(64)]).double().numpy()
    labels = chosen.labels
    stat = {name: theirs.calculate_statistic(logits.copy(), labels, option=name) for name in ("xe", "logit", "hinge")}
    prob = theirs.convert_logit_to_prob(logits)
    scores = {"loss": -stat["xe"], "margin": stat["hinge"], "entropy": (prob * np.log(np.maximum(prob, 1e-300))).sum(1)}
    shadows = RowLog(scratch / "shadows.f64", 6 * n, "float64")
    if not len(shadows):
        return scores, n
    scaled, loss = (shadows.read(0, len(shadows)).reshape(len(shadows), 3, 2 * n)[:, i] for i in (0, 1))
    is_member = random_halves(2 * n, told["shadows"], SEED)
    within, without = ([values[mask[:, i], i][:, None] for i in range(2 * n)] for values, mask in ((scaled, is_member), (scaled, ~is_member)))
    target = stat["logit"][:, None]
    scores[lira.ONLINE] = -theirs.compute_score_lira(target, within, without, "both", fix_variance=True, median_or_mean="mean")
    scores[lira.OFFLINE] = theirs.compute_score_offset(target, within, without, "out", median_or_mean="mean")
    usual_in, usual_out = (np.array([np.exp(-loss[mask[:, i], i]).mean() for i in range(2 * n)]) for mask in (is_member, ~is_member))
    for name, usual in ((rmia.ONLINE, (usual_in + usual_out) / 2), (rmia.OFFLINE, ((1 + rmia.OFFLINE_A) * usual_out + 1 - rmia.OFFLINE_A) / 2)):
        scores[name] = pairwise(np.exp(-stat["xe"]) / usual)
    return scores, n


def pairwise(ratio: np.ndarray) -> np.ndarray:
    """Equation 4 of Zarifzadeh et al.: the share of non-members z with ratio(x) at least that of z, x itself not asked."""
    n = len(ratio) // 2
    return np.array([np.mean([mine >= ratio[z] for z in range(n, 2 * n) if z != x]) for x, mine in enumerate(ratio)])


def shown(one: dict[str, Any] | None) -> str:
    return "–" if one is None else f"{one['value']:.1%} ({one['interval'][0]:.1%} – {one['interval'][1]:.1%})"


if __name__ == "__main__":
    main()
