#!/usr/bin/env python3
"""Which evaluators that look inside a network work for which: small networks of five libraries with random weights, a few random images.

    python scripts/view_table.py [NAME ...]      a Markdown table, then why what is unsupported is so
    python scripts/view_table.py --same          one network as timm, with nn.TransformerEncoder and with lists of layers: by how much the numbers differ

The numbers mean nothing; that there are some, or a reason, does.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "models")]

import timm  # noqa: E402 - found by the path above
import torch  # noqa: E402
import torchvision  # noqa: E402
import transformers  # noqa: E402
import view_networks  # noqa: E402
from test_view import Odd, Stated  # noqa: E402
from test_view_libraries import STAGES, TINY  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from efficient360 import api  # noqa: E402

CLASSES = 5
PLAIN = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": CLASSES}
WINDOWS = {"img_size": 32, "patch_size": 2, "embed_dim": 8, "depths": (1, 1), "num_heads": (2, 2), "window_size": 4, "num_classes": CLASSES}
SETTINGS: dict[str, dict[str, Any]] = {
    "faithfulness": {"explainers": ["gradcam", "attention-rollout", "chefer"], "examples": 4, "points": 2, "squares": 2, "checked": 1, "draws": 1, "shown": 0},
    "feature_spectrum": {"examples": 4, "bands": [0.5], "attention_examples": 4, "hessian_examples": 0},
    "weight_spectrum": {"images": 0, "training_examples": 8},
    "macs": {},
    "out_of_distribution": {"images": 20, "training_examples": 40, "neighbours": 3, "resamples": 20, "refits": 2},
    "uncertainty": {"examples": 8, "training_examples": 20, "weight_draws": 3, "passes": 2, "resamples": 20},
    "continual": {
        "streams": ["corruptions"],
        "methods": ["naive", "joint"],
        "corruptions": ["fog", "contrast"],
        "images": 10,
        "tested": 10,
        "steps": 1,
        "batch": 4,
    },
    "private_training": {"epsilons": [8.0], "layers": ["head", "all"], "examples": 20, "tested": 10, "steps": 1, "batch": 8},
    "compression": {"examples": 8, "variants": ["half", "token_merging:40"], "resamples": 20},
}
COLUMNS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "Grad-CAM": ("faithfulness", lambda o: o.conditions.get("explainer") == "gradcam"),
    "rollout": ("faithfulness", lambda o: o.conditions.get("explainer") == "attention-rollout"),
    "Chefer": ("faithfulness", lambda o: o.conditions.get("explainer") == "chefer"),
    "tokens by block": ("feature_spectrum", lambda o: o.metric is not None and o.metric.name in {"token_similarity", "high_frequency_loss"}),
    "attention": ("feature_spectrum", lambda o: o.metric is not None and o.metric.name.startswith("attention")),
    "roles of weights": ("weight_spectrum", lambda o: o.metric is not None and "rank" in o.metric.name),
    "MACs": ("macs", lambda o: o.metric is not None and o.metric.name == "macs"),
    "features (OOD)": ("out_of_distribution", lambda o: o.conditions.get("detector") in {"knn", "mahalanobis"}),
    "Laplace": ("uncertainty", lambda o: o.conditions.get("method") == "laplace"),
    "MC dropout": ("uncertainty", lambda o: o.conditions.get("method") == "mc-dropout"),
    "continual": ("continual", lambda o: True),
    "private, head": ("private_training", lambda o: o.conditions.get("layers") == "head"),
    "private, all": ("private_training", lambda o: o.conditions.get("layers") == "all"),
    "token merging": ("compression", lambda o: o.conditions.get("compressor") == "token_merging"),
}


def hub(kind: str, changes: dict[str, Any]) -> nn.Module:
    """An image classifier of transformers with random weights."""
    config = transformers.AutoConfig.for_model(kind, **changes)
    made: nn.Module = transformers.AutoModelForImageClassification.from_config(config)
    return made


NETWORKS: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "timm ViT": (16, view_networks.timm_vit),
    "timm ViT, 4 registers": (32, lambda: timm.create_model("vit_small_patch14_reg4_dinov2", **PLAIN)),
    "timm SigLIP (no class token)": (32, lambda: timm.create_model("vit_base_patch16_siglip_224", **PLAIN)),
    "timm Swin": (32, lambda: timm.create_model("swin_tiny_patch4_window7_224", **WINDOWS)),
    "timm CaiT": (32, lambda: timm.create_model("cait_xxs24_224", **PLAIN)),
    "timm MobileViT": (64, lambda: timm.create_model("mobilevit_xxs", num_classes=CLASSES)),
    "transformers ViT": (32, lambda: hub("vit", TINY)),
    "transformers DeiT": (32, lambda: hub("deit", TINY | {"architectures": ["DeiTForImageClassification"]})),
    "transformers BEiT": (32, lambda: hub("beit", TINY)),
    "transformers DINOv2": (32, lambda: hub("dinov2", TINY | {"mlp_ratio": 2})),
    "transformers Swin": (32, lambda: hub("swin", STAGES)),
    "transformers ConvNeXt": (32, lambda: hub("convnext", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "num_labels": CLASSES})),
    "torchvision ViT": (32, lambda: torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=CLASSES)),
    "torchvision Swin": (32, lambda: torchvision.models.SwinTransformer([2, 2], 8, [1, 1], [2, 2], [4, 4], num_classes=CLASSES)),
    "nn.TransformerEncoder": (16, lambda: view_networks.as_encoder(view_networks.timm_vit())),
    "nn.TransformerEncoder, dropout": (16, lambda: view_networks.EncoderViT(dropout=0.1)),
    "lists of layers (vit-pytorch)": (16, view_networks.ListedViT),
    "own, no softmax, two heads": (16, Odd),
    "the same, stating its view": (16, Stated),
}


def images(count: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random images and labels in turn."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((count, 3, side, side), generator=generator), torch.arange(count) % CLASSES


def outcomes_of(network: nn.Module, side: int) -> list[tuple[str, Any]]:
    """Each evaluator's outcomes for a network."""
    with tempfile.TemporaryDirectory() as folder:
        report = api.evaluate(
            network,
            images(40, side, 1),
            only=list(SETTINGS),
            settings=SETTINGS,
            training=images(40, side, 2),
            out=Path(folder) / "run",
            progress=False,
            mean=[0.5] * 3,
            std=[0.5] * 3,
            class_names=[f"class {i}" for i in range(CLASSES)],
        )
        return [(record.evaluator, record.outcome) for record in report.report.records]


