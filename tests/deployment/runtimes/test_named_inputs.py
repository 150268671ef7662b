"""Programs that take no images: integer and float inputs by name, several outputs, in every runtime that takes them; and one called token by token."""

import dataclasses
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from efficient360.core.measurement import Failure
from efficient360.deployment.devices.device import DeviceReading, Job, Schedule
from efficient360.deployment.devices.interleaving import IMAGES, load, probe_logits
from efficient360.deployment.devices.local import Local, local_workspace
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.kit.loop import looped
from efficient360.deployment.runtimes.runtime import Artefact, Precision
from efficient360.deployment.runtimes.signature import NO_IMAGES, ArraySpec, Signature, stacked

WORDS, WIDTH, LENGTH = 20, 16, 6
SIGNATURE = Signature((ArraySpec("ids", (1, LENGTH), "int64"), ArraySpec("mask", (1, LENGTH), "int64"), ArraySpec("bias", (1, WIDTH))), ("pooled", "scores"))


class Reader(nn.Module):
    """Words attend to those that the mask shows; a pooled vector and a score for every word come out."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(WORDS, WIDTH)
        self.mix = nn.Sequential(nn.Linear(WIDTH, 32), nn.GELU(), nn.Linear(32, WIDTH))
        self.score = nn.Linear(WIDTH, 3)

    def forward(self, ids: Tensor, mask: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        words = self.table(ids) + bias[:, None]
        heads = words.unflatten(-1, (2, WIDTH // 2)).transpose(1, 2)
        attended = nn.functional.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask[:, None, None, :].bool())
        words = words + attended.transpose(1, 2).flatten(2)
        words = words + self.mix(words)
        return (words * mask[..., None]).sum(1), self.score(words)


def reader() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Reader().eval()


def call(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = (np.arange(LENGTH) < rng.integers(2, LENGTH + 1))[None].astype(np.int64)
    return {"ids": rng.integers(0, WORDS, (1, LENGTH)), "mask": mask, "bias": rng.normal(size=(1, WIDTH)).astype(np.float32)}


def source(folder: Path) -> ModelSource:
    return ModelSource("reader", reader(), NO_IMAGES, stacked([call(seed) for seed in range(20, 40)]), folder, signature=SIGNATURE)


def write_calls(path: Path, calls: list[dict[str, np.ndarray]]) -> None:
    arrays: dict[str, Any] = stacked(calls)
    np.savez(path, **arrays)


def answers(artefact: Artefact, calls: list[dict[str, np.ndarray]], folder: Path) -> dict[str, np.ndarray]:
    write_calls(folder / "calls.npz", calls)
    with local_workspace(1, {}, None) as place, closing(place.start()) as link:
        place.put(folder / "calls.npz", IMAGES)
        load(place, link, artefact, 1, 60.0)
        return probe_logits(place, link, 60.0)


RUNTIMES = ["torch", pytest.param("onnxruntime"), pytest.param("openvino"), pytest.param("litert", marks=pytest.mark.slow)]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_input_and_output_has_its_place(runtime: str, tmp_path: Path) -> None:
    artefact = build(source(tmp_path), runtime, Precision.FP32)
    assert isinstance(artefact, Artefact), artefact
    again = build(source(tmp_path), runtime, Precision.FP32)
    assert isinstance(again, Artefact)
    assert (again.digest, again.signature) == (artefact.digest, SIGNATURE)  # what lies on disk tells it too
    calls = [call(seed) for seed in range(4)]
    result = answers(artefact, calls, tmp_path)
    with torch.no_grad():
        truth = [reader()(*(torch.from_numpy(asked[name]) for name in SIGNATURE.names)) for asked in calls]
    assert list(result) == ["pooled", "scores"]
    for place, name in enumerate(result):
        np.testing.assert_allclose(result[name], np.stack([values[place].numpy() for values in truth]), atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "litert"])
def test_int8_is_calibrated_with_calls(runtime: str, tmp_path: Path) -> None:
    artefact = build(source(tmp_path), runtime, Precision.INT8)
    assert isinstance(artefact, Artefact), artefact
    calls = [call(seed) for seed in range(4)]
    result = answers(artefact, calls, tmp_path)
    with torch.no_grad():
        truth = np.stack([reader()(*(torch.from_numpy(asked[name]) for name in SIGNATURE.names))[1].numpy() for asked in calls])
    error = np.abs(result["scores"] - truth).mean() / np.abs(truth - truth.mean()).mean()
    assert 1e-4 < error < 0.15  # it quantizes, and what it quantizes for are the calls of its own inputs


def test_what_takes_images_alone_says_so(tmp_path: Path) -> None:
    refused = build(source(tmp_path), "torch_compile", Precision.FP32)
    assert isinstance(refused, Failure)
    assert refused.code == "no-other-inputs"
    assert "onnxruntime" in refused.hint


@pytest.mark.parametrize("precision", [Precision.INT8_SMOOTH, Precision.W4_GPTQ, Precision.INT4_DYNAMIC])
def test_what_is_calibrated_in_pytorch_takes_images_alone(precision: Precision, tmp_path: Path) -> None:
    refused = build(source(tmp_path), "litert", precision)
    assert isinstance(refused, Failure)
    assert refused.code == "no-precision"


def test_other_inputs_are_another_artefact(tmp_path: Path) -> None:
    first = build(source(tmp_path), "torch", Precision.FP32)
    other = build(dataclasses.replace(source(tmp_path), signature=dataclasses.replace(SIGNATURE, outputs=("vector", "scores"))), "torch", Precision.FP32)
    assert isinstance(first, Artefact)
    assert isinstance(other, Artefact)
    assert first.folder != other.folder


@pytest.mark.parametrize(
    ("change", "word"),
    [({"ids": np.zeros((1, 6), np.int32)}, "int64"), ({"mask": np.zeros((1, 5), np.int64)}, r"\(1, 5\)"), ({"more": np.zeros(1)}, "more")],
)
def test_a_call_that_does_not_fit_is_told(change: dict[str, np.ndarray], word: str) -> None:
    SIGNATURE.require(call(0))
    with pytest.raises(ValueError, match=word):
        SIGNATURE.require(call(0) | change)


def test_times_come_with_answers(tmp_path: Path) -> None:
    artefact = build(source(tmp_path), "torch", Precision.FP32)
    assert isinstance(artefact, Artefact)
    write_calls(tmp_path / "calls.npz", [call(0), call(1)])
    schedule = Schedule(runs=4, seconds=0.0, blocks=2, warm_runs=3, warm_seconds=0.0, repeats=0, starts=1)
    ((_, reading),) = Local().measure([Job(artefact, 1)], tmp_path / "calls.npz", schedule, lambda done, total: None)
    assert isinstance(reading, DeviceReading)
    assert reading.logits is None
    assert reading.answers is not None
    assert reading.answers["pooled"].shape == (2, 1, WIDTH)
    assert sum(len(block.wall) for block in reading.blocks) >= 4


def test_a_loop_generates_and_remembers() -> None:
    """A step whose logits favour (sum of all tokens up to here) mod 7: only the remembered tokens tell the sum."""
    loop = {"token": "token", "position": "place", "logits": "logits", "steps": 3, "states": [["past", "new", 1]]}
    signature = {"inputs": [["token", [1, 1], "int64"], ["place", [1], "int64"], ["past", [1, 8, 1], "float32"]], "outputs": ["logits", "new"]}
    seen = []

    def step(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        seen.append(int(inputs["place"][0]))
        total = int(inputs["past"].sum() + inputs["token"][0, 0])
        return {
            "logits": np.log(np.where(np.arange(7) == total % 7, 4.0, 1.0))[None].astype(np.float32),
            "new": np.full((1, 1, 1), inputs["token"], np.float32),
        }

    result = looped(step, {"loop": json.dumps(loop), "signature": json.dumps(signature)})({"prompt": np.array([2, 3, 5])})
    assert seen == [0, 1, 2, 3, 4]
    assert result["tokens"].tolist() == [2, 5, 3, 6, 5]  # 2, 2+3, 10, then 10+3 = 13, 13+6 = 19
    np.testing.assert_allclose(np.exp(result["log_likelihood"]), [0.1, 0.4], rtol=1e-6)  # of 3 where 2 is favoured, of 5 where 5 is


def test_a_program_without_a_loop_stays_as_it_is() -> None:
    assert looped(len, {"model": "x"}) is len
