import argparse
import collections
import hashlib
import json
import struct
import warnings
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from efficient360.errors import CheckpointError
from efficient360.models.weights import digest, read_weights

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool, torch.complex64]


def _tensors(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"b.weight": torch.randn((3, 4), generator=generator), "a.bias": torch.randn(3, generator=generator), "steps": torch.tensor(7)}


@st.composite
def state_dicts(draw: st.DrawFn) -> dict[str, Tensor]:
    names = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True))
    found = {}
    for name in names:
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        seed = draw(st.integers(0, 2**31))
        raw = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 10
        found[name] = raw.to(draw(st.sampled_from(DTYPES)))
    return found


# --- the digest ---


def test_digest_is_sha256_of_what_it_says() -> None:
    weight = torch.tensor([[1.0, -2.0]])
    steps = torch.tensor(3)
    expected = hashlib.sha256(
        b'["steps", "int64", []]\n' + struct.pack("<q", 3) + b'["weight", "float32", [1, 2]]\n' + struct.pack("<ff", 1.0, -2.0)
    ).hexdigest()
    assert digest({"weight": weight, "steps": steps}) == expected


@settings(max_examples=60, deadline=None)
@given(tensors=state_dicts(), data=st.data())
def test_digest_ignores_the_order_of_names(tensors: dict[str, Tensor], data: st.DataObject) -> None:
    order = data.draw(st.permutations(list(tensors)))
    assert digest({name: tensors[name] for name in order}) == digest(tensors)


@settings(max_examples=60, deadline=None)
@given(tensors=state_dicts(), data=st.data())
def test_digest_changes_with_any_element_name_or_shape(tensors: dict[str, Tensor], data: st.DataObject) -> None:
    before = digest(tensors)
    name = data.draw(st.sampled_from(sorted(tensors)))
    tensor = tensors[name]
    renamed = {(f"{key}." if key == name else key): value for key, value in tensors.items()}
    if f"{name}." not in tensors:
        assert digest(renamed) != before
    assert digest({**tensors, name: tensor.reshape(1, *tensor.shape)}) != before
    if tensor.numel():
        flat = tensor.clone().reshape(-1)
        index = data.draw(st.integers(0, flat.numel() - 1))
        flat[index] = ~flat[index] if tensor.dtype is torch.bool else flat[index] * 2 + 1
        if not torch.equal(flat, tensor.reshape(-1)):
            assert digest({**tensors, name: flat.reshape(tensor.shape)}) != before


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tensors=state_dicts())
def test_digest_is_the_same_from_either_format(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save(tensors, tmp_path / "w.pth")
    save_file(tensors, tmp_path / "w.safetensors")
    assert digest(read_weights(tmp_path / "w.pth").tensors) == digest(tensors) == digest(read_weights(tmp_path / "w.safetensors").tensors)


def test_digest_tells_dtypes_of_equal_bytes_apart() -> None:
    assert digest({"w": torch.zeros(2, dtype=torch.float16)}) != digest({"w": torch.zeros(2, dtype=torch.bfloat16)})


def test_digest_of_views_and_shared_tensors_is_that_of_copies(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    views = {"transposed": base.T, "row": base[1], "all": base, "again": base, "conj": torch.tensor([1 + 2j]).conj()}
    assert digest(views) == digest({name: tensor.clone().resolve_conj().contiguous() for name, tensor in views.items()})
    torch.save(views, tmp_path / "w.pth")
    assert digest(read_weights(tmp_path / "w.pth").tensors) == digest(views)


def test_digest_ignores_gradients() -> None:
    assert digest({"w": torch.ones(2, requires_grad=True)}) == digest({"w": torch.ones(2)})


# --- wrappers and prefixes ---


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "model.", "timm_model."])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt", ".pth.tar"])
def test_wrappers_and_prefixes_come_off(tmp_path: Path, key: str, prefix: str, suffix: str) -> None:
    wrapped = {key: {prefix + name: tensor for name, tensor in _tensors().items()}, "epoch": 3, "optimizer": {"state": {}, "lr": [0.1]}}
    torch.save(wrapped, tmp_path / f"w{suffix}")
    found = read_weights(tmp_path / f"w{suffix}")
    assert digest(found.tensors) == digest(_tensors())
    assert found.selection.key == key


def test_nested_wrappers_come_off(tmp_path: Path) -> None:
    torch.save({"model": {"state_dict": _tensors()}}, tmp_path / "w.pth")
    assert digest(read_weights(tmp_path / "w.pth").tensors) == digest(_tensors())


