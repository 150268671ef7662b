from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.runtime import Artefact, Precision

PLUGIN = '''
import os, signal, sys, time
from pathlib import Path
from typing import ClassVar
from efficient360.errors import Unsupported
from efficient360.deployment.runtimes.runtime import Converted, Precision, Runtime

class Mine(Runtime):
    """A runtime of our own."""

    name: ClassVar = "mine"
    title: ClassVar = "Mine"
    extra: ClassVar = "{extra}"
    converts_with: ClassVar = {needs}
    precisions: ClassVar = (Precision.FP32, Precision.INT8)
    largest_batch: ClassVar = 2

    def convert(self, build):
        with (Path(__file__).parent / "calls").open("a") as calls:
            calls.write("x")
        {body}
        (build.folder / "model.bin").write_bytes(bytes(build.batch))
        return Converted({{"file": "model.bin"}}, {{"calibrated": build.calibration is not None}})

RUNTIME = Mine()
'''


class Sums(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) * self.weight


def runtime(folder: Path, body: str = "", needs: tuple[str, ...] = (), extra: str = "") -> str:
    path = folder / "mine.py"
    path.write_text(PLUGIN.format(body=body, needs=repr(needs), extra=extra))
    return str(path)


def source(folder: Path, identity: str = "one", images: int | None = None) -> ModelSource:
    calibration = None if images is None else np.zeros((images, 3, 4, 4), np.float32)
    return ModelSource(identity, Sums().eval(), (3, 4, 4), calibration, folder / "kept")


def calls(folder: Path) -> int:
    path = folder / "calls"
    return len(path.read_text()) if path.exists() else 0


def refused(folder: Path, found: Artefact | Failure) -> Failure:
    assert isinstance(found, Failure)
    assert calls(folder) == 0
    assert found.status is Status.UNSUPPORTED
    return found


def test_what_is_built_once_is_taken_from_its_folder(tmp_path: Path) -> None:
    mine = runtime(tmp_path)
    first = build(source(tmp_path), mine, Precision.FP32)
    assert isinstance(first, Artefact)
    assert (first.folder / "model.bin").read_bytes() == bytes(1)
    assert (first.bytes, first.batch, first.converted.settings, first.converted.facts) == (1, 1, {"file": "model.bin"}, {"calibrated": False})
    assert build(source(tmp_path), mine, Precision.FP32) == first
    assert calls(tmp_path) == 1


def test_other_weights_batch_precision_images_or_converter_are_built_anew(tmp_path: Path) -> None:
    mine = runtime(tmp_path)
    wanted = [
        (source(tmp_path), Precision.FP32, 1),
        (source(tmp_path, "two"), Precision.FP32, 1),
        (source(tmp_path), Precision.FP32, 2),
        (source(tmp_path, images=2), Precision.INT8, 1),
        (source(tmp_path, images=3), Precision.INT8, 1),
    ]
    found = [build(given, mine, precision, batch) for given, precision, batch in wanted]
    assert all(isinstance(one, Artefact) for one in found)
    assert len({one.folder for one in found if isinstance(one, Artefact)}) == 5
    assert [one.converted.facts["calibrated"] for one in found if isinstance(one, Artefact)] == [False, False, False, True, True]
    assert build(source(tmp_path, images=7), mine, Precision.FP32) == found[0]  # float32 does not look at calibration images
    assert calls(tmp_path) == 5
    runtime(tmp_path, body="pass  # another converter")
    assert isinstance(build(source(tmp_path), mine, Precision.FP32), Artefact)
    assert calls(tmp_path) == 6


def test_a_missing_package_is_one_sentence(tmp_path: Path) -> None:
    found = refused(tmp_path, build(source(tmp_path), runtime(tmp_path, needs=("no_such_module",), extra="mine"), Precision.FP32))
    assert found.code == "runtime-not-installed"
    assert found.message == "Mine can't be converted for: no_such_module not installed"
    assert found.hint == "pip install 'efficient360[mine]'"


def test_a_precision_it_does_not_have(tmp_path: Path) -> None:
    found = refused(tmp_path, build(source(tmp_path), runtime(tmp_path), Precision.BF16))
    assert (found.code, found.message, found.hint) == ("no-precision", "Mine has no bf16 on a CPU", "it has fp32, int8")


def test_int8_wants_images(tmp_path: Path) -> None:
    found = refused(tmp_path, build(source(tmp_path), runtime(tmp_path), Precision.INT8))
    assert (found.code, found.hint) == ("no-calibration", "add --dataset")


def test_a_batch_larger_than_it_takes(tmp_path: Path) -> None:
    found = refused(tmp_path, build(source(tmp_path), runtime(tmp_path), Precision.FP32, 3))
    assert found.code == "no-batch"


def test_a_network_that_can_not_be_exported(tmp_path: Path) -> None:
    class Depends(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))

    given = ModelSource("depends", Depends(), (3, 4, 4), None, tmp_path / "kept")
    found = refused(tmp_path, build(given, runtime(tmp_path), Precision.FP32))
    assert found.code == "no-export"
    assert found.message.startswith("torch.export can't trace this network: ")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("raise ValueError('bad  weights')", "conversion-failed", "the converter for Mine raised ValueError: bad weights"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "conversion-crashed", "the converter for Mine was ended by SIGSEGV"),
        ("print('no memory', file=sys.stderr, flush=True); os._exit(7)", "conversion-crashed", "the converter for Mine ended with code 7: no memory"),
    ],
)
def test_a_converter_that_fails_is_tried_again(body: str, code: str, message: str, tmp_path: Path) -> None:
    mine = runtime(tmp_path, body)
    for attempt in (1, 2):
        found = build(source(tmp_path), mine, Precision.FP32)
        assert isinstance(found, Failure)
        assert (found.status, found.code, found.message) == (Status.FAILED, code, message)
        assert calls(tmp_path) == attempt


def test_a_converter_that_hangs_is_ended(tmp_path: Path) -> None:
    found = build(source(tmp_path), runtime(tmp_path, "time.sleep(600)"), Precision.FP32, timeout=0.5)
    assert isinstance(found, Failure)
    assert (found.status, found.code, found.hint) == (Status.FAILED, "conversion-hung", "raise the time limit")


def test_what_is_unsupported_is_kept(tmp_path: Path) -> None:
    mine = runtime(tmp_path, "raise Unsupported('no-operator', 'Mine lacks aten.roll', 'take another runtime')")
    first = build(source(tmp_path), mine, Precision.FP32)
    assert first == Failure(Status.UNSUPPORTED, "no-operator", "Mine lacks aten.roll", "take another runtime")
    assert build(source(tmp_path), mine, Precision.FP32) == first
    assert calls(tmp_path) == 1
