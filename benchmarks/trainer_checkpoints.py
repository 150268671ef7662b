"""Checkpoints as trainers save them: way of saving × family, each with the largest difference of its logits from the network's own, or its error code.

python benchmarks/trainer_checkpoints.py > benchmarks/results/trainer_checkpoints.md

With REAL=WEIGHTS.safetensors (a card beside it) and IMAGES=FOLDER (class folders) it also gives, for every way of saving these weights, their top-1.
"""

import argparse
import collections
import copy
import datetime
import functools
import json
import os
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import yaml
from safetensors.torch import load_file, save_file
from timm.data import create_transform
from torch import Tensor, nn
from torch.distributed import checkpoint as distributed
from torch.optim.swa_utils import AveragedModel
from torchvision.datasets import ImageFolder

from efficient360.errors import CheckpointError
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

State = dict[str, Tensor]
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "ViT": ("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}),
    "DeiT, distilled": ("deit_tiny_distilled_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}),
    "Swin": ("swin_tiny_patch4_window7_224", {"img_size": 64, "window_size": 4, "embed_dim": 24, "depths": [1, 1], "num_heads": [2, 4]}),
    "ConvNeXt": ("convnext_tiny", {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]}),
    "MobileViT": ("mobilevit_xxs", {}),
    "ResNet": ("resnet10t", {}),
}
IMAGE_SIZE = {"ViT": 32, "DeiT, distilled": 32, "Swin": 64, "ConvNeXt": 64, "MobileViT": 64, "ResNet": 64}


def under(prefix: str, state: State, **beside: Any) -> dict[str, Any]:
    return {**{prefix + name: tensor for name, tensor in state.items()}, **beside}


def renamed_head(network: nn.Module, state: State, to: str) -> State:
    """The classifier under another name."""
    head = network.pretrained_cfg["classifier"]
    head = head if isinstance(head, str) else head[0]
    return {name.replace(f"{head}.", to.format(head), 1) if name.startswith(f"{head}.") else name: tensor for name, tensor in state.items()}


