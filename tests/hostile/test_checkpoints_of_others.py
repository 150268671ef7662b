"""Checkpoints that are damaged, absurdly large or plainly no weights are refused from what they declare, before memory or time are spent."""

import contextlib
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import MISSING, WRONG, places, with_value
from safetensors.torch import load_file, save_file
from torch import Tensor

from efficient360.errors import CheckpointError
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec, Selection
from efficient360.models.compressed_file import KEY, metadata_of
from efficient360.models.references import resolve
from efficient360.models.weight_codes import pack_bits
from efficient360.models.weights import named_weights, read_weights

pytestmark = pytest.mark.timeout(120)
ARCHITECTURE = "vit_tiny_patch16_224"


@pytest.fixture
def mine(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint that a test may spoil."""
    (tmp_path / "mine.safetensors").write_bytes(tiny.read_bytes())
    (tmp_path / "mine.json").write_bytes(tiny.with_suffix(".json").read_bytes())
    return tmp_path / "mine.safetensors"


def _refused(read: Callable[[], Any], *codes: str) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read()
    assert caught.value.code in codes, caught.value.message
    assert "\n" not in caught.value.message
    return caught.value


def _grown(work: Callable[[], Any]) -> int:
    """Bytes by which this process grew at most meanwhile."""

    def peak() -> int:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    work()
    return peak() - before


def _archive(path: Path, records: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in records.items():
            archive.writestr(f"archive/{name}", data)
    return path


def _records(saved: Any) -> dict[str, bytes]:
    """The records of what torch.save writes."""
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {info.filename.partition("/")[2]: archive.read(info) for info in archive.infolist()}


def test_an_archive_written_record_by_record_is_read(tmp_path: Path) -> None:
    saved = {"w": torch.arange(64.0)}
    path = _archive(tmp_path / "w.pt", _records(saved))
    assert torch.equal(read_weights(path).tensors["w"], saved["w"])


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"w": torch.arange(64.0)}, tmp_path / "w.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_weights(tmp_path / "w.pt").tensors["w"].sum() == 2016


@pytest.mark.parametrize("record", ["data/0", "data.pkl", "version"])
def test_a_flipped_bit_is_found(record: str, tmp_path: Path) -> None:
    saved = {"layer.weight": torch.arange(4096.0)}
    torch.save(saved, tmp_path / "w.pt")
    content = bytearray((tmp_path / "w.pt").read_bytes())
    place = content.index(_records(saved)[record])
    content[place + len(_records(saved)[record]) // 2] ^= 1
    (tmp_path / "w.pt").write_bytes(content)
    _refused(lambda: read_weights(tmp_path / "w.pt"), "weights-truncated")


def test_a_zip_bomb_is_not_unfolded(tmp_path: Path) -> None:
    records = _records({"w": torch.zeros(2)})
    path = _archive(tmp_path / "w.pt", {**records, "data/1": bytes(2**27)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    assert _grown(lambda: _refused(lambda: read_weights(path), "weights-oversized")) < 2**26


def _nested(levels: int) -> bytes:
    """A pickle of a dictionary whose key is a pair of the same pair of the same pair …"""
    pairs = b"K\x01q\x00" + b"".join(b"h" + bytes([i]) * 1 + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(levels))
    return b"\x80\x02}" + pairs + b"K\x01s."


@pytest.mark.parametrize("old", [True, False])
def test_a_pickle_that_unfolds_without_end(old: bool, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    if old:
        path.write_bytes(_nested(60))
    else:
        _archive(path, {**_records({"w": torch.zeros(2)}), "data.pkl": _nested(60)})
    _refused(lambda: read_weights(path), "weights-oversized")


def test_a_deep_pickle(tmp_path: Path) -> None:
    _archive(tmp_path / "w.pt", {**_records({"w": torch.zeros(2)}), "data.pkl": b"\x80\x02)" + b"\x85" * 200_000 + b"."})
    _refused(lambda: read_weights(tmp_path / "w.pt"), "weights-oversized")


def test_a_tensor_larger_than_its_record(tmp_path: Path) -> None:
    records = _records({"w": torch.arange(100.0)})
    data = records["data.pkl"]
    assert data.count(b"Kd") == 2  # its length as storage and as tensor
    path = _archive(tmp_path / "w.pt", {**records, "data.pkl": data.replace(b"Kd", b"J\xff\xff\xff\x7f")})
    assert _grown(lambda: _refused(lambda: read_weights(path), "weights-truncated", "weights-oversized")) < 2**28


def test_an_old_file_that_declares_more_than_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"w": torch.arange(100.0)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes().replace(b"Kd", b"J\xff\xff\xff\x7f"))
    assert _grown(lambda: _refused(lambda: read_weights(path), "weights-truncated", "weights-oversized")) < 2**28


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.bool, torch.int64, torch.complex64])
def test_weights_that_are_no_floating_point_numbers(kind: torch.dtype, mine: Path) -> None:
    tensors = load_file(mine)
    tensors["blocks.0.attn.qkv.weight"] = (tensors["blocks.0.attn.qkv.weight"] * 127).to(kind)
    save_file(tensors, mine)
    error = _refused(lambda: resolve(CheckpointSpec(str(mine))), "weights-not-floating-point")
    assert "blocks.0.attn.qkv.weight" in error.message


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_numbers_are_taken(kind: torch.dtype, mine: Path) -> None:
    save_file({name: tensor.to(kind) for name, tensor in load_file(mine).items()}, mine)
    assert resolve(CheckpointSpec(str(mine))).card["stored_dtype"] == str(kind).removeprefix("torch.")


def _with_arguments(mine: Path, **changed: Any) -> Path:
    card = json.loads(mine.with_suffix(".json").read_text())
    card["model_args"] |= changed
    mine.with_suffix(".json").write_text(json.dumps(card))
    return mine


@pytest.mark.parametrize(
    "arguments",
    [
        {"depth": 10**9},
        {"depth": 20_000},
        {"depth": 10**300},
        {"embed_dim": 10**9},
        {"num_classes": 2**30},
        {"img_size": [10**6, 10**6]},
        {"act_layer": "x" * 5000},
    ],
    ids=lambda arguments: next(iter(arguments)) + str(next(iter(arguments.values())))[:12],
)
def test_a_card_that_asks_for_an_absurd_network(arguments: dict[str, Any], mine: Path) -> None:
    read = lambda: resolve(CheckpointSpec(str(_with_arguments(mine, **arguments))))  # noqa: E731
    assert _grown(lambda: _refused(read, "architecture-oversized", "architecture-arguments", "sidecar-invalid")) < 2**29


@pytest.mark.parametrize("arguments", [{"embed_dim": 2**17, "depth": 400}, {"depth": 20_000}, {"depth": 2**40}, {"embed_dim": 2**20, "num_heads": 1}], ids=str)
def test_random_weights_of_an_absurd_network(arguments: dict[str, Any]) -> None:
    read = lambda: resolve(CheckpointSpec(ARCHITECTURE, arguments=arguments, random_weights=True))  # noqa: E731
    assert _grown(lambda: _refused(read, "architecture-oversized", "architecture-arguments")) < 2**29


SHAPE = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 10, "mlp_ratio": 4.0}


@pytest.mark.parametrize("place", list(places(SHAPE)), ids=lambda place: place[0])
def test_a_wrong_argument_is_told(place: tuple[str], mine: Path) -> None:
    for value in (*WRONG, MISSING):
        card = _with_arguments(mine, **with_value(SHAPE, place, value))
        with contextlib.suppress(CheckpointError):
            resolve(CheckpointSpec(str(card)))


def test_a_compressed_file_takes_the_memory_of_its_weights(tmp_path: Path) -> None:
    n = 2**25
    mask = torch.zeros(n // 8, dtype=torch.uint8)
    save_file({"w:mask": mask, "w:values": torch.empty(0)}, tmp_path / "w.safetensors", metadata_of("pruning:99", {"w": (2, n // 2)}, {}))
    kept: list[Any] = []
    grown = _grown(lambda: kept.append(named_weights(tmp_path / "w.safetensors", Selection())))
    assert kept[0].tensors["w"].numel() == n
    assert grown < 2 * 4 * n  # the weights in float32, and as much again


@pytest.mark.parametrize("bits", range(1, 9))
def test_codes_are_the_same_whatever_the_block(bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from efficient360.models.weight_codes import unpack_bits

    codes = torch.randint(0, 2**bits, (1001,), generator=torch.Generator().manual_seed(bits))
    monkeypatch.setattr("efficient360.models.weight_codes._BLOCK", 16)
    assert torch.equal(unpack_bits(pack_bits(codes, bits), bits, len(codes)), codes)


def test_a_header_that_is_not_there(mine: Path) -> None:
    tensors: dict[str, Tensor] = load_file(mine)
    save_file(tensors, mine, {KEY: "{}"})
    _refused(lambda: resolve(CheckpointSpec(str(mine))), "packed-damaged")


def test_a_file_larger_than_the_machine(tmp_path: Path) -> None:
    with (tmp_path / "w.safetensors").open("wb") as file:
        file.write(b"\x08")
        file.truncate(2**42)
    _refused(lambda: read_weights(tmp_path / "w.safetensors"), "weights-oversized")


@pytest.mark.parametrize("reference", ["x" * 5000, "/" + "x" * 300 + ".pt", "~nobody-of-this-name/w.pt", "a\0b", "../" * 2000 + "w.safetensors"])
def test_references_that_lead_nowhere(reference: str) -> None:
    _refused(lambda: resolve(CheckpointSpec(reference)), "checkpoint-not-found")


def test_a_pipe_among_checkpoints(mine: Path) -> None:
    os.mkfifo(mine.with_name("pipe.pt"))
    _refused(lambda: resolve(CheckpointSpec(str(mine.with_name("pipe.pt")))), "checkpoint-not-found")
    mine.with_suffix(".json").unlink()
    os.mkfifo(mine.with_suffix(".json"))
    _refused(lambda: resolve(CheckpointSpec(str(mine))), "architecture-unknown")


@pytest.mark.parametrize("device", ["meta", "nowhere", "cuda:99", "cpu:x"])
def test_devices_that_hold_no_values(device: str, mine: Path) -> None:
    checkpoint = resolve(CheckpointSpec(str(mine)))
    _refused(lambda: load_model(checkpoint, device), "device-unavailable")


def test_no_pickle_runs(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    _archive(tmp_path / "w.pt", {**_records({"w": torch.zeros(2)}), "data.pkl": pickle.dumps({"w": Runs()}, 2)})
    _refused(lambda: read_weights(tmp_path / "w.pt"), "unsafe-pickle")
    assert not (tmp_path / "ran").exists()
