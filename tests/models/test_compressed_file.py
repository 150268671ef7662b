import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from efficient360.errors import CheckpointError, SettingsError
from efficient360.methods.compression.compressor import weights_of
from efficient360.methods.compression.variants import LADDER, parse
from efficient360.models.checkpoint import Selection
from efficient360.models.compressed_file import KEY, decode_weights, metadata_of, stored_bytes
from efficient360.models.weight_codes import CODES, decoder_of, pack_bits, unpack_bits
from efficient360.models.weights import named_weights

CODED = [variant for variant in LADDER if parse(variant).name in CODES]
FILE = Path("packed.safetensors")


@pytest.fixture
def vit() -> nn.Module:
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=64, depth=3, num_heads=2, num_classes=10)
    return network.eval().requires_grad_(False)


def test_every_code_is_a_compressor_of_the_same_strengths() -> None:
    for name, code in CODES.items():
        variants = [name] if code.strengths is None else [f"{name}:{strength}" for strength in (code.strengths[0], code.strengths[-1])]
        assert all(parse(variant).name == name for variant in variants)
        for beyond in [f"{name}:1"] if code.strengths is None else [f"{name}:{code.strengths[0] - 1}", f"{name}:{code.strengths[-1] + 1}"]:
            with pytest.raises(SettingsError):
                parse(beyond)
            with pytest.raises(LookupError):
                decoder_of(beyond)


@pytest.mark.parametrize("variant", CODED)
def test_a_file_read_again_holds_the_weights_that_were_measured(vit: nn.Module, variant: str, tmp_path: Path) -> None:
    compressed = parse(variant).compress(vit)
    path = tmp_path / FILE
    path.write_bytes(compressed.file)
    read = named_weights(path, Selection())
    expected = compressed.network.state_dict()
    assert read.tensors.keys() == expected.keys()
    assert all(torch.equal(read.tensors[name], expected[name]) for name in expected)
    assert sum(stored_bytes(name, read.stored) for name in expected) == sum(t.numel() * t.element_size() for t in compressed.stored.values())


def test_its_digest_is_not_that_of_the_same_weights_in_full(vit: nn.Module, tmp_path: Path) -> None:
    compressed = parse("clustering:16").compress(vit)
    (tmp_path / "packed.safetensors").write_bytes(compressed.file)
    safetensors.torch.save_file(compressed.network.state_dict(), tmp_path / "full.safetensors")
    packed, full = (named_weights(tmp_path / f"{name}.safetensors", Selection()) for name in ("packed", "full"))
    assert all(torch.equal(packed.tensors[name], full.tensors[name]) for name in full.tensors)
    assert packed.digest != full.digest


def test_an_ordinary_file_is_left_as_it_is() -> None:
    tensors = {"a:b": torch.ones(2)}
    assert decode_weights(tensors, {"format": "pt"}, FILE) == tensors


def metadata(variant: str = "quantization:4", shape: object = (2, 64)) -> dict[str, str]:
    return {KEY: json.dumps({"variant": variant, "shapes": {"w": shape}, "same": {}})}


PARTS = {"w:scales": torch.ones(2, 1).bfloat16(), "w:codes": torch.zeros(64, dtype=torch.uint8), "b": torch.ones(2)}


def test_by_hand() -> None:
    decoded = decode_weights(PARTS, metadata(), FILE)
    assert decoded.keys() == {"w", "b"}
    assert torch.equal(decoded["w"], torch.full((2, 64), -7.0))


PRUNED = {"w:mask": torch.full((16,), 0b01010101, dtype=torch.uint8), "w:values": torch.ones(1)}