def noise(state: State) -> State:
    return {name: tensor + torch.randn_like(tensor) if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def torch_file(held: Any, suffix: str = ".pth", **options: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"w{suffix}"
        torch.save(held, path, **options)
        return path

    return write


def folder_of(files: dict[str, Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for name, held in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(held, str):
                (folder / name).write_text(held)
            else:
                torch.save(held, folder / name)
        return folder

    return write


def ways(network: nn.Module, architecture: str, arguments: dict[str, Any]) -> Iterator[tuple[str, Callable[[Path], Path], dict[str, Any]]]:
    """Name, how to write it, and what a user types beside the path: ``key`` and whether the architecture is left out."""
    s: State = network.state_dict()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    training = {"epoch": 3, "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    options = {
        "model": architecture,
        "model_kwargs": {key: value for key, value in arguments.items() if key not in ("num_classes", "img_size")},
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    options |= {"img_size": arguments["img_size"]} if "img_size" in arguments else {}
    yield "state dict, .pth", torch_file(s), {}
    yield "before 2020's format, .pth", torch_file(s, _use_new_zipfile_serialization=False), {}
    yield "pickle protocol 5", torch_file({"model": s, **training}, pickle_protocol=5), {}
    yield "safetensors", lambda folder: (save_file(s, folder / "w.safetensors"), folder / "w.safetensors")[1], {}
    yield "safetensors called .pth", lambda folder: (save_file(s, folder / "w.pth"), folder / "w.pth")[1], {}
    yield ".pth called .safetensors", torch_file(s, ".safetensors"), {}
    yield "DataParallel: module.", torch_file({"state_dict": under("module.", s), **training}), {}
    yield "torch.compile: _orig_mod.", torch_file(under("_orig_mod.", s)), {}
    for prefix in ("net.", "backbone.", "encoder.", "vit.", "model.backbone."):
        beside = {"criterion.weight": torch.ones(10), "val_acc.correct": torch.zeros(1)}
        yield (
            f"Lightning: {prefix} with a loss and a metric",
            torch_file({"state_dict": under(prefix, s, **beside), "pytorch-lightning_version": "2.5"}, ".ckpt"),
            {},
        )
    hyper = {"model_name": architecture, "optimizer": functools.partial(torch.optim.AdamW, lr=1e-3), **options}
    yield "Lightning, hyper_parameters alone name it", torch_file({"state_dict": under("net.", s), "hyper_parameters": hyper}, ".ckpt"), {"bare": True}
    yield "timm: state_dict and state_dict_ema", torch_file({"arch": architecture, "state_dict": s, "state_dict_ema": noise(s), **training}, ".pth.tar"), {}
    yield "the same, --weights-key ema", torch_file({"state_dict": noise(s), "state_dict_ema": s}), {"key": "ema"}
    yield "an EMA and nothing else", torch_file({"model_ema": s}), {}
    yield "AveragedModel", torch_file(AveragedModel(network).state_dict()), {}
    yield "student and teacher", torch_file({"student": under("module.backbone.", noise(s)), "teacher": under("backbone.", s)}), {}
    yield "teacher. and student. in one state dict", torch_file({"state_dict": {**under("student.", noise(s)), **under("teacher.", s)}}), {}
    yield "thop's counters", torch_file({**s, "total_ops": torch.zeros(1), "total_params": torch.zeros(1)}), {}
    yield (
        "NumPy scalar best_acc, array, defaultdict",
        torch_file({"model": s, "best": np.float64(0.5), "a": np.ones(3), "log": collections.defaultdict(list)}),
        {},
    )
    values = {"args": argparse.Namespace(out=Path("x"), f=functools.partial(int, base=2)), "when": datetime.datetime(2026, 1, 1)}
    yield "Namespace with a Path, datetime, partial", torch_file({"model": s, **values, "sched": scheduler}), {}
    yield "whole network, torch.save(model)", torch_file(network), {}
    yield "NumPy weights in a plain pickle", lambda folder: (_write(folder / "w.pkl", pickle.dumps({"model": {k: v.numpy() for k, v in s.items()}})))[0], {}
    yield "Sequential(Dropout, Linear) head", torch_file(renamed_head(network, s, "{}.1.")), {}
    yield "classifier beside the backbone", torch_file(_separate(network, s)), {}
    yield "the same, --weights-key backbone+classifier", torch_file(_separate(network, s)), {"key": "backbone+classifier"}
    yield "DeepSpeed's folder", folder_of({"latest": "step5", "step5/mp_rank_00_model_states.pt": {"module": s, "ds_version": "0.16"}}), {}
    yield "DeepSpeed, ZeRO-3 shards", folder_of({"latest": "step5", "step5/zero_pp_rank_0_mp_rank_00_model_states.pt": {"module": {}}}), {}
    timm_files = {
        f"{name}.pth.tar": {"arch": architecture, "state_dict": s if name == "model_best" else noise(s)} for name in ("last", "model_best", "checkpoint-11")
    }
    yield "timm's output folder with args.yaml", folder_of({**timm_files, "args.yaml": yaml.safe_dump(options)}), {"bare": True}
    yield (
        "torch.distributed.checkpoint's folder",
        lambda folder: (distributed.save({"model": s}, checkpoint_id=folder / "d", no_dist=True), folder / "d")[1],
        {},
    )
    for kind in (torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn):
        yield str(kind).removeprefix("torch."), torch_file({k: v.to(kind) if v.is_floating_point() else v for k, v in s.items()}), {"dtype": kind}
    yield "a class of a script beside the weights", torch_file({"model": s, "hook": print}), {}
    yield "int8 weights", torch_file({k: (v * 99).to(torch.int8) if v.ndim > 1 else v for k, v in s.items()}), {}
    yield "no architecture named", torch_file({"model": s}), {"bare": True}


def _write(path: Path, data: bytes) -> tuple[Path]:
    path.write_bytes(data)
    return (path,)


def _separate(network: nn.Module, state: State) -> State:
    head = network.pretrained_cfg["classifier"]
    head = head if isinstance(head, str) else head[0]
    return {f"classifier.{name.rpartition('.')[2]}" if name.startswith(f"{head}.") else f"backbone.{name}": tensor for name, tensor in state.items()}


def read(path: Path, architecture: str, arguments: dict[str, Any], asked: dict[str, Any]) -> Any:
    """The checkpoint as a user gets it, or its error."""
    named = ("", {}) if asked.get("bare") else (architecture, {key: value for key, value in arguments.items() if key != "num_classes"})
    try:
        return resolve(CheckpointSpec(str(path), *named, weights_key=asked.get("key", "")))
    except CheckpointError as error:
        return error


def difference(network: nn.Module, found: Any, size: int, dtype: torch.dtype | None) -> float:
    """The largest difference of its logits from the network's own."""
    if dtype is not None:
        network = _rounded(network, dtype)
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (found.preprocessing.mean, found.preprocessing.std))
    with torch.inference_mode():
        return float((load_model(found)(images) - network((images - mean) / std)).abs().max())


def _rounded(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    other = copy.deepcopy(network)
    other.load_state_dict({k: v.to(dtype).to(v.dtype) if v.is_floating_point() else v for k, v in network.state_dict().items()})
    return other


def top1(model: Callable[[Tensor], Tensor], batches: list[tuple[Tensor, Tensor]]) -> float:
    with torch.inference_mode():
        right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in batches)
    return right / sum(len(labels) for _, labels in batches)


def real(weights: Path, images: Path) -> tuple[nn.Module, str, dict[str, Any], dict[str, Any], list[tuple[Tensor, Tensor]]]:
    """A trained network, its card and its images in [0, 1]."""
    card = json.loads(weights.with_suffix(".json").read_text())
    network = timm.create_model(card["architecture"], **card["model_args"]).eval()
    network.load_state_dict(load_file(weights))
    size = card["input_size"][1]
    transform = create_transform((3, size, size), interpolation=card["interpolation"], crop_pct=card["crop_pct"], mean=(0, 0, 0), std=(1, 1, 1))
    batches = list(torch.utils.data.DataLoader(ImageFolder(images, transform), batch_size=100))
    return network, card["architecture"], card["model_args"], card, batches


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    print("| way of saving | family | largest difference of logits, or error |\n| --- | --- | --- |")
    counts: collections.Counter[str] = collections.Counter()
    for family, (architecture, given) in FAMILIES.items():
        torch.manual_seed(0)
        arguments = {**given, "num_classes": 10}
        network = timm.create_model(architecture, **arguments).eval()
        for way, write, asked in ways(network, architecture, arguments):
            with tempfile.TemporaryDirectory() as folder:
                found = read(write(Path(folder)), architecture, given, asked)
                if isinstance(found, CheckpointError):
                    told = f"`{found.code}`: {found.hint.replace(folder, '…')[:160]}"
                else:
                    told = f"{difference(network, found, IMAGE_SIZE[family], asked.get('dtype')):.1g}"
                counts["refused" if isinstance(found, CheckpointError) else "read"] += 1
            print(f"| {way} | {family} | {told} |", flush=True)
    print(f"\n{counts['read']} read, {counts['refused']} refused.")
    if "REAL" in os.environ:
        print_real(Path(os.environ["REAL"]), Path(os.environ["IMAGES"]))


def print_real(weights: Path, images: Path) -> None:
    """Print the table of a trained network."""
    network, architecture, arguments, card, batches = real(weights, images)
    mean, std = (torch.tensor(card[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    loop = top1(lambda pixels: network((pixels - mean) / std), batches)
    print(
        f"\nA trained network, {sum(len(labels) for _, labels in batches)} images, plain loop {loop:.1%}\n\n| way of saving | top-1, or error |\n| --- | --- |"
    )
    for way, write, asked in ways(network, architecture, arguments):
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder))
            if path.is_file() and not asked.get("bare"):
                path.with_name(f"{path.name.removesuffix(path.suffix)}.json").write_text(json.dumps({key: card[key] for key in card if key != "class_names"}))
            found = read(path, architecture, arguments, asked)
            told = f"`{found.code}`" if isinstance(found, CheckpointError) else f"{top1(load_model(found), batches):.1%}"
        print(f"| {way} | {told} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
