import numpy as np
import pytest
import torch
from small_networks import SIZE, source, transformer

from efficient360.core.measurement import Failure
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.building import build
from efficient360.deployment.runtimes.converters import onnxruntime_cuda
from efficient360.deployment.runtimes.kit.sessions import onnxruntime_cuda as session
from efficient360.deployment.runtimes.runtime import Artefact, Precision

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
RUNTIME = catalogue.runtime("onnxruntime_cuda")
ON_CPU = {"model": "model.onnx", "provider": "CPUExecutionProvider", "threads": 1}


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> dict[Precision, Artefact | Failure]:
    made = source(transformer(), "vit", tmp_path_factory.mktemp("artefacts"))
    return {precision: build(made, "onnxruntime_cuda", precision) for precision in RUNTIME.precisions}


@pytest.mark.slow
@pytest.mark.exhaustive
def test_half_precision_holds_its_weights_in_half_and_takes_and_gives_float32(artefacts) -> None:
    graph = onnx.load(artefacts[Precision.FP16].folder / "model.onnx").graph
    large = {value.data_type for value in graph.initializer if np.prod(value.dims) > 64}
    assert large == {onnx.TensorProto.FLOAT16}
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {onnx.TensorProto.FLOAT}


@pytest.mark.slow
@pytest.mark.exhaustive
def test_both_precisions_answer_as_the_network_where_another_provider_runs_them(artefacts) -> None:
    images = np.random.default_rng(0).random((1, *SIZE), dtype=np.float32)
    exact, half = (session.load(str(artefacts[precision].folder), ON_CPU)(images) for precision in (Precision.FP32, Precision.FP16))
    assert half.dtype == np.float32
    assert 0 < np.abs(exact - half).max() < 0.02


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="refusal of a build without CUDA")
def test_a_build_without_cuda_says_so(artefacts) -> None:
    settings = {"model": "model.onnx", "provider": onnxruntime_cuda.PROVIDER, "threads": 1}
    with pytest.raises(RuntimeError, match="^this build of ONNX Runtime has no CUDAExecutionProvider, only .*CPUExecutionProvider"):
        session.load(str(artefacts[Precision.FP32].folder), settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the refusal of a machine without CUDA")
def test_without_a_device_it_is_unavailable() -> None:
    assert RUNTIME.unavailable() == "this machine has no CUDA device"
    assert "onnxruntime_cuda" not in catalogue.installed()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch.cuda.is_available() is false: there is no GPU to ask")
def test_with_a_device_it_is_available_exactly_when_the_build_knows_cuda() -> None:
    knows = onnxruntime_cuda.PROVIDER in onnxruntime.get_available_providers()
    assert RUNTIME.unavailable() == ("" if knows else "this build of ONNX Runtime has no CUDAExecutionProvider")


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch.cuda.is_available() is false: there is no GPU to run on")
@pytest.mark.skipif(onnxruntime_cuda.PROVIDER not in onnxruntime.get_available_providers(), reason="this build of ONNX Runtime has no CUDAExecutionProvider")
def test_on_a_gpu_both_precisions_give_the_logits_of_the_cpu(artefacts) -> None:
    images = np.random.default_rng(0).random((1, *SIZE), dtype=np.float32)
    expected = session.load(str(artefacts[Precision.FP32].folder), ON_CPU)(images)
    for precision, tolerance in ((Precision.FP32, 1e-3), (Precision.FP16, 0.02)):
        logits = session.load(str(artefacts[precision].folder), {**ON_CPU, "provider": onnxruntime_cuda.PROVIDER})(images)
        np.testing.assert_allclose(logits, expected, atol=tolerance)
