from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from efficient360.core.measurement import Failure
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.kit.sessions import torch as session
from efficient360.deployment.runtimes.kit.sessions import torch_compile, torch_cuda, torch_cuda_graphs
from efficient360.deployment.runtimes.parity import parity
from efficient360.deployment.runtimes.program import cast_network, export_program, load_program, network
from efficient360.deployment.runtimes.runtime import Artefact, Build, Precision

SIZE = (3, 32, 32)


def probe(count: int) -> np.ndarray:
    return np.random.default_rng(1).random((count, *SIZE), np.float32)


def logits(module: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.concatenate([module(torch.from_numpy(one[None])).numpy() for one in images])


class Careful(nn.Module):
    """Names float32 wherever a network can: a softmax in it, a range made in the graph, a constant, a part shut off from autocast."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 10, generator=torch.Generator().manual_seed(0)))
        self.scale = torch.tensor([0.5, 2.0, 1.0])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        means = images.mean((2, 3)) * self.scale + torch.arange(3, dtype=torch.float32)
        shares = torch.softmax(means, 1, dtype=torch.float32).to(means.dtype)
        with torch.autocast("cpu", enabled=False):
            kept = shares.float() @ self.weight.float()
        return kept.to(means.dtype)


def test_cast_graphs_compute_in_the_type_asked_for(tmp_path: Path) -> None:
    export_program(Careful(), SIZE, 1, tmp_path / "program.pt2")
    cast = cast_network(network(tmp_path / "program.pt2"), torch.bfloat16)
    export_program(cast, SIZE, 1, tmp_path / "cast.pt2")
    program = load_program(tmp_path / "cast.pt2")
    assert {value.dtype for value in (*program.state_dict.values(), *program.constants.values())} == {torch.bfloat16}
    products = [node for node in program.graph_module.graph.nodes if node.target is torch.ops.aten.softmax.int]
    assert [node.meta["val"].dtype for node in products] == [torch.bfloat16]
    images = probe(4)
    found = logits(program.module(), images)
    assert found.dtype == np.float32
    reference = logits(Careful(), images)
    assert 0 < np.abs(found - reference).max() < 0.05  # bfloat16 keeps 8 bits: it must differ, a little


def made(name: str, precision: Precision, module: nn.Module, folder: Path, batch: int = 1) -> Artefact:
    found = build(ModelSource("small", module, SIZE, None, folder), name, precision, batch)
    assert not isinstance(found, Failure), found
    return found


@pytest.mark.slow
@pytest.mark.exhaustive
def test_eager_in_bfloat16_is_half_the_size_and_close(small_vit: nn.Module, tmp_path: Path, logits_of: Callable[..., np.ndarray]) -> None:
    whole, half = (made("torch", p, small_vit, tmp_path, 2) for p in (Precision.FP32, Precision.BF16))
    images = probe(5)
    reference = logits(small_vit, images)
    exact, close = parity(reference, logits_of(whole, images), Precision.FP32), parity(reference, logits_of(half, images), Precision.BF16)
    assert exact.relative < 1e-5
    assert 1e-4 < close.relative < 0.05
    assert close.passed
    assert half.bytes < 0.7 * whole.bytes


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_compiled(precision: Precision, small_vit: nn.Module, tmp_path: Path, logits_of: Callable[..., np.ndarray]) -> None:
    images = probe(3)
    found = parity(logits(small_vit, images), logits_of(made("torch_compile", precision, small_vit, tmp_path), images), precision)
    assert found.passed
    assert found.relative < {Precision.FP32: 1e-5, Precision.BF16: 0.05}[precision]


@pytest.fixture
def folder(small_cnn: nn.Module, tmp_path: Path) -> Path:
    export_program(small_cnn, SIZE, 1, tmp_path / "program.pt2")
    (tmp_path / "files").mkdir()
    request = Build(Precision.FP32, 1, SIZE, tmp_path / "program.pt2", None, tmp_path, tmp_path / "files")
    assert catalogue.runtime("torch").convert(request).settings == {"model": "model.pt2", "device": "cpu"}
    return tmp_path / "files"


def test_operators_are_those_of_the_network(folder: Path) -> None:
    rows = session.operators(str(folder), {"model": "model.pt2", "device": "cpu", "threads": 1}, probe(1))
    kinds = {row["kind"] for row in rows}
    assert any("conv" in kind for kind in kinds)
    assert {"aten::addmm", "aten::silu"} <= kinds
    assert all(row["seconds"] > 0 and row["place"] == "cpu" for row in rows)
    assert [row["seconds"] for row in rows] == sorted((row["seconds"] for row in rows), reverse=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="refusals of a machine without CUDA")
@pytest.mark.parametrize("runtime", [torch_cuda, torch_cuda_graphs, torch_compile])
def test_a_machine_without_cuda_says_so(runtime: Any, folder: Path) -> None:
    with pytest.raises(RuntimeError, match="^this machine has no CUDA device that PyTorch can use$"):
        runtime.load(str(folder), {"model": "model.pt2", "device": "cuda", "threads": 1})


@pytest.mark.skipif(torch.cuda.is_available(), reason="the refusal of a machine without CUDA")
def test_without_a_device_cuda_runtimes_are_not_listed() -> None:
    assert {catalogue.runtime(name).unavailable() for name in ("torch_cuda", "torch_cuda_graphs")} == {"this machine has no CUDA device"}
    assert not {"torch_cuda", "torch_cuda_graphs"} & set(catalogue.installed())
    assert "torch" in catalogue.installed()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch.cuda.is_available() is false: there is no GPU")
def test_with_a_device_cuda_runtimes_are_listed() -> None:
    assert {"torch", "torch_cuda", "torch_cuda_graphs"} <= set(catalogue.installed())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch.cuda.is_available() is false: there is no GPU to run on")
@pytest.mark.parametrize("runtime", [torch_cuda, torch_cuda_graphs])
def test_on_a_gpu_the_logits_are_those_of_the_cpu(runtime: Any, folder: Path) -> None:
    images = probe(1)
    expected = session.load(str(folder), {"model": "model.pt2", "device": "cpu", "threads": 1})(images)
    np.testing.assert_allclose(runtime.load(str(folder), {"model": "model.pt2", "device": "cuda", "threads": 1})(images), expected, atol=1e-3)


@pytest.mark.slow
def test_no_compiler_is_one_sentence(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))  # what was compiled before needs no compiler
    monkeypatch.setattr(inductor.cpp, "cxx", (str(tmp_path / "no-such-compiler"),))
    from torch._inductor import cpp_builder

    for cached in ("get_cpp_compiler", "get_compiler_version_info"):
        clear = getattr(getattr(cpp_builder, cached, None), "cache_clear", None)
        if clear is not None:
            clear()
    torch._dynamo.reset()
    with pytest.raises(RuntimeError, match="^torch.compile needs a C\\+\\+ compiler and finds none: install g\\+\\+, or name one in the variable CXX$"):
        torch_compile.load(str(folder), {"model": "model.pt2", "device": "cpu", "threads": 1})
