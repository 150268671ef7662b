"""Parameters and bytes by hand, on the wire format, and against published counts."""

import dataclasses
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from efficient360.conformance import Subject, check, subject
from efficient360.evaluator import Context, Deadline, Model, Unsupported
from efficient360.evaluators.parameters import PARAMETERS, WEIGHT_BYTES, Parameters
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import PixelsToLogits
from efficient360.models.references import resolve


class Deployed(Model):
    num_classes, input_size = 7, (3, 32, 32)

    def __call__(self, images: Tensor) -> Tensor:
        return torch.zeros(len(images), 7)


@pytest.fixture(scope="module")
def on() -> Subject:
    return subject()


def measure(on: Subject, folder: Path, network: nn.Module | None = None, **changes):
    model = on.model
    if network is not None:
        model = dataclasses.replace(model, module=PixelsToLogits(network, (0.5,) * 3, (0.5,) * 3, None))
    checkpoint = dataclasses.replace(on.checkpoint, **changes)
    return list(Parameters().evaluate(model, Context(checkpoint, None, None, 0, 8, Deadline(), folder)))


def test_the_contract():
    check(Parameters())


def test_a_vit_by_hand(on: Subject, tmp_path: Path):
    d, tokens = 32, 17
    block = 12 * d * d + (3 * d + d + 4 * d + d) + 4 * d
    expected = (192 * d + d) + d + tokens * d + 2 * block + 2 * d + (7 * d + 7)
    parameters, weight_bytes = measure(on, tmp_path)
    assert (parameters.metric, parameters.value, parameters.interval) == (PARAMETERS, expected, None)
    assert (weight_bytes.metric, weight_bytes.value) == (WEIGHT_BYTES, 4 * expected)
    rows = {row[0]: row[1] for row in parameters.extra[0].rows}
    assert rows["blocks.0"] == rows["blocks.1"] == f"{block:,}"
    assert rows["head"] == str(7 * d + 7)
    assert sum(float(row[2].removesuffix(" %")) for row in parameters.extra[0].rows) == pytest.approx(100, abs=0.5)


def test_buffers_take_bytes_but_are_no_parameters(on: Subject, tmp_path: Path):
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    network.register_buffer("cache", torch.zeros(1000), persistent=False)
    parameters, weight_bytes = measure(on, tmp_path, network)
    assert parameters.value == 3 * 4 + 4 + 2 * 4
    assert weight_bytes.value == 4 * parameters.value + 4 * 2 * 4 + 8
    assert weight_bytes.extra[0].rows == (("parameters", "4", "24", "96.0 B", "32"), ("buffers", "3", "9", "40.0 B", "35.6"))


def test_tied_weights_count_once(on: Subject, tmp_path: Path):
    network = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False))
    network[1].weight = network[0].weight
    parameters, weight_bytes = measure(on, tmp_path, network)
    assert (parameters.value, weight_bytes.value) == (25, 100)


def test_half_precision_in_the_file_is_half_the_bytes(tiny: Path, tmp_path: Path):
    from safetensors.torch import load_file

    tensors = {name: tensor.half() for name, tensor in load_file(tiny).items()}
    save_file(tensors, tmp_path / "half.safetensors")
    (tmp_path / "half.json").write_text(tiny.with_suffix(".json").read_text())
    values = []
    for path in (tiny, tmp_path / "half.safetensors"):
        checkpoint = resolve(CheckpointSpec(str(path)))
        values.append(list(Parameters().evaluate(load_model(checkpoint), Context(checkpoint, None, None, 0, 8, Deadline(), tmp_path))))
    (full_count, full_bytes), (half_count, half_bytes) = values
    assert full_count.value == half_count.value
    assert full_bytes.value == 2 * half_bytes.value == sum(4 * tensor.numel() for tensor in tensors.values())
    assert half_bytes.extra[0].rows[0][-1] == "16"


@pytest.mark.parametrize(("name", "millions"), [("deit_tiny_patch16_224", 5.72), ("mobilevit_s", 5.58), ("pvt_v2_b0", 3.67)])
def test_published_counts(on: Subject, tmp_path: Path, name: str, millions: float):
    with torch.device("meta"):
        network = timm.create_model(name)
    assert round(measure(on, tmp_path, network)[0].value / 1e6, 2) == millions


def test_an_artefact_has_no_parameters(on: Subject, tmp_path: Path):
    with pytest.raises(Unsupported, match="Deployed") as error:
        list(Parameters().evaluate(Deployed(), Context(on.checkpoint, None, None, 0, 8, Deadline(), tmp_path)))
    assert error.value.code == "no-module"
