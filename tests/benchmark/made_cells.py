"""Cells made by hand."""

from efficient360.benchmark.cells import ArtefactFacts, BenchmarkCell, CellNumbers, DeviceFacts, MissingNumbers, ModelFacts, RowRole, RuntimeFacts
from efficient360.benchmark.zoo import Family
from efficient360.core.findings import Finding
from efficient360.core.measurement import Status
from efficient360.deployment.devices.device import ColdStart, Schedule
from efficient360.deployment.runtimes.parity import Parity
from efficient360.deployment.runtimes.runtime import Precision

TITLES = {"torch": "PyTorch eager", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "litert": "LiteRT", "ncnn": "ncnn"}


def made_model(name="m", family=Family.VIT, macs=1_000_000_000, role=RowRole.MODEL):
    return ModelFacts(name, role, family, "random, seed 0", f"id-{name}", (3, 32, 32), 10, 1_000_000, macs)


def made_device(name="local", emulated=""):
    return DeviceFacts(name, "Some CPU", "x86_64", "Linux", 2, 8_000_000_000, ("avx2",), emulated)


def made_parity(passed=True):
    return Parity(8, 0.01, 0.001, 1.0, 1.0, 8, 1.0, passed, "" if passed else "its logits are off by 80 % of their spread, 1 % are allowed")


def made_cell(
    model="m",
    runtime="litert",
    p50=0.010,
    *,
    width=0.01,
    passed=True,
    family=Family.VIT,
    macs=1_000_000_000,
    device="local",
    emulated="",
    turn=1,
    precision=Precision.FP32,
    gap=None,
    role=RowRole.MODEL,
    findings=(),
    created="2026-01-01T00:00:00Z",
    memory=100_000_000,
):
    """A cell whose interval reaches ``width`` of the median to either side; ``gap`` is the reason where it has no numbers."""
    numbers = CellNumbers(
        p50,
        p50 * (1 - width),
        p50 * (1 + width),
        None,
        None,
        40,
        40,
        0,
        (ColdStart(0.2, 0.1, 0.02),),
        memory,
        40_000_000,
        None,
        tuple(findings),
        made_parity(passed),
    )
    return BenchmarkCell(
        key=f"{model}-{runtime}-{precision}-{device}-{turn}",
        created=created,
        model=made_model(model, family, macs, role),
        target=RuntimeFacts(runtime, TITLES.get(runtime, runtime), "1.0", precision, 1, 2),
        device=made_device(device, emulated),
        schedule=Schedule(),
        turn=turn,
        artefact=None if gap else ArtefactFacts("d", 4_400_000, {"onnx": "1"}, 3.0, {}, None),
        measured=None if gap else numbers,
        gap=MissingNumbers("conversion", Status.UNSUPPORTED, "no-operator", gap, "take another runtime") if gap else None,
        samples="",
    )


NOISY = Finding("noisy", "only 10 of 40 runs were undisturbed", "measure again on a machine that does nothing else")
