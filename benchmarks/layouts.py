"""Data sets in the layouts that people hold: top-1 beside that of a plain loop over the same images, to the image, or the error code.

python benchmarks/layouts.py CIFAR10_PARQUET TINY_IMAGENET_PARQUET VIT_CIFAR10 > benchmarks/results/layouts.md

The cases are the tests' own (tests/datasets/layout_zoo.py). Layouts of CIFAR-10 are classified by the given ViT; those of ImageNet by a random network of
1,000 classes whose own answers are 70 % of the labels, so that a class that goes to another output shows.
"""

import argparse
import collections
import hashlib
import io
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform
from torch import nn

import datasets
from efficient360.datasets.class_matching import match_examples
from efficient360.datasets.images import decoder_for
from efficient360.datasets.loader import open_dataset
from efficient360.errors import DatasetError
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.references import resolve

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "datasets"))
from layout_zoo import CASES, Case, Picture

N = 100
Hits = collections.Counter[tuple[bytes, bool]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cifar10", type=Path)
    parser.add_argument("tiny_imagenet", type=Path)
    parser.add_argument("vit", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        datasets.config.HF_DATASETS_CACHE = Path(folder, "cache")
        cifar, thousand = resolve(CheckpointSpec(str(asked.vit))), resolve(CheckpointSpec(str(random_network(Path(folder)))))
        pictures = {"cifar": [Picture(data, label, suffix(data)) for data, label in rows(asked.cifar10, "img")]}
        pictures["grey"] = [Picture(grey(picture.data), picture.label) for picture in pictures["cifar"]]
        validation = [data for data, _ in rows(asked.tiny_imagenet, "image")]
        draws, answers = np.random.default_rng(0), plain_loop(thousand, validation)
        labels = [answer if draws.random() < 0.7 else int(draws.integers(1000)) for answer in answers]
        pictures["imagenet"] = [Picture(data, label, suffix(data)) for data, label in zip(validation, labels, strict=True)]
        print("# Layouts of data sets, beside a plain loop\n\nWritten by `python benchmarks/layouts.py`: its docstring says what is compared.\n")
        print("| layout | top-1 here | plain loop | the same images are right |\n| --- | --- | --- | --- |")
        wrong = 0
        for number, case in enumerate(CASES):
            kind = "imagenet" if case.imagenet else "grey" if case.grey else "cifar"
            line, well = row(case, Path(folder, str(number)), pictures[kind], thousand if case.imagenet else cifar)
            wrong += not well
            print(line, flush=True)
        print(f"\n{len(CASES)} layouts, {wrong} wrong.")


def row(case: Case, folder: Path, pictures: Sequence[Picture], checkpoint: Checkpoint) -> tuple[str, bool]:
    """A line of the table, and whether all is as it should be."""
    folder.mkdir()
    try:
        spec = case.build(folder, list(pictures))
        dataset = open_dataset(spec, checkpoint, 0)
        examples, matching = match_examples(dataset.examples, checkpoint, dataset.card, spec.class_map, spec.class_order)
    except DatasetError as error:
        return f"| {case.name} | `{error.code}` | refused | {'–' if error.code == case.code else 'WRONG'} |", error.code == case.code
    model, here = load_model(checkpoint, keep=matching.outputs), Hits()
    with torch.inference_mode():
        for batch in examples.batches(50):
            right = (model.logits(batch).argmax(1) == batch.labels).tolist()
            here.update((known_by((image * 255).round().to(torch.uint8).numpy()), hit) for image, hit in zip(batch.images, right, strict=True))
    decode = decoder_for(checkpoint.preprocessing)
    answers = plain_loop(checkpoint, [picture.data for picture in pictures])
    there = Hits((known_by(decode(picture.data, "x")), answer == picture.label) for picture, answer in zip(pictures, answers, strict=True))
    counts = [f"{sum(n for (_, hit), n in hits.items() if hit)}/{hits.total()}" for hits in (here, there)]
    return f"| {case.name} | {' | '.join(counts)} | {'yes' if here == there else 'NO'} |", here == there and not case.code


def plain_loop(checkpoint: Checkpoint, images: Sequence[bytes]) -> list[int]:
    """timm's own transform and network over encoded images: the index of the largest logit of each."""
    network: nn.Module = timm.create_model(checkpoint.architecture, **checkpoint.arguments).eval()
    network.load_state_dict(load_model(checkpoint).network.state_dict())
    shape = checkpoint.preprocessing
    transform = create_transform(shape.input_size, interpolation=shape.interpolation, mean=shape.mean, std=shape.std, crop_pct=shape.crop_pct)
    with torch.inference_mode():
        return [int(network(transform(Image.open(io.BytesIO(data)).convert("RGB"))[None]).argmax()) for data in images]


def random_network(folder: Path) -> Path:
    """Weights and card of a small ViT for 1,000 classes whose answers differ from image to image."""
    arguments = {"img_size": 32, "patch_size": 8, "depth": 1}
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", **arguments)
    with torch.no_grad():
        network.head.weight.mul_(200)
    save_file(network.state_dict(), folder / "thousand.safetensors")
    card = {"architecture": "vit_tiny_patch16_224", "model_args": arguments, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "crop_pct": 1.0}
    (folder / "thousand.json").write_text(json.dumps(card))
    return folder / "thousand.safetensors"


def rows(file: Path, column: str) -> list[tuple[bytes, int]]:
    table = itertools.islice((row for batch in pq.ParquetFile(file).iter_batches(N) for row in batch.to_pylist()), N)
    return [(row[column]["bytes"], row["label"]) for row in table]


def grey(data: bytes) -> bytes:
    stream = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("L").resize((28, 28)).save(stream, "PNG")
    return stream.getvalue()


def suffix(data: bytes) -> str:
    return ".jpg" if data.startswith(b"\xff\xd8") else ".png"


def known_by(pixels: np.ndarray) -> bytes:
    return hashlib.sha1(np.ascontiguousarray(pixels).tobytes(), usedforsecurity=False).digest()


if __name__ == "__main__":
    main()
