"""The bad-input table: each case run as a user would, the sentence it gets and the exit code.

python benchmarks/bad_input.py > benchmarks/results/bad_input.md
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file

from datasets import Dataset, Features, Image, Value

ARGUMENTS = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 10}
CARD = {"architecture": "vit_tiny_patch16_224", "model_args": ARGUMENTS, "input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}
DIGITS = ["--dataset", "digits"]


def prepare(folder: Path) -> None:
    """Checkpoints and data that are wrong in one way each."""
    weights = timm.create_model("vit_tiny_patch16_224", **ARGUMENTS).state_dict()

    def save(name: str, tensors: dict[str, torch.Tensor], card: dict[str, object]) -> None:
        save_file(tensors, folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(json.dumps(card))

    save("good", weights, CARD)
    save("missing", {k: v for k, v in weights.items() if "blocks.1" not in k}, CARD)
    save("unexpected", {**weights, "extra.weight": torch.ones(2)}, CARD)
    save("nan", {**weights, "norm.weight": torch.full((32,), torch.nan)}, CARD)
    save("classes", weights, CARD | {"model_args": ARGUMENTS | {"num_classes": 100}})
    save("architecture", weights, CARD | {"architecture": "vit_tinny_patch16_224"})
    save_file(weights, folder / "bare.safetensors")
    (folder / "truncated.safetensors").write_bytes((folder / "good.safetensors").read_bytes()[:5000])
    torch.save({"state_dict": weights, "hook": print}, folder / "pickle.pth")
    (folder / "notes.safetensors").write_text("not weights")
    for name in ("truncated", "notes"):
        (folder / f"{name}.json").write_text(json.dumps(CARD))
    features = Features({"image": Image(decode=False), "label": Value("int64")})
    pixels = b"P6 32 32 255\n" + np.zeros((32, 32, 3), np.uint8).tobytes()
    for name, cells, labels in (
        ("corrupt", [pixels[:99], pixels], [0, 9]),
        ("range", [pixels, pixels], [0, -1]),
        ("beyond", [pixels, pixels], [0, 10]),
        ("empty", [], []),
    ):
        Dataset.from_dict({"image": [{"bytes": c, "path": None} for c in cells], "label": labels}, features=features).to_parquet(folder / f"{name}.parquet")
    (folder / "broken.py").write_text("def f(:")
    (folder / "protocol.yaml").write_text("evaluators: {calibration: {bin: 3}}")
    (folder / "full").mkdir()
    (folder / "flat").mkdir()
    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        (folder / "photos" / name / "1.ppm").write_bytes(pixels)


def cases() -> Iterator[tuple[str, list[str]]]:
    """What is wrong, and what is typed after ``efficient360 evaluate``."""
    yield "wrong path", ["gone.safetensors", *DIGITS]
    yield "misspelt name", ["deit_tny_patch16_224", *DIGITS]
    yield "unknown tag", ["vit_tiny_patch16_224.augreg_in22k", *DIGITS]
    yield "hub not reachable (timm tag)", ["deit_tiny_patch16_224.fb_in1k", *DIGITS]
    yield "hub not reachable (hf-hub)", ["hf-hub:someone/tiny", *DIGITS]
    yield "no architecture", ["bare.safetensors", *DIGITS]
    yield "unknown architecture", ["architecture.safetensors", *DIGITS]
    yield "other architecture", ["good.safetensors", "--arch", "resnet18", *DIGITS]
    yield "missing keys", ["missing.safetensors", *DIGITS]
    yield "unexpected keys", ["unexpected.safetensors", *DIGITS]
    yield "class count of the head", ["classes.safetensors", *DIGITS]
    yield "class count of the data", ["good.safetensors", "--dataset", "imagefolder:photos"]
    yield "NaN weights", ["nan.safetensors", *DIGITS]
    yield "truncated file", ["truncated.safetensors", *DIGITS]
    yield "no weights file", ["notes.safetensors", *DIGITS]
    yield "pickle with code", ["pickle.pth", "--arch", "vit_tiny_patch16_224", *DIGITS]
    yield "EMA that is not there", ["good.safetensors", "--weights-key", "ema", *DIGITS]
    yield "unknown data set", ["good.safetensors", "--dataset", "cifar11"]
    yield "data set's hub not reachable", ["good.safetensors", "--dataset", "cifar10"]
    yield "no such split", ["good.safetensors", *DIGITS, "--split", "validation"]
    yield "no such column", ["good.safetensors", *DIGITS, "--label-column", "class"]
    yield "no files", ["good.safetensors", "--dataset", "parquet:gone.parquet"]
    yield "empty split", ["good.safetensors", "--dataset", "parquet:empty.parquet"]
    yield "label out of range", ["good.safetensors", "--dataset", "parquet:range.parquet"]
    yield "label beyond the checkpoint's classes", ["good.safetensors", "--dataset", "parquet:beyond.parquet"]
    yield "corrupt image", ["classes.safetensors", "--arch-arg", "num_classes=10", "--dataset", "parquet:corrupt.parquet", "--only", "accuracy"]
    yield "image folder without classes", ["good.safetensors", "--dataset", "imagefolder:flat"]
    yield "unknown evaluator", ["good.safetensors", *DIGITS, "--only", "acuracy"]
    yield "unknown protocol", ["good.safetensors", *DIGITS, "--protocol", "fast"]
    yield "unknown setting", ["good.safetensors", *DIGITS, "--protocol", "protocol.yaml"]
    yield "broken plug-in", ["good.safetensors", *DIGITS, "--plugin", "broken.py"]
    yield "no GPU", ["good.safetensors", *DIGITS, "--device", "cuda"]
    yield "folder of another run", ["good.safetensors", *DIGITS, "--only", "parameters", "--out", "full"]


def main() -> None:
    print("| case | typed after `efficient360 evaluate` | said | exit |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        run = [sys.executable, "-m", "efficient360", "evaluate"]
        subprocess.run([*run, "digits-vit", *DIGITS, "--only", "parameters", "--out", "full"], cwd=name, check=True, capture_output=True)
        for case, typed in cases():
            done = subprocess.run([*run, *typed], cwd=name, capture_output=True, text=True, check=False)
            assert "Traceback" not in done.stderr, done.stderr
            said = " ".join(line.strip() for line in done.stderr[done.stderr.find("efficient360:") :].splitlines()).removeprefix("efficient360: ")
            print(f"| {case} | `{' '.join(typed)}` | {said.replace('|', '/')} | {done.returncode} |", flush=True)


if __name__ == "__main__":
    main()
