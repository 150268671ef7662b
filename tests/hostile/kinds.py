"""The kinds of files that some program wrote, each with a sound example and the function that reads it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from efficient360.benchmark.zoo import read_models
from efficient360.core.figures import Bars, Curve, Gallery, Heatmap, Picture, Series, Table
from efficient360.core.measurement import ONE, Better, Failure, Interval, Measurement, Metric, Status
from efficient360.core.outcome import Record, to_json
from efficient360.datasets.card import read_card_file
from efficient360.execution.plan import read_protocol
from efficient360.methods.attribution.regions import read_regions
from efficient360.methods.corruptions.reference_run import read_reference_run
from efficient360.models.compressed_file import KEY, decode_weights
from efficient360.models.sidecar import parse_sidecar, read_json
from efficient360.models.transformers_sidecar import transformers_sidecar
from efficient360.plugins.registry import dimensions, evaluators
from efficient360.reports.folder import read
from efficient360.storage.per_example import ScoreLog

TOP1 = Metric("top1", ONE, Better.HIGHER, "How often the first guess is right.", "hand-made", 0, 1)
FIGURES = (
    Curve("t", "x", "y", (Series("a", (1.0,), (0.5,), (0.4,), (0.6,), "points"),)),
    Bars("t", "x", "y", ("a",), (1.0,), (0.5,), (1.5,)),
    Heatmap("t", "x", "y", ("a",), ("b",), ((1.0,),)),
    Table("settings", ("a", "b"), (("x", 1),)),
    Gallery("t", (Picture("data:image/png;base64,AA==", "caption"),)),
)
MEASURED = Record("accuracy", Measurement(TOP1, 0.9, 10, Interval(0.8, 1.0, "wilson"), {"k": 1}, (0.9,), FIGURES), "accuracy-k", (0, 1), {"k": 5}, 1.0)
MISSED = Record("latency", Failure(Status.FAILED, "crashed", "why", "what to do", TOP1, {"device": "local"}), "latency-k", (0, 1), {}, 1.0)
REPORT: dict[str, Any] = {
    "schema_version": 1,
    "state": "complete",
    "created": "2026-01-01T00:00:00+00:00",
    "updated": "2026-01-01T00:00:00+00:00",
    "command": "efficient360 evaluate tiny",
    "checkpoint": {"name": "tiny", "architecture": "vit", "digest": "d" * 64, "arguments": {"depth": 2}, "class_names": ["a"], "card": {"licence": "mit"}},
    "dataset": {"name": "digits", "title": "Digits", "split": "test", "digest": "e" * 64, "examples": 10, "available": 10, "unseen": ["x"]},
    "environment": {"cpu": "a", "versions": {"torch": "2"}},
    "protocol": {"name": "quick", "evaluators": {"accuracy": {"version": 1, "settings": {"k": 5}}}, "seed": 0},
    "outcomes": [json.loads(json.dumps(to_json(MEASURED)))],
    "dimensions": [],
}
SIDECAR: dict[str, Any] = {
    "name": "tiny",
    "architecture": "vit_tiny_patch16_224",
    "model_args": {"img_size": 32, "depth": 2, "num_classes": 2},
    "input_size": [3, 32, 32],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "crop_pct": 1.0,
    "crop_mode": "center",
    "num_classes": 2,
    "class_names": ["a", "b"],
    "pretrained_cfg": {"fixed_input_size": True, "input_size": [3, 32, 32], "global_pool": "avg", "label_names": ["a", "b"]},
    "training": {"epochs": 1},
}
TRANSFORMERS: dict[str, Any] = {
    "model_type": "vit",
    "architectures": ["ViTForImageClassification"],
    "image_size": [32, 32],
    "patch_size": 8,
    "hidden_size": 24,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "layer_norm_eps": 1e-6,
    "qkv_bias": True,
    "hidden_act": "gelu",
    "num_channels": 3,
    "id2label": {"0": "a", "1": "b"},
}
NATIVE: dict[str, Any] = {
    "model_type": "convnext",
    "architectures": ["ConvNextForImageClassification"],
    "num_channels": 3,
    "hidden_sizes": [8, 8, 8, 8],
    "depths": [1, 1, 1, 1],
    "id2label": {"0": "a", "1": "b"},
}
PROCESSOR: dict[str, Any] = {
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "resample": 3,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "size": {"height": 32, "width": 32},
    "do_center_crop": False,
}
CARD: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "source": {"kind": "hub", "location": "a/b", "config": "c", "revision": "main"},
    "splits": {"test": "validation", "train": "train"},
    "evaluate": "test",
    "image": "image",
    "label": "label",
    "classes": 2,
    "groups": ["region"],
    "group_values": {"region": ["a", "b"]},
    "imagenet_classes": [1, 2],
    "shifts": [{"name": "fog", "title": "Fog", "source": {"kind": "hub", "location": "a/c"}, "classes": [0, 1], "where": {"level": 3}}],
    "license": "mit",
}
PROTOCOL: dict[str, Any] = {"name": "mine", "description": "d", "max_examples": 100, "evaluators": {"accuracy": {"k": 5}, "memory": None}}
ZOO: dict[str, Any] = {
    "name": "two",
    "models": [{"name": "a", "reference": "resnet18", "family": "cnn", "architecture": "resnet18", "arguments": {"num_classes": 7}, "random_weights": True}],
}
PACKED: dict[str, Any] = {"variant": "quantization:4", "shapes": {"w": [2, 64]}, "same": {"v": "w"}}


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Args:
        name: What the tests call it.
        file: Its name in its folder.
        data: Sound data.
        read: Reads the file at a path.
        encode: From data to bytes.
        beside: Other files that its reader wants, by name.
    """

    name: str
    file: str
    data: Any
    read: Callable[[Path], Any]
    encode: Callable[[Any], bytes] = lambda data: json.dumps(data).encode()
    beside: dict[str, bytes] = field(default_factory=dict)

    def write(self, folder: Path, content: bytes) -> Path:
        """Write the file and those beside it."""
        for name, data in self.beside.items():
            (folder / name).write_bytes(data)
        path = folder / self.file
        path.write_bytes(content)
        return path


