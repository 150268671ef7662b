"""Pickles that try to run something through the types that are read: none of it is ever imported, called or changed."""

import collections
import functools
import io
import os
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from efficient360.errors import CheckpointError
from efficient360.models.inert_pickle import DictStandIn, InertUnpickler, ListStandIn, StandIn
from efficient360.models.weights import read_weights
from efficient360.models.weights_file import read_file

pytestmark = pytest.mark.timeout(120)
REFUSED = {"unsafe-pickle", "weights-truncated", "weights-oversized", "no-state-dict"}


def _file(path: Path, pickled: bytes) -> Path:
    """A file of torch.save whose pickle is this one."""
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(2)}, buffer)
    with zipfile.ZipFile(buffer) as saved, zipfile.ZipFile(path, "w") as archive:
        for info in saved.infolist():
            archive.writestr(info.filename, pickled if info.filename.endswith("data.pkl") else saved.read(info))
    return path


class _Calls:
    def __init__(self, function: Any, *args: Any) -> None:
        self.called = function, args

    def __reduce__(self) -> Any:
        return self.called


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "ran"


ATTEMPTS: dict[str, Callable[[str], Any]] = {
    "a function": lambda mark: _Calls(os.mkdir, mark),
    "inside a partial": lambda mark: functools.partial(os.mkdir, mark),
    "a partial of a partial": lambda mark: functools.partial(functools.partial(os.mkdir), mark),
    "a default factory": lambda mark: collections.defaultdict(functools.partial(os.mkdir, mark)),
    "eval": lambda mark: _Calls(eval, f"__import__('os').mkdir({mark!r})"),
    "getattr": lambda mark: _Calls(getattr, pathlib.Path(mark), "mkdir"),
    "a method": lambda mark: pathlib.Path(mark).mkdir,
    "an import": lambda _: _Calls(__import__, "antigravity"),
    "a loader": lambda mark: _Calls(torch.load, mark),
    "a hub": lambda mark: _Calls(torch.hub.load, mark, "x"),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("attempt", list(ATTEMPTS))
def test_nothing_runs_beside_the_weights(attempt: str, protocol: int, mark: Path, tmp_path: Path) -> None:
    path = _file(tmp_path / "w.pt", pickle.dumps({"state": ATTEMPTS[attempt](str(mark))}, protocol))
    with pytest.raises(CheckpointError) as caught:
        read_file(path)
    assert caught.value.code == "unsafe-pickle", caught.value.message
    assert not mark.exists()


def _global(path: str) -> bytes:
    module, _, name = path.rpartition(".")
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


@pytest.mark.parametrize(
    "body",
    [
        _global("builtins.Exception.__init__"),
        b"cbuiltins\nint.from_bytes\n",
        b"cpathlib\nos.system\n",
        b"cargparse\nNamespace.__init__.__globals__\n",
        b"ctorch.nn\nmodules.module.os\n",
        b"(S'mkdir x'\nios\nsystem\n",
    ],
    ids=["dotted type", "dotted builtin", "a module's module", "globals of a type", "a library's module", "INST"],
)
def test_a_name_within_an_allowed_one_is_refused(body: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        read_file(_file(tmp_path / "w.pt", b"\x80\x02" + body + b"."))
    assert caught.value.code in REFUSED


@pytest.mark.parametrize(
    "body",
    [
        # State, with slots, for the class itself: it would be set as attributes of it.
        _global("argparse.Namespace") + b"N}" + _text("__setstate__") + _text("x") + b"s\x86b",
        _global("argparse.Namespace") + b"}" + _text("path") + _text("os.system") + b"sb",
        _global("collections.OrderedDict") + b"N}" + _text("update") + _text("x") + b"s\x86b",
        # Items and members for a class.
        _global("collections.OrderedDict") + _text("a") + b"K\x01s",
        _global("collections.deque") + b"K\x01a",
        # An instance that is called, and a text that is.
        _global("argparse.Namespace") + b")R)R",
        _text("os.system") + b")R",
        # A tensor without a storage, a storage that is none, a persistent id of another kind.
        _global("torch._utils._rebuild_tensor_v2") + b"(K\x01K\x00))\x89NtR",
        b"(" + _text("storage") + _global("argparse.Namespace") + _text("0") + _text("cpu") + b"K\x02tQ",
        _text("module os") + b"Q",
        # A rebuilding function that calls what the file gives it.
        _global("torch._tensor._rebuild_from_type_v2") + b"(" + _text("os.system") + b"NNNtR",
        _global("copyreg._reconstructor") + b"(" + _text("os.system") + b"NNtR",
    ],
)
def test_instructions_on_the_wrong_objects_are_refused(body: bytes, tmp_path: Path) -> None:
    before = {kind: dict(vars(kind)) for kind in (StandIn, DictStandIn, ListStandIn)}
    with pytest.raises(CheckpointError) as caught:
        read_weights(_file(tmp_path / "w.pt", b"\x80\x02" + body + b"."))
    assert caught.value.code in REFUSED
    assert before == {kind: dict(vars(kind)) for kind in before}


def test_a_class_can_not_be_changed() -> None:
    stand_in = InertUnpickler(io.BytesIO(), lambda _: None).find_class("argparse", "Namespace")
    with pytest.raises(pickle.UnpicklingError):
        stand_in.__init__ = print
    with pytest.raises(pickle.UnpicklingError):
        del stand_in.path


def test_one_file_gets_no_class_of_another() -> None:
    first, second = (InertUnpickler(io.BytesIO(), lambda _: None) for _ in range(2))
    assert first.find_class("argparse", "Namespace") is not second.find_class("argparse", "Namespace")


@pytest.mark.parametrize("levels", [50, 5000])
def test_lists_that_hold_one_another_many_times_over(levels: int, tmp_path: Path) -> None:
    body = b"]q\x00" + b"".join(b"]r" + struct.pack("<I", i + 1) + (b"j" + struct.pack("<I", i) + b"a") * 2 for i in range(levels))
    pickled = b"\x80\x02}" + _text("x") + b"(" + body + b"ls" + b"c__main__\nUnknown\n0."
    with pytest.raises(CheckpointError) as caught:
        read_weights(_file(tmp_path / "w.pt", pickled))
    assert caught.value.code in REFUSED


def test_an_object_that_holds_itself(tmp_path: Path) -> None:
    loop: dict[str, Any] = {"log": collections.defaultdict(list)}
    loop["again"] = [loop]
    torch.save({"loop": loop, "model": {"a.weight": torch.ones(2), "b": torch.ones(1)}}, tmp_path / "w.pt")
    assert set(read_weights(tmp_path / "w.pt").tensors) == {"a.weight", "b"}


def test_an_array_larger_than_its_bytes(tmp_path: Path) -> None:
    import numpy as np

    pickled = pickle.dumps({"a": np.arange(3.0)}, 2)
    for wrong in (pickled.replace(b"K\x03\x85", b"J\xff\xff\xff\x7f\x85"), pickled.replace(b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00O8")):
        assert wrong != pickled
        with pytest.raises(CheckpointError) as caught:
            read_weights(_file(tmp_path / "w.pt", wrong))
        assert caught.value.code in REFUSED
