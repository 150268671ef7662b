from pathlib import Path

import pytest
from small_networks import compared, convolutions, source, transformer

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.runtimes.building import build
from efficient360.deployment.runtimes.runtime import Artefact, Precision

pytest.importorskip("executorch")
pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]
MODELS = {"vit": transformer(), "cnn": convolutions()}


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artefact | Failure]:
    folder = tmp_path_factory.mktemp("artefacts")
    vit, cnn = (source(module, name, folder) for name, module in MODELS.items())
    return {
        "vit": build(vit, "executorch", Precision.FP32, batch=2),
        "vit-int8": build(vit, "executorch", Precision.INT8, batch=2),
        "cnn": build(cnn, "executorch", Precision.FP32),
        "cnn-int8": build(cnn, "executorch", Precision.INT8),
    }


def test_answers_in_float_are_the_networks_own(artefacts, tmp_path: Path) -> None:
    for name, model in MODELS.items():
        found = compared(model, artefacts[name], tmp_path)
        assert found.largest < 1e-4
        assert found.passed


def test_answers_in_int8_pass_the_gate_and_are_quantized(artefacts, tmp_path: Path) -> None:
    for name, model in MODELS.items():
        found = compared(model, artefacts[f"{name}-int8"], tmp_path)
        assert found.passed, found.reason
        assert found.largest > 1e-4


def test_int8_weighs_about_a_quarter(artefacts) -> None:
    assert artefacts["vit-int8"].bytes < 0.75 * artefacts["vit"].bytes  # of so small a network the graph itself is most of the file


def test_delegation_is_what_the_file_calls(artefacts) -> None:
    from executorch.exir._serialize._program import deserialize_pte_binary

    told = artefacts["cnn"].converted.delegation
    plan = deserialize_pte_binary((artefacts["cnn"].folder / "model.pte").read_bytes()).program.execution_plan[0]
    calls = [type(one.instr_args).__name__ for one in plan.chains[0].instructions]
    assert told.partitions == calls.count("DelegateCall") == len(plan.delegates)
    assert told.left == {"aten_mean_dim": 1, "aten_cumsum_default": 1}
    assert [one.name for one in plan.operators] == ["aten::mean", "aten::cumsum"]
    assert sum(told.left.values()) == calls.count("KernelCall") == told.total - told.delegated


def test_a_precision_it_does_not_have(tmp_path: Path) -> None:
    found = build(source(MODELS["vit"], "vit", tmp_path), "executorch", Precision.BF16)
    assert isinstance(found, Failure)
    assert (found.status, found.code, found.message) == (Status.UNSUPPORTED, "no-precision", "ExecuTorch has no bf16 on a CPU")
