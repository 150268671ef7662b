"""Train a small ViT on a data set, or on some of its classes so that there are classes it never saw: weights and card into a folder.

    python benchmarks/train_vit.py --dataset cifar10 --data-dir DIR --leave-out cat truck --out FOLDER [--updates 3000] [--seconds 100]
    python benchmarks/train_vit.py --dataset parquet:DIR --held-out val --init vit_cifar10.safetensors --patch 4 --depth 6 --out FOLDER

With ``--init`` all layers but the head begin with another checkpoint's weights. It stops after ``--seconds`` and goes on where it stopped when called
again. Minutes of one core make no record.
"""

import argparse
import json
import math
import time
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.models.checkpoint import Checkpoint, Origin, Preprocessing
from efficient360.models.checkpoint import CheckpointSpec as Spec

SIZE, SHIFT = 32, 4
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--held-out", default="test", help="split that it is measured on")
    parser.add_argument("--leave-out", nargs="*", default=[], help="classes that it never sees")
    parser.add_argument("--init", type=Path, help="weights of the same network with another head")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="vit-part")
    parser.add_argument("--images", type=int, default=50_000, help="training images at most, before classes are left out")
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--patch", type=int, default=8)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(asked.threads)
    names, pixels, labels = part(asked, "train", asked.images)
    arguments = {
        "img_size": SIZE,
        "patch_size": asked.patch,
        "embed_dim": asked.width,
        "depth": asked.depth,
        "num_heads": asked.width // 32,
        "num_classes": len(names),
    }
    torch.manual_seed(asked.seed)
    network = timm.create_model("vit_tiny_patch16_224", **arguments)
    if asked.init is not None:
        network.load_state_dict({key: value for key, value in load_file(asked.init).items() if not key.startswith("head.")}, strict=False)
    done = train(network, pixels, labels, asked)
    if done < asked.updates:
        print(f"{done} of {asked.updates} updates are done: run the same command again")
        return
    _, held_out, truth = part(asked, asked.held_out, 10_000)
    with torch.inference_mode():
        right = torch.cat([network.eval()(normalised(some)).argmax(1) for some in held_out.split(256)]) == truth
    card = {
        "name": asked.name,
        "architecture": "vit_tiny_patch16_224",
        "model_args": arguments,
        "input_size": [3, SIZE, SIZE],
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "mean": MEAN,
        "std": STD,
        "num_classes": len(names),
        "class_names": names,
        "training": {
            "data": f"{asked.dataset}, train split{' without ' if asked.leave_out else ''}{', '.join(asked.leave_out)}: {len(labels)} images",
            "begun_with": "random weights" if asked.init is None else asked.init.stem,
            "seed": asked.seed,
            "schedule": f"{asked.updates} updates of {asked.batch}, AdamW {asked.rate:g}, cosine, flip and shift",
        },
        "measured": {"test_top1": float(right.float().mean()), "n": len(truth)},
    }
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, asked.out / f"{asked.name}.safetensors", metadata={"format": "pt"})
    (asked.out / f"{asked.name}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    print(f"right on {float(right.float().mean()):.1%} of {len(truth)} test images of the classes it knows")


def part(asked: argparse.Namespace, split: str, most: int) -> tuple[list[str], Tensor, Tensor]:
    """Class names, images in [0, 1] and labels of a split, without the classes that are left out."""
    shape = Preprocessing((3, SIZE, SIZE), MEAN, STD, "bilinear")
    stand_in = Checkpoint(Spec("-"), "-", "-", {}, Origin.RANDOM, None, "-", shape, 1)  # tells only how large the images are to be
    opened = open_dataset(DatasetSpec(asked.dataset, asked.data_dir, split, max_examples=most), stand_in, asked.seed).examples
    kept = [i for i, name in enumerate(opened.class_names) if name not in asked.leave_out]
    batches = [(batch.images, batch.labels) for batch in opened.batches(512)]
    pixels, labels = torch.cat([one for one, _ in batches]), torch.cat([one for _, one in batches])
    place = torch.full((len(opened.class_names),), -1)
    place[kept] = torch.arange(len(kept))
    chosen = place[labels] >= 0
    return [opened.class_names[i] for i in kept], pixels[chosen], place[labels[chosen]]


def normalised(pixels: Tensor) -> Tensor:
    return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def train(network: nn.Module, pixels: Tensor, labels: Tensor, asked: argparse.Namespace) -> int:
    """AdamW under a warm-up and a cosine decay; returns updates done. An update draws from its own number, so an interrupted training goes on the same."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=asked.rate, weight_decay=0.05)
    warm = max(1, asked.updates // 10)
    kept, first, began = asked.out / "training.pt", 0, time.monotonic()
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["done"]
    for update in range(first, asked.updates):
        if time.monotonic() - began > asked.seconds:
            break
        for group in optimiser.param_groups:
            group["lr"] = asked.rate * min((update + 1) / warm, 0.5 * (1 + math.cos(math.pi * update / asked.updates)))
        generator = torch.Generator().manual_seed(asked.seed * 1_000_003 + update)
        chosen = torch.randint(0, len(labels), (asked.batch,), generator=generator)
        loss = cross_entropy(network.train()(normalised(moved(pixels[chosen], generator))), labels[chosen], label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        first = update + 1
        if first % 200 == 0:
            print(f"update {first}, loss {loss.item():.3f}", flush=True)
    torch.save({"network": network.state_dict(), "optimiser": optimiser.state_dict(), "done": first}, kept)
    return first


def moved(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Each image shifted by some pixels, half of them mirrored."""
    padded = pad(pixels, (SHIFT,) * 4, mode="replicate")
    corners = torch.randint(0, 2 * SHIFT + 1, (len(pixels), 2), generator=generator).tolist()
    cut = torch.stack([image[:, y : y + SIZE, x : x + SIZE] for image, (y, x) in zip(padded, corners, strict=True)])
    mirror = torch.rand(len(pixels), generator=generator) < 0.5
    return cut.flip(3).where(mirror.view(-1, 1, 1, 1), cut)


if __name__ == "__main__":
    main()