def _yaml(data: Any) -> bytes:
    return yaml.safe_dump(data, allow_unicode=False).encode()


def _packed(path: Path) -> Any:
    import torch

    parts = {"w:scales": torch.ones(2, 1).bfloat16(), "w:codes": torch.zeros(64, dtype=torch.uint8)}
    return decode_weights(parts, {KEY: path.read_bytes().decode(errors="replace")}, path)


def _config(path: Path) -> Any:
    return transformers_sidecar(read_json(path), path)


KNOWN = evaluators()
AXES = dimensions()
KINDS = (
    Kind("sidecar", "tiny.json", SIDECAR, lambda path: parse_sidecar(read_json(path), path)),
    Kind("transformers' configuration", "config.json", TRANSFORMERS, _config),
    Kind("a native configuration of transformers", "config.json", NATIVE, _config),
    Kind(
        "a native processor of transformers",
        "preprocessor_config.json",
        {**PROCESSOR, "image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 32}, "crop_pct": 0.875},
        lambda p: _config(p.parent / "config.json"),
        beside={"config.json": json.dumps(NATIVE).encode()},
    ),
    Kind(
        "transformers' processor",
        "preprocessor_config.json",
        PROCESSOR,
        lambda p: _config(p.parent / "config.json"),
        beside={"config.json": json.dumps(TRANSFORMERS).encode()},
    ),
    Kind("data set card", "mine.yaml", CARD, read_card_file, _yaml),
    Kind("protocol", "mine.yaml", PROTOCOL, lambda path: read_protocol(str(path), KNOWN), _yaml),
    Kind("zoo", "two.yaml", ZOO, lambda path: read_models(str(path), random_weights=False, seed=0), _yaml),
    Kind("report", "report.json", REPORT, lambda path: read(path.parent, AXES)),
    Kind("reference run", "report.json", REPORT, lambda path: read_reference_run(path, "accuracy", "top1", Table("settings", ("a", "b"), (("x", 1),)))),
    Kind("columns of scores", "columns.json", [["top1", {"k": 1}]], lambda path: ScoreLog(path.parent).columns()),
    Kind("part of a split", "part.json", ["a", "b"], lambda path: ScoreLog(path.parent).part()),
    Kind("regions", "boxes.csv", None, read_regions, lambda _: b"id,left,top,right,bottom\na,0.1,0.1,0.5,0.5\n"),
)
HEADER = Kind("compressed checkpoint's header", "header.json", PACKED, _packed)
