import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from efficient360.errors import CheckpointError
from efficient360.methods.compression.compressor import Coder
from efficient360.methods.compression.packed_file import KEY, bytes_of, note_of
from efficient360.methods.compression.unpacking import unpacked_weights
from efficient360.methods.compression.variants import LADDER, parse
from efficient360.methods.compression.weights import weights_of
from efficient360.models.reading import timm_weights

CODED = [variant for variant in LADDER if isinstance(parse(variant), Coder)]
FILE = Path("packed.safetensors")


@pytest.mark.parametrize("variant", CODED)
def test_a_file_read_again_holds_the_weights_that_were_measured(vit: nn.Module, variant: str, tmp_path: Path) -> None:
    compressed = parse(variant).compress(vit)
    path = tmp_path / FILE
    path.write_bytes(compressed.file)
    read = timm_weights(path, ema=False)
    expected = compressed.network.state_dict()
    assert read.tensors.keys() == expected.keys()
    assert all(torch.equal(read.tensors[name], expected[name]) for name in expected)
    assert sum(bytes_of(name, read.packed) for name in expected) == sum(t.numel() * t.element_size() for t in compressed.stored.values())


def test_its_digest_is_not_that_of_the_same_weights_in_full(vit: nn.Module, tmp_path: Path) -> None:
    compressed = parse("clustering:16").compress(vit)
    (tmp_path / "packed.safetensors").write_bytes(compressed.file)
    safetensors.torch.save_file(compressed.network.state_dict(), tmp_path / "full.safetensors")
    packed, full = (timm_weights(tmp_path / f"{name}.safetensors", ema=False) for name in ("packed", "full"))
    assert all(torch.equal(packed.tensors[name], full.tensors[name]) for name in full.tensors)
    assert packed.digest != full.digest


def test_an_ordinary_file_is_left_as_it_is() -> None:
    tensors = {"a:b": torch.ones(2)}
    assert unpacked_weights(tensors, {"format": "pt"}, FILE) == tensors


def note(variant: str = "quantization:4", shape: object = (2, 64)) -> dict[str, str]:
    return {KEY: json.dumps({"variant": variant, "shapes": {"w": shape}, "same": {}})}


PARTS = {"w:scales": torch.ones(2, 1).bfloat16(), "w:codes": torch.zeros(64, dtype=torch.uint8), "b": torch.ones(2)}


def test_by_hand() -> None:
    found = unpacked_weights(PARTS, note(), FILE)
    assert found.keys() == {"w", "b"}
    assert torch.equal(found["w"], torch.full((2, 64), -7.0))


@pytest.mark.parametrize(
    ("tensors", "said", "code", "message"),
    [
        (PARTS, {KEY: "{"}, "packed-damaged", "JSONDecodeError"),
        (PARTS, {KEY: "[]"}, "packed-damaged", "TypeError"),
        (PARTS, {KEY: "{}"}, "packed-damaged", "KeyError: 'variant'"),
        (PARTS, note(shape=(2, 0)), "packed-damaged", "a shape that no weight has"),
        (PARTS, note(shape=(128,)), "packed-damaged", "a shape that no weight has"),
        (PARTS, note(shape=(2, 63)), "packed-damaged", "64 bytes for 126 codes of 4 bits"),
        (PARTS, note(shape=(20000, 64000)), "packed-damaged", "544 bits for 1280000000 weights"),
        ({"w:codes": PARTS["w:codes"]}, note(), "packed-damaged", "KeyError: 'scales'"),
        ({}, note(), "packed-damaged", "0 bits for 128 weights"),
        ({**PARTS, "w:codes": torch.zeros(64)}, note(), "packed-damaged", "TypeError"),
        (PARTS, {KEY: '{"variant": "quantization:4", "shapes": {"w": [2, 64]}, "same": {"v": "u"}}'}, "packed-damaged", "KeyError: 'u'"),
        (PARTS, note("zip:3"), "packed-unknown", "compressed as 'zip:3', which is not known here"),
        (PARTS, note("clustering:999"), "packed-unknown", "compressed as 'clustering:999', which is not known here"),
        (PARTS, note("token_merging:20"), "packed-unknown", "which leaves no weights to read"),
        ({"w:table": torch.ones(3), "w:indices": torch.full((32,), 255, dtype=torch.uint8)}, note("clustering:3"), "packed-damaged", "IndexError"),
    ],
)
def test_a_file_that_does_not_fit_is_told(tensors: dict[str, torch.Tensor], said: dict[str, str], code: str, message: str) -> None:
    with pytest.raises(CheckpointError, match="packed.safetensors") as error:
        unpacked_weights(tensors, said, FILE)
    assert error.value.code == code
    assert message in error.value.message
    assert error.value.hint


@given(st.integers(1, 9), st.integers(1, 130), st.sampled_from(CODED), st.integers(0, 2**31))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_weights_of_any_shape_come_back(outputs: int, inputs: int, variant: str, seed: int) -> None:
    layer = nn.Sequential(nn.Linear(inputs, outputs, bias=False)).requires_grad_(False)
    layer[0].weight.copy_(torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed)))
    compressed = parse(variant).compress(layer)
    read = unpacked_weights(compressed.stored, compressed.note, FILE)
    assert torch.equal(read["0.weight"], weights_of(compressed.network)["0.weight"])


def test_the_note_names_shapes() -> None:
    assert json.loads(note_of("half", {"w": torch.Size((2, 3))}, {"v": "w"})[KEY]) == {"variant": "half", "shapes": {"w": [2, 3]}, "same": {"v": "w"}}


def test_a_weight_used_in_two_places_is_stored_once_and_read_twice() -> None:
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    second.weight = first.weight
    network = nn.Sequential(first, second).requires_grad_(False)
    compressed = parse("quantization:4").compress(network)
    assert {"0.weight:codes", "1.weight:codes"} & compressed.stored.keys() == {"0.weight:codes"}
    read = unpacked_weights(compressed.stored, compressed.note, FILE)
    assert read.keys() == network.state_dict().keys()
    assert torch.equal(read["1.weight"], compressed.network.state_dict()["1.weight"])