def row(name: str, reasons: dict[str, list[str]]) -> list[str]:
    """The cells of one network; why a cell has no number is added to ``reasons``."""
    side, build = NETWORKS[name]
    torch.manual_seed(0)
    outcomes = outcomes_of(view_networks.spread(build()), side)
    cells = []
    for column, (evaluator, ours) in COLUMNS.items():
        # A failure of the whole evaluator has no conditions and no metric.
        own = [o for e, o in outcomes if e == evaluator and (ours(o) or (o.metric is None and not o.conditions))]
        failed = [o for o in own if not hasattr(o, "value")]
        if own and len(failed) < len(own):
            cells.append("✓")
            continue
        code = failed[0].code if failed else "?"
        cells.append(code)
        if failed:
            reasons.setdefault(f"{column} · {failed[0].status} · {failed[0].message} → {failed[0].hint}", []).append(name)
    return cells


def same() -> None:
    """Print how far the numbers of one network in three styles lie apart."""
    plain = view_networks.timm_vit(qkv_bias=False)
    styles = {"nn.TransformerEncoder": view_networks.as_encoder(view_networks.timm_vit()), "lists of layers": view_networks.as_listed(plain)}
    for style, network in styles.items():
        timms = outcomes_of(view_networks.timm_vit() if style.startswith("nn.") else plain, view_networks.SIZE[1])
        values = [{(e, o.metric.name, str(dict(o.conditions))): o for e, o in found if o.metric is not None} for found in (timms, outcomes_of(network, 16))]
        for evaluator in SETTINGS:
            keys = [key for key in values[0] if key[0] == evaluator]
            both = [(values[0][key], values[1].get(key)) for key in keys]
            pairs = [(a.value, b.value, key) for key, (a, b) in zip(keys, both, strict=True) if hasattr(a, "value") and b is not None and hasattr(b, "value")]
            apart = sorted(((abs(a - b) / max(abs(a), 1e-3), key[1:], a, b) for a, b, key in pairs), reverse=True)
            one_sided = [key[1:] for key, (a, b) in zip(keys, both, strict=True) if hasattr(a, "value") != (b is not None and hasattr(b, "value"))]
            print(f"{style}, {evaluator}: {len(pairs)} numbers, largest differences {apart[:2]}, one-sided {one_sided[:3]}", flush=True)


def main() -> None:
    """Print the table."""
    if sys.argv[1:] == ["--same"]:
        same()
        return
    reasons: dict[str, list[str]] = {}
    print("| network |", " | ".join(COLUMNS), "|")
    print("|", " | ".join(["---"] * (len(COLUMNS) + 1)), "|")
    for name in sys.argv[1:] or NETWORKS:
        try:
            print(f"| {name} |", " | ".join(row(name, reasons)), "|", flush=True)
        except Exception as error:  # one network's trouble is not the others'
            print(f"| {name} | {type(error).__name__}: {error} |", flush=True)
    for reason, names in reasons.items():
        print(f"\n{', '.join(names)}:\n    {reason}")


if __name__ == "__main__":
    main()