@pytest.mark.parametrize(
    ("tensors", "header", "code", "message"),
    [
        (PARTS, {KEY: "{"}, "packed-damaged", "is not valid JSON: EOF"),
        (PARTS, {KEY: "[" * 100_000}, "packed-damaged", "recursion limit exceeded"),
        (PARTS, {KEY: "[]"}, "packed-damaged", "where an object is wanted"),
        (PARTS, {KEY: "{}"}, "packed-damaged", "has no variant"),
        (PARTS, metadata(shape=(2, 0)), "packed-damaged", "shapes.w[1] is 0, where at least 1 is wanted"),
        (PARTS, metadata(shape=(2, 1e400)), "packed-damaged", "is not valid JSON"),
        (PARTS, metadata(shape=(2, True)), "packed-damaged", "shapes.w[1] is True, where a whole number is wanted"),
        (PARTS, metadata(shape=(2, 10**30)), "packed-damaged", "where at most 2.14748e+09 is wanted"),
        (PARTS, metadata(shape=(128,)), "packed-damaged", "at least 2 of them"),
        (PARTS, metadata(shape=(2, 63)), "packed-damaged", "codes of uint8 [64] instead of uint8 [63]"),
        (PARTS, metadata(shape=(20000, 64000)), "packed-damaged", "544 bits for 1280000000 weights"),
        ({"w:codes": PARTS["w:codes"]}, metadata(), "packed-damaged", "w has no scales"),
        ({**PARTS, "w:scales": torch.ones(1, 1).bfloat16()}, metadata(), "packed-damaged", "scales of bfloat16 [1, 1] instead of bfloat16 [2, 1]"),
        ({}, metadata(), "packed-damaged", "0 bits for 128 weights"),
        ({**PARTS, "w:codes": torch.zeros(64)}, metadata(), "packed-damaged", "codes of float32 [64] instead of uint8 [64]"),
        (PARTS, {KEY: '{"variant": "quantization:4", "shapes": {"w": [2, 64]}, "same": {"v": "u"}}'}, "packed-damaged", "lacks the tensor 'u'"),
        (PRUNED, metadata("pruning:50"), "packed-damaged", "values of float32 [1] instead of float32 [64]"),
        ({"w:bfloat16": torch.ones(1, 64).bfloat16()}, metadata("half", (16, 64)), "packed-damaged", "bfloat16 of bfloat16 [1, 64]"),
        ({"w:values": torch.ones(1), "w:places": torch.zeros(32, dtype=torch.uint8)}, metadata("two_of_four"), "packed-damaged", "values of float32 [1]"),
        (PARTS, metadata("zip:3"), "packed-unknown", "compressed as 'zip:3', which is not known here"),
        (PARTS, metadata("clustering:999"), "packed-unknown", "compressed as 'clustering:999', which is not known here"),
        (PARTS, metadata("token_merging:20"), "packed-unknown", "compressed as 'token_merging:20', which is not known here"),
        (
            {"w:table": torch.ones(3), "w:indices": torch.full((32,), 255, dtype=torch.uint8)},
            metadata("clustering:3"),
            "packed-damaged",
            "the index 3 into a table",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_told(tensors: dict[str, torch.Tensor], header: dict[str, str], code: str, message: str) -> None:
    with pytest.raises(CheckpointError, match="packed.safetensors") as error:
        decode_weights(tensors, header, FILE)
    assert error.value.code == code
    assert message in error.value.message
    assert error.value.hint


@given(st.integers(1, 9), st.integers(1, 130), st.sampled_from(CODED), st.integers(0, 2**31))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_weights_of_any_shape_come_back(outputs: int, inputs: int, variant: str, seed: int) -> None:
    layer = nn.Sequential(nn.Linear(inputs, outputs, bias=False)).requires_grad_(False)
    layer[0].weight.copy_(torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed)))
    compressed = parse(variant).compress(layer)
    read = decode_weights(compressed.stored, compressed.metadata, FILE)
    assert torch.equal(read["0.weight"], weights_of(compressed.network)["0.weight"])


def test_the_metadata_names_shapes() -> None:
    assert json.loads(metadata_of("half", {"w": torch.Size((2, 3))}, {"v": "w"})[KEY]) == {"variant": "half", "shapes": {"w": [2, 3]}, "same": {"v": "w"}}


def test_a_weight_used_in_two_places_is_stored_once_and_read_twice() -> None:
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    second.weight = first.weight
    network = nn.Sequential(first, second).requires_grad_(False)
    compressed = parse("quantization:4").compress(network)
    assert {"0.weight:codes", "1.weight:codes"} & compressed.stored.keys() == {"0.weight:codes"}
    read = decode_weights(compressed.stored, compressed.metadata, FILE)
    assert read.keys() == network.state_dict().keys()
    assert torch.equal(read["1.weight"], compressed.network.state_dict()["1.weight"])


@given(st.integers(1, 8).flatmap(lambda bits: st.tuples(st.just(bits), st.lists(st.integers(0, 2**bits - 1), max_size=50))))
def test_what_is_packed_comes_back_and_takes_no_more_bits(drawn: tuple[int, list[int]]) -> None:
    bits, codes = drawn
    packed = pack_bits(torch.tensor(codes, dtype=torch.int64), bits)
    assert packed.dtype == torch.uint8
    assert len(packed) == -(-len(codes) * bits // 8)
    assert unpack_bits(packed, bits, len(codes)).tolist() == codes


@pytest.mark.parametrize(("codes", "bits", "by_hand"), [([1, 0, 1, 1], 1, [0b10110000]), ([5, 2, 7], 3, [0b10101011, 0b10000000]), ([200, 3], 8, [200, 3])])
def test_bits_stand_end_to_end(codes: list[int], bits: int, by_hand: list[int]) -> None:
    np.testing.assert_array_equal(pack_bits(torch.tensor(codes), bits), by_hand)
