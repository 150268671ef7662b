import argparse
import collections
import datetime
import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from efficient360.models.inert_torch import read_inert
from efficient360.models.inert_values import Named
from efficient360.models.weights import digest, read_weights

TENSORS = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(3, dtype=torch.bfloat16), "b": torch.tensor(7)}
BESIDE: dict[str, Any] = {
    "best_acc": np.float64(0.75),
    "curve": np.arange(6, dtype=">i4").reshape(2, 3),
    "log": collections.defaultdict(list, {"loss": [1.0, 2.0]}),
    "out": Path("runs") / "a",
    "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    "args": argparse.Namespace(lr=0.1, out=Path("x"), nested=argparse.Namespace(k=1)),
    "optimizer": functools.partial(torch.optim.AdamW, lr=1e-3),
    "nested": functools.partial(functools.partial(int), base=2),
    "names": {"a", "b"},
    "recent": collections.deque([1, 2], maxlen=3),
    "version": torch.__version__,
    "layer": nn.GELU(),
}


def _saved(path: Path, held: Any, **options: Any) -> Path:
    torch.save(held, path, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}, {"pickle_protocol": 5}], ids=str)
@pytest.mark.parametrize("name", list(BESIDE))
def test_values_beside_the_weights_are_read(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    path = _saved(tmp_path / "w.pth", {"state_dict": TENSORS, name: BESIDE[name]}, **options)
    assert digest(read_weights(path).tensors) == digest(TENSORS)


def test_plain_values_come_out_as_they_went_in(tmp_path: Path) -> None:
    path = _saved(tmp_path / "w.pth", {"model": TENSORS, **BESIDE})
    read = read_inert(path, path.read_bytes()[:64])
    assert (read["best_acc"], read["log"], read["out"], read["version"]) == (0.75, {"loss": [1.0, 2.0]}, "runs/a", str(torch.__version__))
    assert read["curve"].tolist() == BESIDE["curve"].tolist()
    assert read["args"] == {"lr": 0.1, "out": "x", "nested": {"k": 1}}
    assert (sorted(read["names"]), read["recent"]) == (["a", "b"], [1, 2])
    assert (read["optimizer"], read["when"]) == (Named("functools.partial"), Named("datetime.datetime"))


def test_a_scheduler_and_its_optimizer(tmp_path: Path) -> None:
    layer = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    path = _saved(tmp_path / "w.pth", {"model": layer.state_dict(), "scheduler": scheduler.state_dict(), "best": np.float32(1)})
    assert set(read_weights(path).tensors) == {"weight", "bias"}


def test_a_whole_network_is_its_state_dict(tmp_path: Path) -> None:
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=16, depth=1, embed_dim=24, num_heads=3, num_classes=5)
    path = _saved(tmp_path / "w.pth", network)
    assert digest(read_weights(path).tensors) == digest(network.state_dict())


def test_buffers_that_are_not_kept_are_left_out(tmp_path: Path) -> None:
    layer = nn.BatchNorm1d(3)
    layer.register_buffer("passing", torch.ones(1), persistent=False)
    path = _saved(tmp_path / "w.pth", nn.Sequential(layer, nn.Linear(3, 2)))
    assert set(read_weights(path).tensors) == set(nn.Sequential(layer, nn.Linear(3, 2)).state_dict())


def test_views_shared_storages_and_formats(tmp_path: Path) -> None:
    base = torch.arange(24.0)
    held = {
        "t": base.reshape(4, 6).T,
        "row": base[3:9],
        "p": nn.Parameter(base.clone()),
        "empty": torch.empty(0, 3),
        "fp8": torch.ones(4).to(torch.float8_e4m3fn),
        "bool": torch.tensor([True, False]),
        "half": torch.ones(2).half(),
    }
    path = _saved(tmp_path / "w.pth", {"model": held, "best": np.float64(1)})
    assert digest(read_weights(path).tensors) == digest(held)


def test_weights_as_arrays_in_a_plain_pickle(tmp_path: Path) -> None:
    path = tmp_path / "w.pkl"
    path.write_bytes(pickle.dumps({"model": {"a.weight": np.ones((2, 3), np.float32), "b": np.zeros(2, np.float32)}, "__author__": "x"}))
    assert {name: tuple(t.shape) for name, t in read_weights(path).tensors.items()} == {"a.weight": (2, 3), "b": (2,)}