def test_a_prefix_that_not_all_names_share_stays(tmp_path: Path) -> None:
    tensors = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    torch.save(tensors, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").tensors == tensors


@pytest.mark.parametrize(("plain", "average"), [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("model", "ema")])
def test_ema_is_a_choice(tmp_path: Path, plain: str, average: str) -> None:
    torch.save({plain: _tensors(0), average: {f"module.{k}": v for k, v in _tensors(1).items()}}, tmp_path / "w.pth")
    usual, averaged = read_weights(tmp_path / "w.pth"), read_weights(tmp_path / "w.pth", "ema")
    assert digest(usual.tensors) == digest(_tensors(0))
    assert digest(averaged.tensors) == digest(_tensors(1))
    assert (usual.selection.key, averaged.selection.key) == (plain, average)


def test_an_averaged_model_is_an_ema(tmp_path: Path) -> None:
    model = nn.Linear(2, 3)
    torch.save(AveragedModel(model).state_dict(), tmp_path / "w.pth")
    assert digest(read_weights(tmp_path / "w.pth", "ema").tensors) == digest(model.state_dict())


def test_the_options_of_a_training_script_do_no_harm(tmp_path: Path) -> None:
    torch.save({"state_dict": _tensors(), "args": argparse.Namespace(lr=0.1, opt="adamw")}, tmp_path / "w.pth")
    assert digest(read_weights(tmp_path / "w.pth").tensors) == digest(_tensors())


# --- what is refused ---


def _fails(path: Path, code: str, *said: str, key: str = "") -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_weights(path, key)
    assert caught.value.code == code
    for words in (path.name, *said):
        assert words in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_ema_that_is_not_there(tmp_path: Path) -> None:
    torch.save(_tensors(), tmp_path / "w.pth")
    _fails(tmp_path / "w.pth", "no-ema-weights", "a plain state dict", key="ema")


def test_nothing_but_an_ema(tmp_path: Path) -> None:
    torch.save({"model_ema": _tensors(), "epoch": 1}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").selection.key == "model_ema"


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("held", [{"w": torch.zeros(2), "why": warnings.warn}, {"w": torch.zeros(2), "s": collections.UserString("x")}])
def test_a_pickle_that_needs_more_than_tensors(tmp_path: Path, held: Any, legacy: bool) -> None:
    torch.save(held, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    error = _fails(tmp_path / "w.pth", "unsafe-pickle", "refused")
    assert "save_file" in error.hint
    assert ("warn" if "why" in held else "UserString") in error.message


def test_a_malicious_pickle_does_not_run(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": _tensors(), "x": Payload()}, tmp_path / "w.pth")
    _fails(tmp_path / "w.pth", "unsafe-pickle")
    assert not (tmp_path / "ran").exists()


def test_a_torchscript_archive(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "w.pt")
    _fails(tmp_path / "w.pt", "torchscript-archive", "holds code")


@pytest.mark.parametrize("suffix", [".pth", ".legacy.pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.99])
def test_a_truncated_file(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"w{suffix}"
    tensors = {"w": torch.randn(400), "v": torch.randn(300)}
    if suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=suffix == ".pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    _fails(path, "weights-truncated")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.bin"])
@pytest.mark.parametrize("content", [b"not weights at all", b"\x80\x02}q\x00", bytes(range(256)) * 8, b"PK\x03\x04 half a zip"])
def test_a_file_of_something_else(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_weights(tmp_path / name)
    assert caught.value.code in {"weights-truncated", "no-state-dict"}


def test_a_git_lfs_pointer(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    assert "git lfs pull" in _fails(tmp_path / "w.bin", "git-lfs-pointer").hint


def test_a_web_page(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_text("<!doctype html><html></html>")
    _fails(tmp_path / "w.pth", "weights-unreadable", "web page")


def test_an_unknown_format(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"x")
    _fails(tmp_path / "w.onnx", "unknown-weights-format", ".safetensors")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    _fails(tmp_path / "w.pth", "checkpoint-unreadable", "No such file")


@pytest.mark.parametrize("held", [torch.zeros(2), [torch.zeros(2)], {}, {"epoch": 3}, {"model": {}}, {0: torch.zeros(1)}])
def test_no_state_dict(tmp_path: Path, held: Any) -> None:
    torch.save(held, tmp_path / "w.pth")
    _fails(tmp_path / "w.pth", "no-state-dict")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_non_finite_weights(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    tensors = _tensors() | {"c.weight": torch.tensor([1.0, value, value], dtype=dtype)}
    save_file(tensors, tmp_path / "w.safetensors")
    _fails(tmp_path / "w.safetensors", "non-finite-weights", "1 of 4 tensors", "c.weight (2 of 3 values)")


def test_a_file_that_unfolds_without_end(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(1 << 40)}, tmp_path / "w.pth")
    _fails(tmp_path / "w.pth", "weights-oversized")


@pytest.mark.parametrize(("tensor", "kind"), [(torch.eye(3).to_sparse(), "sparse"), (torch.empty(2, device="meta"), "without data")])
def test_tensors_that_are_not_dense(tmp_path: Path, tensor: Tensor, kind: str) -> None:
    torch.save({"w": tensor}, tmp_path / "w.pth")
    _fails(tmp_path / "w.pth", "weights-not-dense", kind)


@pytest.mark.filterwarnings("ignore")
def test_quantized_tensors(tmp_path: Path) -> None:
    torch.save({"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}, tmp_path / "w.pth")
    _fails(tmp_path / "w.pth", "weights-not-dense", "quantized")


def test_eight_bit_floats_are_read(tmp_path: Path) -> None:
    tensors = {"w": torch.ones(4).to(torch.float8_e4m3fn)}
    save_file(tensors, tmp_path / "w.safetensors")
    assert digest(read_weights(tmp_path / "w.safetensors").tensors) == digest(tensors)


def test_a_safetensors_header_that_lies(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")
    _fails(tmp_path / "w.safetensors", "weights-truncated")
