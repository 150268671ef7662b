"""What a fast path takes, from tables written by hand."""

from pathlib import Path

import pytest

from efficient360.core.measurement import Failure
from efficient360.deployment.hardware_fit.delegation import DelegationSummary, delegation_of
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Delegation, Precision


def artefact(runtime: str, delegation: Delegation | None = None) -> Artefact:
    return Artefact(runtime, Precision.FP32, 1, (3, 8, 8), Path("nowhere"), "digest", 1, {}, 0.0, Converted({}, {}, delegation))


def row(kind: str, place: str) -> dict:
    return {"name": kind, "kind": kind, "seconds": 1.0, "place": place}


@pytest.mark.parametrize(
    ("delegated", "left", "told", "share"),
    [
        (61, {"aten_native_layer_norm_default": 25, "aten_expand_copy_default": 14}, None, 1.0),
        (80, {"aten_mm_default": 2, "aten_gelu_default": 18}, None, None),
        (80, {"aten_mm_default": 20}, 0.7, 0.7),
        (0, {"CONV_2D": 100}, None, 0.0),
        (100, {}, None, 1.0),
    ],
)
def test_a_converter_that_tells(delegated: int, left: dict[str, int], told: float | None, share: float | None) -> None:
    found = delegation_of(artefact("executorch", Delegation("XNNPACK", delegated, 100, 62, left, told)), ())
    assert found == DelegationSummary("XNNPACK", delegated, 100, 62, left, share)


def test_openvino_names_the_kernel() -> None:
    rows = [
        row("FullyConnected", "brgemm_avx2_f32"),
        row("MVN", "jit_avx2_f32"),
        row("Transpose", "unknown_f32"),
        row("Concat", "ref_f32"),
        row("Reorder", "reorder_f32"),
    ]
    assert delegation_of(artefact("openvino"), rows) == DelegationSummary("optimised kernels", 3, 4, None, {"Concat": 1}, None)


def test_onnx_runtime_on_a_gpu() -> None:
    gpu, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    rows = [row("Conv", gpu), row("Relu", gpu), row("Gather", cpu), row("Gather", cpu), row("MatMul", gpu), row("Shape", cpu)]
    assert delegation_of(artefact("onnxruntime"), rows) == DelegationSummary("CUDA", 3, 6, 2, {"Gather": 2, "Shape": 1}, None)


def test_onnx_runtime_on_its_cpu_provider_is_no_delegation() -> None:
    found = delegation_of(artefact("onnxruntime"), [row("Conv", "CPUExecutionProvider")])
    assert isinstance(found, Failure)
    assert (found.status, found.code) == ("unsupported", "cpu-only")
    assert "ONNX Runtime ran every operator on its CPU provider" in found.message


@pytest.mark.parametrize(("runtime", "rows"), [("torch", [row("aten::addmm", "cpu")]), ("openvino", []), ("onnxruntime", [])])
def test_a_runtime_that_tells_nothing(runtime: str, rows: list[dict]) -> None:
    found = delegation_of(artefact(runtime), rows)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == ("unsupported", "no-delegation")
    assert "take LiteRT, ExecuTorch or OpenVINO" in found.hint
